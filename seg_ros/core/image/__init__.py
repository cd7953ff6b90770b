# SPDX-License-Identifier: Apache-2.0
"""Images on their way in and out of the network: decoding, pixel formats, up-sampling, health.

Read ``decoding`` first: from the bytes of a message to a ``CameraImage``.
"""

# SPDX-License-Identifier: Apache-2.0
"""``seg_ros engines``: the TensorRT plans of this machine; read ``command.py``."""

# SPDX-License-Identifier: Apache-2.0
"""Camera geometry: intrinsics, mounting, and the ground that each pixel sees.

Read ``camera`` first: ``Camera.ground_table`` is what all of ``core`` measures with.
"""

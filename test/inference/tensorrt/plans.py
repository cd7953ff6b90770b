# SPDX-License-Identifier: Apache-2.0
"""A plan that needs no GPU, and its key."""

from __future__ import annotations

from seg_ros.inference.tensorrt.plan_key import PlanKey

__all__ = ['KEY', 'PLAN']

KEY = PlanKey('tiny', 'a' * 64, 'tensorrt', '10.16.1.11', 'Orin sm_87', 'fp16', '64x32', 1)
PLAN = bytes(range(256)) * 40

# SPDX-License-Identifier: Apache-2.0
"""What to ask for of a topic, by what its publishers offer on the graph."""

from __future__ import annotations

from collections.abc import Sequence

from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.topic_endpoint_info import TopicEndpointInfo

__all__ = ['is_latched', 'qos_for']


def is_latched(offers: Sequence[TopicEndpointInfo]) -> bool:
    """Returns whether whoever comes late is told, too, by all of them."""
    return bool(offers) and all(
        row.qos_profile.durability == DurabilityPolicy.TRANSIENT_LOCAL for row in offers
    )


def qos_for(offers: Sequence[TopicEndpointInfo], depth: int) -> QoSProfile:
    """Returns the most that all publishers of a topic offer."""
    reliable = all(row.qos_profile.reliability == ReliabilityPolicy.RELIABLE for row in offers)
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=depth,
        reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.TRANSIENT_LOCAL
        if is_latched(offers)
        else DurabilityPolicy.VOLATILE,
    )

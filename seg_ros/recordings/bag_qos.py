"""Quality of service as the metadata of a bag has it."""

from __future__ import annotations

from typing import Any

__all__ = ['bag_qos']

FOREVER_S, FOREVER_NS = 9223372036, 854775807  # as rosbag2 writes an infinite duration


def bag_qos(*, reliable: bool, latched: bool, depth: int) -> Any:
    """Returns a ``rosbags.interfaces.Qos``, for a player to offer the same again."""
    from rosbags.interfaces import (
        Qos,
        QosDurability,
        QosHistory,
        QosLiveliness,
        QosReliability,
        QosTime,
    )

    forever = QosTime(FOREVER_S, FOREVER_NS)
    return Qos(
        history=QosHistory.KEEP_LAST,
        depth=max(1, depth),
        reliability=QosReliability.RELIABLE if reliable else QosReliability.BEST_EFFORT,
        durability=QosDurability.TRANSIENT_LOCAL if latched else QosDurability.VOLATILE,
        deadline=forever,
        lifespan=forever,
        liveliness=QosLiveliness.AUTOMATIC,
        liveliness_lease_duration=forever,
        avoid_ros_namespace_conventions=False,
    )

# SPDX-License-Identifier: Apache-2.0
"""Quality of service between rclpy and the metadata of a bag."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rclpy.duration import Duration
from rclpy.qos import (
    DurabilityPolicy,
    HistoryPolicy,
    LivelinessPolicy,
    QoSProfile,
    ReliabilityPolicy,
)

from seg_ros.core.units import NS_PER_S
from seg_ros.recordings.new_bag import bag_qos

__all__ = ['offered_again', 'recorded_qos']

LEAST_DEPTH = 10  # the default of rclpy and rosbag2
LONG_S = 2147483647  # as older rosbag2 did


def recorded_qos(qos: QoSProfile) -> Any:
    """Returns a profile as rosbags writes it, for a player to offer the same again."""
    return bag_qos(
        reliable=qos.reliability == ReliabilityPolicy.RELIABLE,
        latched=qos.durability == DurabilityPolicy.TRANSIENT_LOCAL,
        depth=qos.depth,
    )


def offered_again(offers: Sequence[Any]) -> QoSProfile:
    """Returns a profile that serves whoever the recorded publishers served.

    One publisher stands for all that were recorded on a topic, so that the strictest of their
    promises count, and there is room for what each of them kept.

    Args:
        offers: ``rosbags.interfaces.Qos`` of each; none gives a reliable, volatile profile.
    """
    reliable = not offers or any(row.reliability.name != 'BEST_EFFORT' for row in offers)
    latched = any(row.durability.name == 'TRANSIENT_LOCAL' for row in offers)
    keep_all = any(row.history.name == 'KEEP_ALL' for row in offers)
    manual = any(row.liveliness.name == 'MANUAL_BY_TOPIC' for row in offers)
    durations = {
        name: shortest
        for name in ('deadline', 'lifespan', 'liveliness_lease_duration')
        if (shortest := _shortest([getattr(row, name) for row in offers])) is not None
    }
    return QoSProfile(
        history=HistoryPolicy.KEEP_ALL if keep_all else HistoryPolicy.KEEP_LAST,
        depth=max(LEAST_DEPTH, sum(row.depth for row in offers)),
        reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
        liveliness=LivelinessPolicy.MANUAL_BY_TOPIC if manual else LivelinessPolicy.AUTOMATIC,
        **durations,
    )


def _shortest(times: Sequence[Any]) -> Duration | None:
    """The shortest finite duration; zero and the many ways to write forever are none."""
    finite_ns = [
        time.sec * NS_PER_S + time.nsec
        for time in times
        if (time.sec, time.nsec) != (0, 0) and time.sec < LONG_S
    ]
    return Duration(nanoseconds=min(finite_ns)) if finite_ns else None

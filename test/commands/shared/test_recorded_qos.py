# SPDX-License-Identifier: Apache-2.0
"""What a player offers for what was recorded."""

from __future__ import annotations

import pytest
from rclpy.qos import (
    DurabilityPolicy,
    HistoryPolicy,
    LivelinessPolicy,
    QoSProfile,
    ReliabilityPolicy,
)
from rosbags.interfaces import (
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)

from seg_ros.commands.shared.recorded_qos import offered_again, recorded_qos

ZERO, FOREVER = QosTime(0, 0), QosTime(9223372036, 854775807)
OLD_FOREVER = QosTime(2147483647, 4294967295)


def qos(
    reliable: bool = True,
    latched: bool = False,
    depth: int = 1,
    lifespan: QosTime = FOREVER,
    history: QosHistory = QosHistory.KEEP_LAST,
    liveliness: QosLiveliness = QosLiveliness.AUTOMATIC,
) -> Qos:
    return Qos(
        history,
        depth,
        QosReliability.RELIABLE if reliable else QosReliability.BEST_EFFORT,
        QosDurability.TRANSIENT_LOCAL if latched else QosDurability.VOLATILE,
        FOREVER,
        lifespan,
        liveliness,
        FOREVER,
        avoid_ros_namespace_conventions=False,
    )


@pytest.mark.parametrize('latched', [False, True])
@pytest.mark.parametrize('reliable', [False, True])
def test_what_was_recorded_is_offered_again(reliable: bool, latched: bool) -> None:
    profile = QoSProfile(
        depth=30,
        reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
    )
    again = offered_again([recorded_qos(profile)])
    assert (again.reliability, again.durability) == (profile.reliability, profile.durability)
    assert again.depth == 30


def test_one_publisher_keeps_the_promises_of_several() -> None:
    again = offered_again([qos(reliable=False, depth=20), qos(latched=True, depth=15)])
    assert again.reliability == ReliabilityPolicy.RELIABLE
    assert again.durability == DurabilityPolicy.TRANSIENT_LOCAL
    assert again.depth == 35


def test_a_bag_that_does_not_tell_is_played_reliably() -> None:
    again = offered_again([])
    assert again.reliability == ReliabilityPolicy.RELIABLE
    assert again.durability == DurabilityPolicy.VOLATILE


@pytest.mark.parametrize('forever', [ZERO, FOREVER, OLD_FOREVER])
def test_forever_is_no_duration_however_it_is_written(forever: QosTime) -> None:
    assert offered_again([qos(lifespan=forever)]).lifespan == QoSProfile(depth=1).lifespan


def test_lifespan_history_and_liveliness_are_offered_again() -> None:
    again = offered_again(
        [
            qos(
                lifespan=QosTime(0, 200_000_000),
                history=QosHistory.KEEP_ALL,
                liveliness=QosLiveliness.MANUAL_BY_TOPIC,
            )
        ]
    )
    assert again.lifespan.nanoseconds == 200_000_000
    assert again.history == HistoryPolicy.KEEP_ALL
    assert again.liveliness == LivelinessPolicy.MANUAL_BY_TOPIC

"""nav2_msgs/SpeedLimit of the watched zones, with a class of the same fields."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from seg_ros.core.zone_config import ZoneConfig
from seg_ros.core.zone_monitor import ZoneState
from seg_ros.decisions import FrameDecisions
from seg_ros.messages.zone_outputs import SPEED_LIMIT, zone_outputs
from test.ros.graph import header_of
from test.stand_in_messages import stand_ins, through_bytes

CONFIG = ZoneConfig(names=('near', 'far', 'shelf'), speed_percent=(20.0, 60.0, 100.0))


@pytest.fixture(autouse=True)
def packages() -> Iterator[None]:
    with stand_ins():
        yield


def limit_of(**alarms: bool) -> Any:
    zones = tuple(ZoneState(name, alarm, '', 0.0, 0.0, 1.0) for name, alarm in alarms.items())
    row = zone_outputs(CONFIG)[0]
    assert (row.topic, row.type_name) == ('speed_limit', SPEED_LIMIT)
    message = row.make(header_of(5, 'base_link'), FrameDecisions(zones=zones))
    return through_bytes(message, SPEED_LIMIT)


@pytest.mark.parametrize(
    ('alarms', 'percent'),
    [
        ({'near': False, 'far': False, 'shelf': False}, 100.0),
        ({'near': False, 'far': False, 'shelf': True}, 100.0),
        ({'near': False, 'far': True, 'shelf': False}, 60.0),
        ({'near': True, 'far': True, 'shelf': False}, 20.0),
    ],
)
def test_the_slowest_zone_with_an_alarm_limits_the_speed(
    alarms: dict[str, bool], percent: float
) -> None:
    message = limit_of(**alarms)
    assert message.percentage
    assert message.speed_limit == percent
    assert (message.header.stamp.nanosec, message.header.frame_id) == (5, 'base_link')


def test_a_picture_that_cannot_be_believed_is_the_lowest_limit() -> None:
    assert limit_of().speed_limit == 20.0


def test_zones_that_do_not_limit_the_speed_have_no_such_topic() -> None:
    topics = [row.topic for row in zone_outputs(ZoneConfig(names=('shelf',)))]
    assert topics == ['zone/shelf', 'zone/shelf/status']

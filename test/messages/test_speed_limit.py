# SPDX-License-Identifier: Apache-2.0
"""nav2_msgs/SpeedLimit of the watched zones, with a class of the same fields."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from seg_ros.core.watched_zones.config import ZoneConfig
from seg_ros.core.watched_zones.monitor import ZoneMonitors, ZoneState
from seg_ros.decisions import FrameDecisions
from seg_ros.messages.outputs import zone_outputs
from seg_ros.messages.zones import SPEED_LIMIT
from test import people_scene as scene
from test.messages.stand_ins import stand_ins, through_bytes
from test.paths import REPOSITORY
from test.ros.graph import header_of
from test.ros.nav2_consumers import ControllerServer, parameters

CONFIG_FOLDER = REPOSITORY / 'config'
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


def test_the_controller_drives_slowly_near_people_and_fully_once_they_are_gone() -> None:
    zones = yaml.safe_load((CONFIG_FOLDER / 'zones/slow.yaml').read_text())
    values = zones['/**']['ros__parameters']['zones']
    config = ZoneConfig(**{name: tuple(value) for name, value in values.items()})
    row = zone_outputs(config)[0]
    topic = parameters('speed_limit.yaml', 'controller_server', 'ros__parameters')
    assert topic['speed_limit_topic'] == f'/segmentation/{row.topic}'
    monitors = ZoneMonitors(config, scene.LABEL_MAP)
    controller = ControllerServer(full_mps=5.0)
    table = scene.camera().ground_table()
    limits = []
    for frame in range(140):  # ten a second
        somebody = 40 <= frame < 80
        labels = scene.frame_with((10.0, 1.0)) if somebody else scene.empty_road()
        states = monitors.update(labels, table, frame * 100 * scene.MS)
        if frame >= 120:
            states = ()  # the lens is covered
        message = row.make(header_of(frame), FrameDecisions(zones=states))
        controller.on_speed_limit(through_bytes(message, SPEED_LIMIT))
        limits.append(controller.limit_mps)
    assert limits[0] == 2.0  # until the zone is proven empty
    assert limits[39] == 5.0
    assert limits[45:79] == [2.0] * 34
    assert limits[105:120] == [5.0] * 15
    assert limits[120:] == [2.0] * 20


def test_zones_that_do_not_limit_the_speed_have_no_such_topic() -> None:
    topics = [row.topic for row in zone_outputs(ZoneConfig(names=('shelf',)))]
    assert topics == ['zone/shelf', 'zone/shelf/status']

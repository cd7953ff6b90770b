# SPDX-License-Identifier: Apache-2.0
"""What the page is told: the stop, and that silence is one."""

from __future__ import annotations

import json

import pytest
from diagnostic_msgs.msg import DiagnosticStatus, KeyValue
from geometry_msgs.msg import Point
from std_msgs.msg import Bool
from visualization_msgs.msg import Marker, MarkerArray

from seg_ros.commands.view.scene import SILENCE_S, Heard, scene_of, stop_of
from seg_ros.commands.view.watched_node import jpeg_size_wh
from seg_ros.core.geometry.camera import Camera
from seg_ros.core.parameters.node_config import NodeConfig
from seg_ros.core.stop.config import StopConfig
from test.ros.mounted_camera import LENS, MOUNT


def heard(*, stop: bool, kind: str, at_s: float = 10.0) -> Heard:
    made = Heard()
    values = [KeyValue(key='kind', value=kind), KeyValue(key='for_s', value='1.50')]
    made.take('pedestrian_stop', Bool(data=stop), at_s)
    made.take('pedestrian_stop/status', DiagnosticStatus(message='as it is', values=values), at_s)
    return made


def test_go_is_shown_only_of_a_fresh_false_that_is_clear() -> None:
    stop = stop_of(heard(stop=False, kind='clear'), 10.1)
    assert (stop['stop'], stop['cause'], stop['for_s']) == (False, 'clear', 1.5)


@pytest.mark.parametrize(
    ('kind', 'cause'), [('person', 'person'), ('stale', 'fault'), ('inactive', 'start')]
)
def test_a_stop_is_shown_with_what_it_comes_from(kind: str, cause: str) -> None:
    stop = stop_of(heard(stop=True, kind=kind), 10.1)
    assert (stop['stop'], stop['cause'], stop['reason']) == (True, cause, 'as it is')


def test_silence_is_a_stop() -> None:
    stop = stop_of(heard(stop=False, kind='clear'), 10.0 + SILENCE_S + 0.1)
    assert (stop['stop'], stop['cause']) == (True, 'silence')
    assert 'fell silent 0.7 s ago' in stop['reason']
    assert 'not been heard' in stop_of(Heard(), 10.0)['reason']


def test_a_true_beside_an_older_clear_is_no_go() -> None:
    stop = stop_of(heard(stop=True, kind='clear'), 10.1)
    assert stop['stop']
    assert stop['cause'] != 'clear'


def test_the_zone_lies_in_the_picture_where_the_camera_sees_it() -> None:
    row = Marker(ns='zone')
    row.points = [Point(x=x, y=y) for x, y in ((4, 1), (9, 1), (9, -1), (4, -1), (4, 1))]
    person = Marker(ns='people', id=7)
    person.pose.position.x, person.pose.position.y = 8.0, 0.5
    said = heard(stop=True, kind='person')
    said.take('markers', MarkerArray(markers=[row, person]), 10.0)
    scene = scene_of(said, Camera(LENS, MOUNT), NodeConfig(), 10.1)
    assert scene['ground']['zone'] == [[4.0, 1.0], [9.0, 1.0], [9.0, -1.0], [4.0, -1.0]]
    pixels, _ = Camera(LENS, MOUNT).project([[4.0, 1.0, 0.0]])
    assert scene['picture']['zone'][0] == pytest.approx(
        [(pixels[0, 0] + 0.5) / LENS.width, (pixels[0, 1] + 0.5) / LENS.height], abs=1e-3
    )
    (box,) = scene['picture']['people']
    assert box['distance_m'] == 8.0
    assert box['box'][1] < box['box'][3]
    json.dumps(scene, allow_nan=False)


def test_without_geometry_the_zone_of_the_picture_is_shown() -> None:
    config = NodeConfig(
        stop=StopConfig(zone='image', image_polygon=(0.2, 1.0, 0.5, 0.5, 0.8, 1.0))
    )
    scene = scene_of(heard(stop=False, kind='clear'), None, config, 10.1)
    assert scene['picture']['zone'] == [(0.2, 1.0), (0.5, 0.5), (0.8, 1.0)]
    assert not scene['ground']['known']


def test_what_is_old_is_not_shown_as_if_it_were_of_now() -> None:
    said = heard(stop=False, kind='clear')
    row = Marker(ns='lane')
    row.points = [Point(x=1.0), Point(x=2.0)]
    said.take('markers', MarkerArray(markers=[row]), 10.0)
    assert scene_of(said, None, None, 10.1)['ground']['lanes']
    assert not scene_of(said, None, None, 20.0)['ground']['lanes']


def test_the_size_of_a_jpeg_is_read_from_its_header() -> None:
    import cv2
    import numpy as np

    _, data = cv2.imencode('.jpg', np.zeros((48, 96, 3), np.uint8))
    assert jpeg_size_wh(data.tobytes()) == (96, 48)
    assert jpeg_size_wh(data.tobytes()[:20]) is None
    assert jpeg_size_wh(b'') is None

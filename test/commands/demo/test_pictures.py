# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from rosbags.rosbag2 import StoragePlugin, Writer

from seg_ros.commands.demo.pictures import ground_views, write_moment
from seg_ros.commands.demo.recording import DemoRecording
from seg_ros.core.navigation.config import NavigationConfig
from seg_ros.core.navigation.navigator import NAVIGATION, Navigator
from seg_ros.decisions import FrameDecisions
from seg_ros.messages.outputs import navigation_outputs
from seg_ros.messages.plain import serialised
from test import people_scene as scene
from test.recordings.pictures import TYPES
from test.ros.graph import header_of

STAMP_NS = 1000 * scene.MS


@pytest.fixture
def bag(tmp_path: Path) -> Path:
    """What a planner is given of a person at (8, 1), twice."""
    camera = scene.camera()
    navigator = Navigator(
        NavigationConfig(), scene.LABEL_MAP, camera, camera.ground_table(), scene.ground()
    )
    found = navigator.update(scene.frame_with((8.0, 1.0)), None, NAVIGATION)
    with Writer(tmp_path / 'bag', version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        for row in navigation_outputs()[:3]:
            topic = f'/segmentation/{row.topic}'
            connection = writer.add_connection(topic, row.type_name, typestore=TYPES)
            for stamp_ns in (STAMP_NS, 2 * STAMP_NS):
                message = row.make(header_of(stamp_ns), FrameDecisions(navigation=found))
                writer.write(connection, stamp_ns, serialised(message, row.type_name))
    return tmp_path / 'bag'


def test_the_ground_of_every_frame_is_read_from_the_bag(bag: Path) -> None:
    views = ground_views(bag)
    assert sorted(views) == [STAMP_NS, 2 * STAMP_NS]
    view = views[STAMP_NS]
    assert view.obstacles.mean(axis=0) == pytest.approx([8.0, 1.0], rel=0.05)
    assert np.hypot(*view.scan.T) == pytest.approx(np.hypot(8.0, 1.0), rel=0.06)
    assert view.cells[round((1.0 + 10.0) / 0.1), round(8.0 / 0.1)] == 100
    assert (view.lines, len(view.people), len(view.zone)) == ((), 0, 0)


def test_a_moment_that_was_answered_is_drawn_and_without_one_there_is_no_picture(
    bag: Path, tmp_path: Path
) -> None:
    jpeg = cv2.imencode('.jpg', np.full((36, 64, 3), 90, np.uint8))[1].tobytes()
    recording = DemoRecording(scene.LABEL_MAP)
    path = tmp_path / 'moment.jpg'
    assert not write_moment(path, recording, bag)
    assert not path.exists()
    recording.images[STAMP_NS] = recording.overlays[STAMP_NS] = jpeg
    recording.received_ns[STAMP_NS] = STAMP_NS + scene.MS
    assert write_moment(path, recording, bag)
    picture = cv2.imread(str(path))
    assert picture.shape == (724, 1284, 3)
    assert abs(picture[180, 320].astype(int) - 90).max() < 5

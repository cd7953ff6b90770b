# SPDX-License-Identifier: Apache-2.0
"""What is decided about a frame never holds the heartbeat up."""

from __future__ import annotations

import math
import threading
from pathlib import Path

import numpy as np
import pytest

from seg_ros.core.geometry.camera import Camera
from seg_ros.core.lane.track import LaneTrack
from seg_ros.core.parameters.node_config import NodeConfig
from seg_ros.core.stop.config import StopConfig
from seg_ros.core.stop.decision import StopDecision, StopKind
from seg_ros.core.stop.people import SeenPerson
from seg_ros.core.stop.tracking import TrackedPerson
from seg_ros.core.stop.zones import Motion
from seg_ros.core.types import NetworkView
from seg_ros.decisions import CameraDecisions, FrameDecisions, needs_of_stop
from seg_ros.inference.engine import load_engine
from seg_ros.messages.markers import markers_message
from seg_ros.messages.people import people_message
from seg_ros.messages.types import Header
from test import people_scene
from test.through_perception import decided
from test.tiny_onnx import SIZE_WH, write_engine

SECOND_NS = 1_000_000_000
VIEW = NetworkView(np.zeros((*SIZE_WH[::-1], 3), np.uint8), np.zeros(SIZE_WH[::-1], np.uint8))


def test_the_heartbeat_is_answered_while_the_lane_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    label_map = load_engine(write_engine(tmp_path / 'tiny')).label_map
    decisions = CameraDecisions(NodeConfig(), label_map)
    hangs, may_go_on = threading.Event(), threading.Event()

    def hang(*_arguments: object) -> LaneTrack:
        hangs.set()
        may_go_on.wait(60.0)
        return LaneTrack(False, 'it hung', 'markings', 0)

    monkeypatch.setattr(decisions, 'find_lane', hang)
    worker = threading.Thread(
        target=decided, args=(decisions, VIEW, 1, {'lane', 'stop'}), daemon=True
    )
    worker.start()
    assert hangs.wait(60.0)
    asked: list[bool] = []
    heartbeat = threading.Thread(target=lambda: asked.append(decisions.check(2).stop), daemon=True)
    heartbeat.start()
    heartbeat.join(10.0)
    answered = list(asked)  # while the lane still hangs
    may_go_on.set()
    worker.join(60.0)
    assert answered == [True]


@pytest.mark.parametrize(
    ('stop', 'needs'),
    [
        (StopConfig(zone='corridor'), {'stop', 'lane'}),
        (StopConfig(zone='image'), {'stop'}),
        (StopConfig(zone='image', refine_pitch_rad=0.02), {'stop'}),
        (StopConfig(zone='polygon'), {'stop'}),
        (StopConfig(zone='polygon', refine_pitch_rad=0.02), {'stop', 'lane'}),
    ],
)
def test_the_lane_is_found_for_the_stop_that_follows_it_or_its_pitch(
    stop: StopConfig, needs: set[str]
) -> None:
    assert needs_of_stop(stop) == needs


def test_a_stop_without_a_calibration_says_why_there_is_none() -> None:
    stop = StopConfig(require_geometry=True, min_contrast=0.0, frozen_timeout_s=0.0)
    decisions = CameraDecisions(NodeConfig(stop=stop), people_scene.LABEL_MAP)
    labels = people_scene.empty_road()
    view = NetworkView(np.zeros((*labels.shape, 3), np.uint8), labels)

    def reason_after(camera: Camera | None, why: str, stamp_ns: int) -> str:
        decisions.calibrate(camera, why)
        stop = decided(decisions, view, stamp_ns, {'lane', 'stop'}).stop
        assert stop is not None
        return stop.reason

    assert reason_after(None, 'no transform from base_link', SECOND_NS) == (
        'no transform from base_link'
    )
    assert 'transform' not in reason_after(people_scene.camera(), '', SECOND_NS + 1)
    assert reason_after(None, 'the transform is 3.0 s old', SECOND_NS + 2) == (
        'the transform is 3.0 s old'
    )


def test_one_broken_odometry_message_costs_the_lane_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    decisions = CameraDecisions(NodeConfig(), people_scene.LABEL_MAP)
    decisions.calibrate(people_scene.camera())
    labels = people_scene.empty_road()
    view = NetworkView(np.zeros((*labels.shape, 3), np.uint8), labels)
    speeds: list[object] = []

    def lane(*arguments: object) -> LaneTrack:
        speeds.append(arguments[4:])
        return LaneTrack(False, 'of the test', 'markings', 0)

    monkeypatch.setattr(decisions._lane, 'update', lane)
    for stamp_ns, speed in ((1, 5.0), (2, math.nan), (3, 3e4), (4, 5.0)):
        decisions.moved(Motion(stamp_ns, speed))
        decided(decisions, view, stamp_ns, {'lane', 'stop'})
    assert speeds == [(5.0, 0.0)] * 4


@pytest.mark.parametrize('lens_m', [0.02, 13.0, 450.0])
def test_a_height_alone_that_no_lens_on_a_vehicle_has_proves_nothing(lens_m: float) -> None:
    """In millimetres it would make the zone as narrow as a hair."""
    config = StopConfig(min_contrast=0.0, frozen_timeout_s=0.0)
    decisions = CameraDecisions(NodeConfig(stop=config), people_scene.LABEL_MAP)
    labels = people_scene.empty_road()
    view = NetworkView(np.zeros((*labels.shape, 3), np.uint8), labels)
    for index in range(20):
        decisions.calibrate(None, lens_m=lens_m)
        stop = decided(decisions, view, index * 50_000_000, {'stop'}).stop
    assert stop is not None
    assert stop.kind == 'no_geometry'
    assert f'{lens_m:.2f} m above the ground' in stop.reason
    for index in range(20, 40):
        decisions.calibrate(None, lens_m=0.45)
        stop = decided(decisions, view, index * 50_000_000, {'stop'}).stop
    assert stop is not None
    assert stop.kind != 'no_geometry'
    assert '0.45 m high, as was told' in stop.zone_by


@pytest.mark.parametrize(('limit_rad', 'x_m'), [(0.0, 15.0), (0.02, 17.1)])
def test_people_are_placed_with_the_pitch_of_the_lane_where_that_is_wanted(
    limit_rad: float, x_m: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop = StopConfig(refine_pitch_rad=limit_rad, min_contrast=0.0, frozen_timeout_s=0.0)
    decisions = CameraDecisions(NodeConfig(stop=stop), people_scene.LABEL_MAP)
    decisions.calibrate(people_scene.camera())
    labels = people_scene.frame_with((15.0, 0.0))
    view = NetworkView(np.zeros((*labels.shape, 3), np.uint8), labels)
    found = FrameDecisions()
    for stamp_ns in range(0, 60 * SECOND_NS, SECOND_NS // 2):
        lane = LaneTrack(True, 'both lines', 'markings', stamp_ns, reach_m=30, pitch_per_m=0.01)
        monkeypatch.setattr(decisions, 'find_lane', lambda *_arguments, lane=lane: lane)
        found = decided(decisions, view, stamp_ns, {'lane', 'stop'})
    (person,) = found.people
    assert person.x_m == pytest.approx(x_m, abs=0.5)


@pytest.mark.parametrize(
    ('kind', 'published'),
    [
        ('low_confidence', False),
        ('low_contrast', False),
        ('frozen', False),
        ('no_geometry', False),
        ('person', True),
    ],
)
def test_people_of_an_older_frame_are_not_shown_under_a_new_stamp(
    kind: str, published: bool
) -> None:
    seen = SeenPerson(8.0, 1.0, 0.1, 0.1, (1.0, 4.0), (0, 0, 2, 4), 8, 1.0, 'seen', False, 0.0)
    person = TrackedPerson(1, 8.0, 1.0, 0.0, 0.0, 0.1, 0.1, 0.1, True, False, seen)
    stop = StopDecision(True, StopKind(kind), 'because', None, 'corridor', 0)
    decisions = FrameDecisions(stop=stop, people=(person,))
    message = people_message()(Header(), decisions)
    assert (message is not None) == published
    drawn = [marker.ns for marker in markers_message()(Header(), decisions).markers]
    assert drawn == (['people'] if published else [])

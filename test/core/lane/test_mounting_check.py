# SPDX-License-Identifier: Apache-2.0
"""A mounting that the lane contradicts is told with what to set, and no metres come of it."""

from __future__ import annotations

import math
import re
import time
from dataclasses import replace

import numpy as np
import pytest

from seg_ros.core.geometry.camera import Mount
from seg_ros.core.labels import LabelClass, LabelMap
from seg_ros.core.lane.config import LaneConfig
from seg_ros.core.lane.mounting_check import MountingCheck
from seg_ros.core.parameters.node_config import NodeConfig
from seg_ros.core.stop.config import StopConfig
from seg_ros.core.stop.decision import StopDecision, StopKind
from seg_ros.core.types import NetworkView
from seg_ros.decisions import CameraDecisions
from test.core.lane.scene import LABEL_MAP, LANE_M, MOUNT, SPEED_MPS, Scene, camera

PERIOD_S = 0.25


def checked(
    said: Mount, seconds: float = 12.0, seed: int | None = None, **changes: object
) -> MountingCheck:
    """The check after a drive of which a mounting is said that may be wrong."""
    config = LaneConfig(**changes)  # type: ignore[arg-type]
    subject = MountingCheck(config, LABEL_MAP.role_mask_lut('lane'))
    scene = Scene(seed=seed)
    for frame in range(round(seconds / PERIOD_S)):
        state = scene.state(60.0 + frame * SPEED_MPS * PERIOD_S)
        subject.update(scene.view.labels(state), camera(said), round(frame * PERIOD_S * 1e9))
    return subject


@pytest.mark.parametrize('seed', [None, 3])
@pytest.mark.parametrize('off_deg', [2.0, -2.0, 4.0])
def test_a_pitch_that_is_wrong_is_told_with_the_right_one(
    off_deg: float, seed: int | None
) -> None:
    said = replace(MOUNT, pitch=MOUNT.pitch + math.radians(off_deg))
    problem = checked(said, seed=seed).problem
    found = re.search(r'set mount.pitch to (-?[0-9.]+)', problem)
    assert found is not None, problem
    assert float(found[1]) == pytest.approx(MOUNT.pitch, abs=0.004)
    assert f'{off_deg:+.0f}'[0] in problem


@pytest.mark.parametrize('seed', [None, 3])
@pytest.mark.parametrize('off_deg', [0.0, 0.5, -0.5])
def test_what_the_fit_takes_out_by_itself_is_no_contradiction(
    off_deg: float, seed: int | None
) -> None:
    said = replace(MOUNT, pitch=MOUNT.pitch + math.radians(off_deg))
    assert checked(said, seed=seed).problem == ''


def test_it_needs_some_seconds() -> None:
    said = replace(MOUNT, pitch=MOUNT.pitch + math.radians(3.0))
    assert checked(said, seconds=3.0).problem == ''
    assert checked(said, seconds=8.0).problem


def test_a_wrong_height_is_told_where_the_width_of_the_lane_is_known() -> None:
    said = replace(MOUNT, z=1.2 * MOUNT.z)
    assert checked(said).problem == ''  # the scale is unproven, but nothing contradicts it
    problem = checked(said, width_known=True, width_expected_m=LANE_M).problem
    found = re.search(r'set mount.z to ([0-9.]+)', problem)
    assert found is not None, problem
    assert float(found[1]) == pytest.approx(MOUNT.z, abs=0.05)


def test_without_a_limit_nobody_looks() -> None:
    said = replace(MOUNT, pitch=MOUNT.pitch + math.radians(3.0))
    assert checked(said, max_mount_error_rad=0.0).problem == ''


def test_a_right_mounting_ends_the_contradiction() -> None:
    said = replace(MOUNT, pitch=MOUNT.pitch + math.radians(3.0))
    subject = checked(said)
    assert subject.problem
    subject.reset()
    assert subject.problem == ''


def test_between_two_looks_it_costs_nothing() -> None:
    subject = checked(MOUNT, seconds=1.0)
    scene = Scene()
    labels, view = scene.view.labels(scene.state(60.0)), camera(MOUNT)
    last_ns = subject._looked_ns
    assert last_ns is not None
    begun_s = time.perf_counter()
    for number in range(100):
        subject.update(labels, view, last_ns + 1 + number)
    assert subject._looked_ns == last_ns
    assert time.perf_counter() - begun_s < 0.1


def test_no_valid_metres_come_of_a_mounting_that_the_lane_contradicts() -> None:
    said = replace(MOUNT, pitch=MOUNT.pitch + math.radians(2.0))
    decisions = CameraDecisions(NodeConfig(), LABEL_MAP)
    decisions.calibrate(camera(said))
    scene = Scene()
    picture = np.zeros((360, 640, 3), np.uint8)
    tracks = []
    for frame in range(40):
        labels = scene.view.labels(scene.state(60.0 + frame * SPEED_MPS * PERIOD_S))
        view, stamp_ns = NetworkView(picture, labels), round(frame * PERIOD_S * 1e9)
        decisions.look(view, stamp_ns)
        tracks.append(decisions.find_lane(view, stamp_ns, stamp_ns))
    assert not any(track.valid for track in tracks[-10:])
    assert 'set mount.pitch to 0.06' in tracks[-1].reason
    assert decisions.mounting_problem == tracks[-1].reason
    decisions.calibrate(camera(MOUNT))
    assert decisions.mounting_problem == ''


def test_the_stop_takes_no_metres_of_a_mounting_that_the_lane_contradicts() -> None:
    label_map = LabelMap((*LABEL_MAP.classes, LabelClass(9, 'person', (1, 2, 3), ('pedestrian',))))
    cameras = []
    for is_required in (False, True):
        stop = StopConfig(require_geometry=is_required, min_contrast=0.0, frozen_timeout_s=0.0)
        cameras.append(CameraDecisions(NodeConfig(stop=stop), label_map))
        cameras[-1].calibrate(camera(replace(MOUNT, pitch=MOUNT.pitch + math.radians(2.0))))
    scene = Scene()
    picture = np.zeros((360, 640, 3), np.uint8)
    stops: list[list[StopDecision | None]] = []
    for frame in range(24):
        labels = scene.view.labels(scene.state(60.0 + frame * SPEED_MPS * PERIOD_S))
        view, stamp_ns = NetworkView(picture, labels), round(frame * PERIOD_S * 1e9)
        stops.append([])
        for decisions in cameras:
            decisions.look(view, stamp_ns)
            lane = decisions.find_lane(view, stamp_ns, stamp_ns)
            stops[-1].append(decisions.judge_people(view, stamp_ns, stamp_ns, lane).stop)
    for early in stops[3]:
        assert early is not None
        assert (early.kind, early.guess) == (StopKind.CLEAR, '')
    guessed, required = stops[-1]
    assert guessed is not None
    assert required is not None
    assert guessed.kind is StopKind.CLEAR
    assert 'set mount.pitch to 0.06' in guessed.guess
    assert required.kind is StopKind.NO_GEOMETRY
    assert 'set mount.pitch to 0.06' in required.reason

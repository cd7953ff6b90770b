# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from seg_ros.core.errors import ConfigurationError
from seg_ros.core.geometry.camera import Mount
from seg_ros.core.lane.config import LaneConfig
from seg_ros.core.lane.tracker import LaneTracker
from seg_ros.core.parameters.option import config_from_values
from seg_ros.core.vehicle import VehicleConfig
from seg_ros.sim.classes import LANE_MARKING, ROAD
from seg_ros.sim.labels.road import Stripe, lane_stripes
from test.core.lane.scene import (
    LABEL_MAP,
    LANE_M,
    MOUNT,
    PERIOD_NS,
    SPEED_MPS,
    STRIPES,
    Scene,
    camera,
    standing,
    tracker,
)
from test.paths import REPOSITORY

SMALL_ROBOT = yaml.safe_load((REPOSITORY / 'config/small_robot.yaml').read_text())['/**'][
    'ros__parameters'
]
STRAIGHT = Scene()
EGO_RIGHT_M = -LANE_M

EXTRA_PAINT = {
    'kerbs beside the lines': (Stripe(-3.9, 0.15), Stripe(3.9, 0.15)),
    'stop lines': tuple(Stripe(-1.75, 3.2, from_m=at, to_m=at + 0.4) for at in (66.0, 80.0, 90.0)),
    'crosswalk stripes': tuple(
        Stripe(float(d), 0.4, from_m=78.0, to_m=81.0) for d in np.arange(-3.1, 3.2, 0.9)
    ),
    'arrows': tuple(Stripe(-1.75, 0.15, from_m=at, to_m=at + 4.0) for at in (68.0, 85.0)),
    'the lines of more lanes': (Stripe(-7.0), Stripe(7.0)),
}


@settings(max_examples=20, deadline=None)
@given(
    offset_m=st.floats(-1.0, 1.0),
    heading_rad=st.floats(-0.08, 0.08),
    s_m=st.floats(50.0, 300.0),
)
def test_mirrored_labels_mirror_the_lane(offset_m: float, heading_rad: float, s_m: float) -> None:
    labels = STRAIGHT.view.labels(STRAIGHT.state(s_m, offset_m, heading_rad))
    track = standing(labels, STRAIGHT.view.table)
    mirrored = standing(np.ascontiguousarray(labels[:, ::-1]), STRAIGHT.view.table)
    assert track.valid
    assert mirrored.valid
    assert mirrored.offset_m == pytest.approx(-track.offset_m, abs=0.05)
    assert mirrored.heading_rad == pytest.approx(-track.heading_rad, abs=0.01)
    assert mirrored.left.c0 == pytest.approx(-track.right.c0, abs=0.05)


@settings(max_examples=20, deadline=None)
@given(offset_m=st.floats(-1.0, 1.0), by_m=st.floats(-0.5, 0.5), s_m=st.floats(50.0, 300.0))
def test_a_vehicle_further_left_has_an_offset_further_left(
    offset_m: float, by_m: float, s_m: float
) -> None:
    tracks = [
        standing(STRAIGHT.view.labels(STRAIGHT.state(s_m, at_m)), STRAIGHT.view.table)
        for at_m in (offset_m, offset_m + by_m)
    ]
    assert tracks[1].offset_m - tracks[0].offset_m == pytest.approx(by_m, abs=0.05)


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(1, 1000), offset_m=st.floats(-0.6, 0.6))
def test_a_curved_lane_is_known_to_a_decimetre_at_15_m_and_a_quarter_metre_at_25_m(
    seed: int, offset_m: float
) -> None:
    scene = Scene(seed=seed)
    for state, track in scene.drive(tracker(), 12, offset_m=offset_m):
        if track.valid:
            assert abs(scene.error_m(track, state, 15.0)) < 0.1
            assert abs(scene.error_m(track, state, 25.0)) < 0.25
    assert track.valid
    assert track.offset_m == pytest.approx(offset_m, abs=0.1)
    assert track.width_m == pytest.approx(LANE_M, abs=0.06)


@settings(max_examples=6, deadline=None)
@given(dash_m=st.floats(2.0, 5.0), gap_m=st.floats(1.0, 7.0), from_m=st.floats(40.0, 80.0))
def test_gaps_between_dashes_never_end_the_validity(
    dash_m: float, gap_m: float, from_m: float
) -> None:
    dashes = [Stripe(d_m, dash_m=dash_m, gap_m=gap_m) for d_m in (EGO_RIGHT_M, 0.0)]
    tracks = [track for _, track in Scene(dashes).drive(tracker(), 25, from_m)]
    first_valid = next(index for index, track in enumerate(tracks) if track.valid)
    assert first_valid < 8
    assert all(track.valid for track in tracks[first_valid:])


@pytest.mark.parametrize('what', EXTRA_PAINT)
def test_other_paint_does_not_move_the_lane(what: str) -> None:
    scene = Scene((*STRIPES, *EXTRA_PAINT[what]))
    for state, track in scene.drive(tracker(), 30):
        if track.valid:
            assert abs(scene.error_m(track, state, 10.0)) < 0.08, state.s_m
    assert track.valid


@pytest.mark.parametrize('pitch_error_rad', [-0.012, 0.012])
def test_a_camera_that_nods_does_not_move_the_lane(pitch_error_rad: float) -> None:
    scene = Scene(seed=4)
    nodding = Scene(seed=4, mount=replace(MOUNT, pitch=MOUNT.pitch + pitch_error_rad))
    nodding.view.table = scene.view.table
    for state, track in nodding.drive(tracker(), 12):
        if track.valid:
            assert abs(nodding.error_m(track, state, 15.0)) < 0.1
    assert track.valid


def test_both_lines_are_named_and_so_are_the_lines_of_the_lanes_beside() -> None:
    scene = Scene((Stripe(-7.0), Stripe(-3.5, dash_m=3.0, gap_m=6.0), Stripe(0.0), Stripe(3.5)))
    *_, (_, track) = scene.drive(tracker(), 6)
    places = {row.name: row.line.c0 for row in track.boundaries}
    expected = {'left': 1.75, 'right': -1.75, 'left_neighbour': 5.25, 'right_neighbour': -5.25}
    assert places == pytest.approx(expected, abs=0.05)
    assert track.source == 'markings'


def test_with_one_line_the_other_follows_from_the_width_seen_before() -> None:
    scene = Scene((Stripe(EGO_RIGHT_M), Stripe(0.0, to_m=75.0)))
    for state, track in scene.drive(tracker(), 70):
        if track.valid:
            assert abs(scene.error_m(track, state, 10.0)) < 0.1
    assert track.valid
    assert track.source == 'one_boundary'
    assert track.width_m == pytest.approx(LANE_M, abs=0.1)


def test_one_line_alone_is_not_followed_unless_the_width_is_known() -> None:
    scene = Scene((Stripe(EGO_RIGHT_M),))
    *_, (_, track) = scene.drive(tracker(), 6)
    assert not track.valid
    assert 'the width is not known' in track.reason
    known = tracker(width_known=True, width_expected_m=LANE_M)
    *_, (_, track) = scene.drive(known, 6)
    assert track.valid
    assert track.source == 'one_boundary'
    assert track.offset_m == pytest.approx(0.0, abs=0.05)


@pytest.mark.parametrize('seed', [None, 3])
def test_on_a_street_with_a_centre_line_alone_the_kerb_is_the_other_side(seed: int | None) -> None:
    street = Scene((Stripe(0.0, dash_m=3.0, gap_m=6.0),), asphalt_m=(-LANE_M, LANE_M), seed=seed)
    tracks = list(street.drive(tracker(), 30))
    for state, track in tracks[3:]:
        assert track.valid
        assert abs(street.error_m(track, state, 10.0)) < 0.1
    assert track.source == 'one_boundary'
    assert track.reason == 'one line and the edge of the ground'
    wide = Scene((Stripe(0.0, dash_m=3.0, gap_m=6.0),), asphalt_m=(-6.0, 6.0), seed=seed)
    assert not any(track.valid for _, track in wide.drive(tracker(), 30))


def test_without_paint_the_middle_of_a_narrow_road_is_followed_and_called_a_corridor() -> None:
    scene = Scene((), asphalt_m=(-LANE_M - 0.2, 0.2), seed=3)
    for state, track in scene.drive(tracker(), 12):
        if track.valid:
            assert abs(scene.error_m(track, state, 10.0)) < 0.15
    assert track.valid
    assert track.source == 'corridor'


def test_a_corridor_with_a_line_along_its_middle_is_two_lanes_and_not_followed() -> None:
    scene = Scene((Stripe(-1.75),), asphalt_m=(-LANE_M - 0.2, 0.2))
    *_, (_, track) = scene.drive(tracker(), 6)
    assert not track.valid
    assert track.reason.endswith('of a line run inside of it')


@pytest.mark.parametrize(
    ('changes', 'asphalt_m', 'reason'),
    [
        ({}, (-4.0, 4.0), 'no corridor: the drivable ground is 8.0 m wide'),
        ({'corridor': False}, (-3.7, 0.2), 'too few pixels of any line'),
    ],
)
def test_without_paint_a_wide_road_or_no_wish_for_a_corridor_gives_no_lane(
    changes: dict[str, float], asphalt_m: tuple[float, float], reason: str
) -> None:
    scene = Scene((), asphalt_m=asphalt_m)
    *_, (_, track) = scene.drive(tracker(**changes), 6)
    assert not track.valid
    assert track.reason.endswith(reason)
    assert len(track.points()) == 0


def test_a_gap_is_coasted_through_and_ends_after_max_coast_s() -> None:
    scene, subject = Scene(seed=5), tracker(max_coast_s=0.5)
    assert [track.valid for _, track in scene.drive(subject, 10)][-1]
    bare = Scene((), seed=5)
    tracks = [track for _, track in bare.drive(subject, 20, first=10)]
    valid = [track.valid for track in tracks]
    assert valid == [True] * 10 + [False] * 10  # 0.5 s at 20 Hz
    assert tracks[5].age_s == pytest.approx(0.3)
    assert tracks[5].reason.startswith('coasting for 0.30 s: too few pixels')
    state = bare.state(60.0 + 19 * SPEED_MPS * PERIOD_NS * 1e-9)
    assert abs(bare.error_m(tracks[9], state, 10.0)) < 0.15


def test_a_lane_change_renumbers_the_lane_and_the_path_does_not_jump() -> None:
    scene = Scene((Stripe(-7.0), Stripe(-3.5, dash_m=3.0, gap_m=6.0), Stripe(0.0)))
    subject = tracker()
    path_m, left_m = [], []
    for frame in range(90):
        offset_m = -LANE_M * min(max((frame - 10) / 50.0, 0.0), 1.0)
        state = scene.state(60.0 + frame * 0.4, offset_m)
        track = subject.update(
            scene.view.labels(state), None, scene.view.table, frame * PERIOD_NS, SPEED_MPS, 0.0
        )
        if track.valid:
            path_m.append(float(track.centre.y(np.array([8.0]))[0]) + offset_m)
            left_m.append(track.left.c0 + offset_m)
    assert len(path_m) >= 86
    assert path_m[0] == pytest.approx(0.0, abs=0.05)
    assert path_m[-1] == pytest.approx(-LANE_M, abs=0.05)
    assert np.abs(np.diff(path_m)).max() < 0.2  # lane_change_mps / 20 Hz, and noise
    assert left_m[-1] == pytest.approx(1.75 - LANE_M, abs=0.05)


def test_a_lane_of_impossible_width_is_refused() -> None:
    scene = Scene(lane_stripes(3.0), lane_m=3.0)
    *_, (_, track) = scene.drive(tracker(width_min_m=3.6, width_expected_m=4.0), 6)
    assert not track.valid


def test_less_certain_pixels_count_less() -> None:
    scene = Scene((*STRIPES, Stripe(-0.7)))
    state = scene.state(60.0)
    labels = scene.view.labels(state)
    false_line = labels != Scene().view.labels(state)
    confidence = np.where(false_line, 5, 250).astype(np.uint8)
    subject = tracker()
    for frame in range(4):
        track = subject.update(labels, confidence, scene.view.table, frame, 0.0, 0.0)
    assert track.valid
    assert track.width_m == pytest.approx(LANE_M, abs=0.05)


def test_noise_is_no_lane() -> None:
    generator = np.random.default_rng(1)
    subject = tracker()
    table = STRAIGHT.view.table
    for frame in range(12):
        labels = np.full(table.shape[:2], ROAD, np.uint8)
        labels[generator.random(labels.shape) < 0.02] = LANE_MARKING
        assert not subject.update(labels, None, table, frame * PERIOD_NS).valid


def test_a_new_lane_needs_several_images() -> None:
    valid = [track.valid for _, track in STRAIGHT.drive(tracker(confirm_frames=4), 6)]
    assert valid == [False, False, False, True, True, True]


def test_a_track_without_odometry_follows_too_but_is_less_sure_while_it_coasts() -> None:
    subject = tracker()
    labels = STRAIGHT.view.labels(STRAIGHT.state(60.0, 0.3))
    seen = standing(labels, STRAIGHT.view.table, subject)
    assert seen.offset_m == pytest.approx(0.3, abs=0.03)
    blank = np.full_like(labels, ROAD)
    coasted = subject.update(blank, None, STRAIGHT.view.table, 4 * PERIOD_NS + 50_000_000)
    assert coasted.valid
    assert coasted.covariance[0][0] > 1.3 * seen.covariance[0][0]


@pytest.mark.parametrize('stamp_ns', [-1, 10_000_000_000])
def test_a_stamp_that_jumps_starts_anew(stamp_ns: int) -> None:
    subject = tracker()
    labels = STRAIGHT.view.labels(STRAIGHT.state(60.0))
    assert standing(labels, STRAIGHT.view.table, subject).valid
    track = subject.update(labels, None, STRAIGHT.view.table, stamp_ns)
    assert not track.valid
    assert 'confirmed' in track.reason


def test_a_table_of_another_size_is_refused() -> None:
    table = camera().ground_table((320, 180))
    labels = np.zeros((360, 640), np.uint8)
    with pytest.raises(ConfigurationError, match='320x180 pixels, the label image has 640x360'):
        tracker().update(labels, None, table, 0)


def test_a_camera_that_sees_no_ground_gives_no_lane_and_says_so() -> None:
    table = camera(replace(MOUNT, pitch=-1.2)).ground_table()
    track = tracker().update(np.zeros((360, 640), np.uint8), None, table, 0)
    assert (track.valid, track.reason) == (False, 'the camera sees no ground')


def test_a_small_robot_follows_its_lane_on_the_floor() -> None:
    config = config_from_values(LaneConfig(), SMALL_ROBOT['lane'])
    scene = Scene(
        (Stripe(-0.5, 0.03), Stripe(0.0, 0.03, dash_m=0.2, gap_m=0.2)),
        mount=Mount(**{name: values[0] for name, values in SMALL_ROBOT['mount'].items()}),
        fov_deg=75.0,
        lane_m=0.5,
    )
    subject = LaneTracker(config, LABEL_MAP, VehicleConfig(**SMALL_ROBOT['vehicle']))
    for frame in range(10):
        state = scene.state(60.0 + 0.03 * frame, 0.08, math.radians(3.0))
        track = subject.update(
            scene.view.labels(state), None, scene.view.table, frame * PERIOD_NS, 0.6, 0.0
        )
    assert track.valid
    assert track.offset_m == pytest.approx(0.08, abs=0.01)
    assert track.heading_rad == pytest.approx(math.radians(3.0), abs=0.01)
    assert track.width_m == pytest.approx(0.5, abs=0.01)
    assert len(track.points(0.1)) > 10


DASHED, FAR_SIDE = Stripe(0.0, dash_m=3.0, gap_m=6.0), Stripe(3.5)
RAMP = Stripe(EGO_RIGHT_M, from_m=95.0, to_m=130.0, drift=-0.1)
FORKS = {
    'an exit beside a lane that goes on': (
        DASHED,
        FAR_SIDE,
        Stripe(EGO_RIGHT_M, to_m=95.0),
        Stripe(EGO_RIGHT_M, from_m=95.0, dash_m=1.5, gap_m=1.5),
        RAMP,
        Stripe(-7.0, from_m=130.0),
    ),
    'lines that part to both sides': (
        Stripe(0.0, to_m=95.0),
        Stripe(0.0, from_m=95.0, to_m=150.0, drift=0.06),
        Stripe(EGO_RIGHT_M, to_m=95.0),
        Stripe(EGO_RIGHT_M, from_m=95.0, to_m=150.0, drift=-0.06),
    ),
    'a lane that merges from the right': (
        DASHED,
        FAR_SIDE,
        Stripe(-7.0, to_m=95.0),
        Stripe(EGO_RIGHT_M, to_m=95.0, dash_m=1.5, gap_m=1.5),
        Stripe(-7.0, from_m=95.0, to_m=130.0, drift=0.1),
        Stripe(EGO_RIGHT_M, from_m=130.0),
    ),
}


@pytest.mark.parametrize('what', FORKS)
def test_at_a_fork_or_merge_the_lane_is_right_or_not_valid(what: str) -> None:
    scene = Scene(FORKS[what], asphalt_m=(-12.0, 4.0))
    tracks = list(scene.drive(tracker(), 190))
    for state, track in tracks:
        if track.valid:
            assert abs(scene.error_m(track, state, 10.0)) < 0.31, (state.s_m, track.reason)
    assert tracks[50][1].valid


def test_an_edge_that_leaves_alone_is_not_followed_past_the_other_line() -> None:
    scene = Scene(
        (DASHED, FAR_SIDE, Stripe(EGO_RIGHT_M, to_m=95.0), RAMP, Stripe(-7.0, from_m=130.0)),
        asphalt_m=(-12.0, 4.0),
    )
    tracks = list(scene.drive(tracker(), 190))
    assert tracks[40][1].valid
    assert not any(track.valid for state, track in tracks if state.s_m > 105.0)

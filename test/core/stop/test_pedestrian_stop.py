# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from seg_ros.core.errors import ConfigurationError
from seg_ros.core.geometry.ground_scale import GroundScale
from seg_ros.core.image.health import ImageHealth, health_of
from seg_ros.core.labels import LabelClass, LabelMap
from seg_ros.core.stop.config import StopConfig
from seg_ros.core.stop.decision import StopDecision, StopKind
from seg_ros.core.stop.pedestrian_stop import NO_GEOMETRY, PedestrianStop, _Memory
from seg_ros.core.stop.picture_monitor import PictureMonitor
from seg_ros.core.stop.vehicle_stop import VehicleStop
from seg_ros.core.stop.zones import CorridorZone, Motion, stopping_distance_m
from seg_ros.core.vehicle import CAR, VehicleConfig
from test.people_scene import (
    LABEL_MAP,
    MS,
    PAVEMENT,
    PERSON,
    ROAD,
    add_person,
    camera,
    empty_road,
    frame_with,
    ground,
)

FRAME_NS = 50 * MS
EMPTY = empty_road()
IN_THE_WAY = frame_with((10.0, 0.0))
CONFIG = StopConfig()
MARKING, VEHICLE = 11, 8


class Drive:
    """Frames and heartbeats at 20 Hz, each frame judged when it is made."""

    def __init__(
        self,
        config: StopConfig = CONFIG,
        speed_mps: float | None = 5.0,
        vehicle: VehicleConfig = CAR,
    ) -> None:
        self.stop = PedestrianStop(config, LABEL_MAP, vehicle)
        self.pictures = PictureMonitor()
        self.speed_mps = speed_mps
        self.now_ns = 100_000 * MS
        self.picture = 0

    def frame(
        self,
        labels: NDArray[np.uint8] = EMPTY,
        *,
        stamp_ns: int | None = None,
        confidence: NDArray[np.uint8] | None = None,
        contrast: float = 50.0,
        moves: bool = True,
        scale: GroundScale | None = None,
        lane: NDArray[np.float64] | None = None,
    ) -> StopDecision:
        self.now_ns += FRAME_NS
        self.picture += moves
        if self.speed_mps is not None:
            self.stop.odometry(Motion(self.now_ns, self.speed_mps))
        stamp_ns = self.now_ns if stamp_ns is None else stamp_ns
        health = ImageHealth(self.picture, contrast)
        self.stop.update(
            labels,
            stamp_ns,
            now_ns=self.now_ns,
            confidence=confidence,
            picture=self.pictures.update(health, stamp_ns, self.stop.config),
            ground=ground() if scale is None else scale,
            lane=lane,
        )
        return self.stop.check(self.now_ns)

    def frames(self, count: int, labels: NDArray[np.uint8] = EMPTY) -> StopDecision:
        decisions = [self.frame(labels) for _ in range(count)]
        return decisions[-1]

    def clear(self) -> Drive:
        assert not self.frames(5).stop
        return self


def test_before_the_first_frame_it_is_a_stop() -> None:
    decision = PedestrianStop(CONFIG, LABEL_MAP).check(0)
    assert decision.stop
    assert decision.kind == 'no_frame'


def test_the_stop_before_the_first_frame_is_as_old_as_the_first_question() -> None:
    stop = PedestrianStop(CONFIG, LABEL_MAP)
    assert [stop.check(now_ns).since_ns for now_ns in (7, 8, 9)] == [7, 7, 7]


def test_the_way_is_clear_after_confirm_frames_good_frames() -> None:
    drive = Drive()
    kinds = [drive.frame().kind for _ in range(4)]
    assert kinds == ['unproven', 'unproven', 'clear', 'clear']


def test_a_person_in_the_way_stops_within_confirm_frames_and_is_described() -> None:
    drive = Drive().clear()
    kinds = [drive.frame(IN_THE_WAY).kind for _ in range(3)]
    assert kinds == ['clear', 'clear', 'person']
    decision = drive.frame(IN_THE_WAY)
    assert decision.person is not None
    assert decision.person.distance_m == pytest.approx(10.0, abs=0.4)
    assert decision.person.time_to_zone_s == 0.0
    assert '10.' in decision.reason or '9.' in decision.reason
    assert decision.zone == 'corridor straight on'


def test_since_says_when_the_stop_began() -> None:
    drive = Drive().clear()
    drive.frames(3, IN_THE_WAY)
    began_ns = drive.now_ns
    assert drive.frames(20, IN_THE_WAY).since_ns == began_ns
    resumed = drive.frames(60)
    assert not resumed.stop
    assert began_ns < resumed.since_ns <= drive.now_ns


@pytest.mark.parametrize(
    ('place', 'stops'),
    [
        ((10.0, 0.0), True),
        ((10.0, 1.3), True),
        ((10.0, -1.3), True),
        ((10.0, 2.2), False),
        ((10.0, -2.2), False),
        ((12.5, 0.0), True),
        ((22.0, 0.0), False),
    ],
)
def test_who_stands_in_the_corridor_stops_and_who_stands_beside_does_not(
    place: tuple[float, float], stops: bool
) -> None:
    drive = Drive(speed_mps=4.0).clear()  # needs 3.6 + 3 + 2 + 3.2 = 11.8 m
    seen = [frame_with((place[0] - 0.2 * i, place[1])) for i in range(6)]
    assert any(drive.frame(labels, lane=LANE).stop for labels in seen) is stops


LANE = np.array([(0.0, 0.0), (40.0, 0.0)])


def walk(drive: Drive, y0: float, vy: float, frames: int, x: float = 11.0) -> list[StopDecision]:
    """Decisions while a person walks across in front of a vehicle that stands."""
    drive.speed_mps = 0.0
    drive.clear()
    return [drive.frame(frame_with((x, y0 + vy * 0.05 * i)), lane=LANE) for i in range(frames)]


NEAR_ZONE = replace(CONFIG, margin_m=9.0)


@pytest.mark.parametrize('vy', [-0.8, -1.4, -2.5])
def test_who_walks_towards_the_corridor_stops_before_stepping_in(vy: float) -> None:
    frames = int(4.0 / -vy / 0.05)
    decisions = walk(Drive(NEAR_ZONE), 4.0, vy, frames)
    stopped_at = 4.0 + vy * 0.05 * next(i for i, d in enumerate(decisions) if d.stop)
    assert stopped_at > 1.5
    kinds = {decision.kind for decision in decisions}
    assert {'clear', 'approaching', 'person'} <= kinds


def test_who_walks_towards_the_corridor_out_of_the_picture_stops_until_it_must_be_past() -> None:
    stands_at_once = VehicleConfig(max_acceleration_mps2=100.0)
    drive = Drive(NEAR_ZONE, speed_mps=5.0, vehicle=stands_at_once).clear()
    stops, inside = [], []
    for index in range(125):
        x, y = 16.0 - 0.25 * min(index, 36), 6.5 - 0.07 * index
        drive.speed_mps = 5.0 if index < 36 else 0.0
        is_seen = y < 0.57 * (x - 1.5) and index < 36
        stops.append(drive.frame(frame_with((x, y)) if is_seen else EMPTY, lane=LANE).stop)
        inside.append(abs(y) < 1.5)
    assert not any(stops[:36])
    first = stops.index(True)
    assert first < inside.index(True)
    assert all(stops[first : 125 - inside[::-1].index(True)])


def test_without_anticipation_the_stop_begins_at_the_corridor() -> None:
    decisions = walk(Drive(replace(NEAR_ZONE, anticipate_s=0.0)), 4.0, -1.4, 50)
    stopped_at = 4.0 - 1.4 * 0.05 * next(i for i, d in enumerate(decisions) if d.stop)
    assert stopped_at == pytest.approx(1.5, abs=0.2)


@pytest.mark.parametrize('vy', [0.0, 0.8, 2.0])
def test_who_stands_beside_or_walks_away_does_not_stop(vy: float) -> None:
    decisions = walk(Drive(NEAR_ZONE), 2.0, vy, 40)
    assert not any(decision.stop for decision in decisions)


def test_who_walks_along_the_pavement_does_not_stop() -> None:
    drive = Drive(NEAR_ZONE, speed_mps=0.0).clear()
    decisions = [drive.frame(frame_with((8.0 + 0.07 * i, 2.1)), lane=LANE).stop for i in range(60)]
    assert not any(decisions)


def test_without_a_lane_the_pavement_under_the_feet_decides() -> None:
    for labels, stops in ((_on_pavement(1.2), False), (IN_THE_WAY, True)):
        assert Drive().clear().frames(5, labels).stop is stops
    counting = Drive(replace(CONFIG, pavement_counts=True)).clear()
    assert counting.frames(5, _on_pavement(1.2)).stop


def test_everybody_counts_on_the_pavement_that_a_robot_drives_on() -> None:
    robot = Drive(replace(CONFIG, walkable_is_ground=True)).clear()
    assert robot.frames(5, _on_pavement(1.2)).kind == 'person'


def test_a_vehicle_that_is_wider_than_a_car_has_a_wider_middle_of_the_way() -> None:
    bus = Drive()
    bus.stop = PedestrianStop(CONFIG, LABEL_MAP, VehicleConfig(half_width_m=1.25))
    assert bus.clear().frames(5, _on_pavement(1.2)).kind == 'person'


@pytest.mark.parametrize('y', [-0.8, 0.0, 0.6])
def test_who_stands_in_the_middle_of_a_guessed_way_stops_on_any_ground(y: float) -> None:
    assert Drive().clear().frames(5, _on_pavement(y)).kind == 'person'


def _on_pavement(y: float) -> NDArray[np.uint8]:
    labels = empty_road()
    labels[labels == ROAD] = PAVEMENT
    return add_person(labels, 10.0, y)


@pytest.mark.parametrize('place', [(10.0, 1.1), (9.0, 1.2), (12.0, -1.2)])
@pytest.mark.parametrize('roles', [('drivable', 'lane'), ('lane',)])
@pytest.mark.parametrize(('surface', 'stops'), [(ROAD, True), (MARKING, True), (PAVEMENT, False)])
def test_who_stands_on_road_or_on_a_lane_marking_in_the_zone_stops(
    surface: int, stops: bool, roles: tuple[str, ...], place: tuple[float, float]
) -> None:
    decision = _knows_markings(*roles).clear().frames(5, _on_line(surface, *place))
    assert decision.stop is stops
    assert decision.kind == ('person' if stops else 'clear')


@pytest.mark.parametrize(('y_m', 'stops'), [(1.2, True), (2.2, False)])
def test_on_a_lane_marking_the_zone_decides(y_m: float, stops: bool) -> None:
    drive, labels = _knows_markings('drivable', 'lane').clear(), _on_line(MARKING, 10.0, y_m)
    assert [drive.frame(labels, lane=LANE).stop for _ in range(5)][-1] is stops


def _knows_markings(*roles: str) -> Drive:
    marking = LabelClass(MARKING, 'lane_marking', (1, 1, 1), roles)
    drive = Drive()
    drive.stop = PedestrianStop(CONFIG, LabelMap((*LABEL_MAP.classes, marking)))
    return drive


def _on_line(surface: int, x: float, y: float) -> NDArray[np.uint8]:
    """Somebody whose feet are on a line along the road, with pavement on both of its sides."""
    labels = empty_road()
    labels[labels == ROAD] = PAVEMENT
    with np.errstate(invalid='ignore'):
        labels[np.abs(camera().ground_table()[..., 1] - y) < 0.125] = surface
    return add_person(labels, x, y)


def test_who_walks_from_the_pavement_to_the_middle_of_the_way_stops() -> None:
    drive = Drive(NEAR_ZONE, speed_mps=0.0).clear()
    decisions = []
    for i in range(30):
        labels = empty_road()
        labels[labels == ROAD] = PAVEMENT
        decisions.append(drive.frame(add_person(labels, 11.0, 2.5 - 0.07 * i)).stop)
    assert any(decisions)


def test_a_zone_that_reaches_further_than_max_distance_counts_whole() -> None:
    config = replace(CONFIG, max_distance_m=5.0)
    assert Drive(config).clear().frames(5, IN_THE_WAY).kind == 'person'


def test_a_polygon_zone_is_what_it_says() -> None:
    config = replace(CONFIG, zone='polygon', polygon_m=(5.0, 2.0, 15.0, 2.0, 15.0, 4.0, 5.0, 4.0))
    assert Drive(config).clear().frames(5, frame_with((10.0, 3.0))).kind == 'person'
    assert Drive(config).clear().frames(5, IN_THE_WAY).kind == 'clear'


def test_without_a_calibration_the_image_zone_decides() -> None:
    stop = PedestrianStop(CONFIG, LABEL_MAP)
    for i in range(5):
        decision = stop.update(IN_THE_WAY, i * FRAME_NS)
    assert decision.kind == 'person'
    assert decision.zone == 'image zone'
    assert decision.person is not None
    assert math.isnan(decision.person.distance_m)


@pytest.mark.parametrize(('height', 'speed_mps', 'stops'), [(12, 0.0, False), (12, 12.0, True),
    (12, 3.0, False), (14, 8.0, True)])  # fmt: skip
def test_who_is_too_small_to_be_within_the_stopping_distance_of_any_lens_does_not_stop(
    height: int, speed_mps: float, stops: bool
) -> None:
    drive = Drive(replace(CONFIG, zone='image'), speed_mps=speed_mps).clear()
    labels = empty_road()
    labels[204 - height : 204, 318:322] = PERSON
    assert (drive.frames(5, labels).kind == 'person') is stops


def test_no_odometry_means_the_worst_case_speed() -> None:
    far = frame_with((18.0, 0.0))
    assert Drive(speed_mps=1.0).clear().frames(5, far).kind == 'clear'
    assert Drive(speed_mps=None).clear().frames(5, far).kind == 'person'


@pytest.mark.parametrize('speed_mps', [1.0, 15.0])
def test_stale_odometry_means_the_corridor_of_the_worst_case_speed_or_a_faster_one_it_had(
    speed_mps: float,
) -> None:
    config = replace(CONFIG, odometry='optional', odometry_timeout_s=0.5)
    drive = Drive(config, speed_mps).clear()
    drive.speed_mps = None
    lengths_m, reaches_m = [], []
    for _ in range(12):
        drive.frame()
        assert isinstance(drive.stop.zone, CorridorZone)
        lengths_m.append(drive.stop.zone.length_m)
        reaches_m.append(drive.stop.zone.reach_m)
    known_m, worst_m = (
        stopping_distance_m(speed, config)
        for speed in (speed_mps, max(speed_mps, config.worst_case_speed_mps))
    )
    assert lengths_m == pytest.approx([known_m] * 10 + [worst_m] * 2)
    assert reaches_m[-1] == pytest.approx(worst_m + config.corridor_half_width_m)


def test_who_is_within_the_worst_case_corridor_stops_once_odometry_is_stale() -> None:
    far = frame_with((18.0, 0.0))
    drive = Drive(replace(CONFIG, odometry='optional'), speed_mps=1.0).clear()
    assert drive.frames(5, far).kind == 'clear'
    drive.speed_mps = None
    kinds = [drive.frame(far).kind for _ in range(12)]
    assert kinds == ['clear'] * 10 + ['person'] * 2


def test_stale_odometry_says_nothing_of_a_turn() -> None:
    drive = Drive(speed_mps=None)

    def side_m() -> float:
        drive.frame()
        assert drive.stop.zone is not None
        return float(np.abs(drive.stop.zone.outline()[:, 1]).max())

    drive.stop.odometry(Motion(drive.now_ns, 5.0, 0.3))
    sides_m = [side_m() for _ in range(12)]
    assert min(sides_m[:10]) > 3.0
    assert sides_m[10:] == pytest.approx([CONFIG.corridor_half_width_m] * 2)


def _no_more_frames(drive: Drive) -> StopDecision:
    drive.now_ns += 600 * MS
    drive.stop.odometry(Motion(drive.now_ns, 5.0))
    return drive.stop.check(drive.now_ns)


def _old_frames(drive: Drive) -> StopDecision:
    return [drive.frame(stamp_ns=drive.now_ns - 550 * MS) for _ in range(15)][-1]


def _frames_from_the_future(drive: Drive) -> StopDecision:
    return drive.frame(stamp_ns=drive.now_ns + 700 * MS)


def _failed_inference(drive: Drive) -> StopDecision:
    drive.stop.failed('the network raised BackendError')
    return drive.stop.check(drive.now_ns)


def _unsure(drive: Drive) -> StopDecision:
    return drive.frame(confidence=np.full(EMPTY.shape, 60, np.uint8))


def _covered(drive: Drive) -> StopDecision:
    return drive.frame(contrast=0.7)


def _frozen(drive: Drive) -> StopDecision:
    return [drive.frame(moves=False) for _ in range(21)][-1]


def _odometry_lost(drive: Drive) -> StopDecision:
    drive.speed_mps = None
    return [drive.frame() for _ in range(11)][-1]


def _empty_labels(drive: Drive) -> StopDecision:
    return drive.frame(np.zeros((0, 0), np.uint8))


def _other_size(drive: Drive) -> StopDecision:
    return drive.frame(np.full((180, 320), ROAD, np.uint8))


def _clock_back(drive: Drive) -> StopDecision:
    drive.now_ns -= 50_000 * MS
    return drive.stop.check(drive.now_ns)


def _clock_forwards(drive: Drive) -> StopDecision:
    drive.now_ns += 3_600_000 * MS
    drive.stop.odometry(Motion(drive.now_ns, 5.0))
    return drive.stop.check(drive.now_ns)


def _sim_time_loop(drive: Drive) -> StopDecision:
    drive.now_ns -= 90_000 * MS
    return drive.frame()


FAULTS: dict[str, tuple[Callable[[Drive], StopDecision], str, str]] = {
    'camera dies': (_no_more_frames, 'stale', r'0\.60 s old'),
    'old frames keep coming': (_old_frames, 'stale', 's old'),
    'stamps from the future': (_frames_from_the_future, 'future_stamp', 'ahead of the clock'),
    'inference raises': (_failed_inference, 'failed', 'BackendError'),
    'the network is unsure': (_unsure, 'low_confidence', r'0\.24'),
    'the lens is covered': (_covered, 'low_contrast', r'0\.7, less than 3\.0'),
    'the image is frozen': (_frozen, 'frozen', r'1\.\d s'),
    'odometry is lost': (_odometry_lost, 'no_odometry', r'0\.55 s old'),
    'an empty label image': (_empty_labels, 'failed', r'\(0, 0\)'),
    'a label image of another size': (_other_size, 'no_geometry', r'\(180, 320\)'),
    'the clock jumps back': (_clock_back, 'no_frame', 'no frame'),
    'the clock jumps forwards': (_clock_forwards, 'stale', 's old'),
    'sim time loops': (_sim_time_loop, 'unproven', '1 good frames'),
}


@pytest.mark.parametrize('name', FAULTS)
def test_every_fault_is_a_stop_with_its_reason_and_is_recovered_from(name: str) -> None:
    fault, kind, words = FAULTS[name]
    drive = Drive().clear()
    decision = fault(drive)
    assert (decision.stop, decision.kind) == (True, kind)
    assert re.search(words, decision.reason)
    assert isinstance(decision.kind, StopKind)
    drive.speed_mps = 5.0
    after = [drive.frame().stop for _ in range(4)]
    assert after[-1] is False
    assert after[0] is (kind != 'no_odometry')  # the frames were good all the time


@pytest.mark.parametrize(
    ('rule', 'never_came', 'was_lost'),
    [
        ('optional', 'clear', 'clear'),
        ('once_seen', 'clear', 'no_odometry'),
        ('required', 'no_odometry', 'no_odometry'),
    ],
)
def test_missing_odometry_means_what_the_rule_says(
    rule: str, never_came: str, was_lost: str
) -> None:
    config = replace(CONFIG, odometry=rule)
    assert Drive(config, speed_mps=None).frames(5).kind == never_came
    drive = Drive(config)
    drive.frames(5)
    drive.speed_mps = None
    assert drive.frames(15).kind == was_lost


@pytest.mark.parametrize('scale', [GroundScale(np.full((360, 640, 2), np.nan, np.float32))])
def test_unknown_geometry_is_a_stop_when_it_is_required(scale: GroundScale) -> None:
    drive = Drive(replace(CONFIG, require_geometry=True)).clear()
    assert drive.frame(scale=scale).kind == 'no_geometry'
    assert not Drive().clear().frame(scale=scale).stop


def test_a_person_of_before_a_clock_jump_is_held_after_it() -> None:
    drive = Drive().clear()
    drive.frames(5, IN_THE_WAY)
    drive.now_ns -= 80_000 * MS
    decisions = [drive.frame() for _ in range(24)]
    held = [decision.stop for decision in decisions]
    assert held.index(False) in {19, 20, 21}


def test_a_late_frame_changes_nothing() -> None:
    drive = Drive().clear()
    decision = drive.frame(IN_THE_WAY, stamp_ns=drive.now_ns - 30 * MS)
    assert decision.kind == 'clear'
    assert drive.stop.people == ()


def test_one_bad_frame_needs_a_new_proof() -> None:
    drive = Drive().clear()
    drive.stop.failed('a broken jpeg')
    assert [drive.frame().kind for _ in range(3)] == ['unproven', 'unproven', 'clear']


def test_other_numbers_take_effect_and_the_way_is_proven_anew() -> None:
    drive = Drive(speed_mps=0.0).clear()
    assert not drive.frames(3, IN_THE_WAY).stop
    drive.stop.configure(NEAR_ZONE)
    assert drive.stop.check(drive.now_ns).kind == 'unproven'
    assert drive.frames(3, IN_THE_WAY).kind == 'person'


def test_a_label_map_without_people_is_refused() -> None:
    roads_only = LabelMap((LabelClass(3, 'road', (1, 2, 3), ('drivable',)),))
    with pytest.raises(ConfigurationError, match='role pedestrian'):
        PedestrianStop(CONFIG, roads_only)


@pytest.mark.parametrize(
    'labels',
    [
        np.full((360, 640), PERSON, np.uint8),
        np.full((360, 640), 255, np.uint8),
        np.full((1, 1), PERSON, np.uint8),
        np.zeros((0, 640), np.uint8),
        np.zeros((3, 4, 5), np.uint8),
    ],
    ids=['all people', 'unlabelled', 'one pixel', 'no rows', 'three axes'],
)
def test_odd_images_raise_nothing(labels: NDArray[np.uint8]) -> None:
    nowhere = GroundScale(np.full((360, 640, 2), np.nan, np.float32))
    for scale in (ground(), nowhere):
        drive = Drive()
        decisions = [drive.frame(labels, scale=scale) for _ in range(5)]
    if labels.shape == (360, 640) and labels[0, 0] == PERSON:
        assert decisions[-1].stop


def test_a_wall_of_people_is_a_stop() -> None:
    assert Drive().frames(5, np.full((360, 640), PERSON, np.uint8)).kind == 'person'


@given(hold_ms=st.integers(0, 3000), seen=st.integers(3, 20), checks=st.integers(1, 40))
@settings(max_examples=25, deadline=None)
def test_a_stop_lasts_exactly_hold_s_after_the_last_confirmed_hit(
    hold_ms: int, seen: int, checks: int
) -> None:
    config = replace(CONFIG, hold_s=hold_ms / 1000.0, coast_s=0.0, zone='image')
    drive = Drive(config).clear()
    drive.frames(seen, IN_THE_WAY)
    last_hit_ns = drive.now_ns
    for _ in range(checks):
        assert drive.frame().stop is (drive.now_ns - last_hit_ns < hold_ms * MS)


@given(st.integers(0, 5000))
@settings(max_examples=60, deadline=None)
def test_silence_for_stale_timeout_is_a_stop(silence_ms: int) -> None:
    drive = Drive(replace(CONFIG, odometry='optional')).clear()
    decision = drive.stop.check(drive.now_ns + silence_ms * MS)
    assert decision.stop is (silence_ms > 500)


@given(
    st.lists(
        st.tuples(st.sampled_from(['frame', 'person', 'check', 'fail']), st.integers(-3000, 3000)),
        max_size=30,
    )
)
@settings(max_examples=40, deadline=None)
def test_clear_is_said_only_with_fresh_good_frames_behind_it(
    story: Sequence[tuple[str, int]],
) -> None:
    stop = PedestrianStop(CONFIG, LABEL_MAP)
    now_ns, good, newest_ns = 1_000_000 * MS, 0, 0
    for what, step_ms in story:
        now_ns += step_ms * MS
        if what == 'fail':
            stop.failed('it is broken')
            good = 0
        elif what != 'check':
            labels = IN_THE_WAY if what == 'person' else EMPTY
            stop.update(labels, now_ns, now_ns=now_ns, ground=ground())
            good, newest_ns = good + 1, now_ns
        decision = stop.check(now_ns)
        if not decision.stop:
            assert good >= CONFIG.confirm_frames
            assert 0 <= now_ns - newest_ns <= 500 * MS


def test_one_camera_that_stops_is_enough_and_each_keeps_its_own_reason() -> None:
    left, right = Drive().clear(), Drive().clear()
    vehicle = VehicleStop({'left': left.stop, 'right': right.stop})
    assert not vehicle.check(left.now_ns).stop
    for _ in range(15):
        left.frame()
    decision = vehicle.check(left.now_ns)
    assert decision.stop
    assert decision.camera == 'right'
    assert decision.decision.reason.startswith('right: ')
    assert {name: d.kind for name, d in decision.cameras.items()} == {
        'left': 'clear',
        'right': 'stale',
    }


def test_the_camera_that_sees_a_person_speaks_before_the_one_that_is_stale() -> None:
    left, right = Drive().clear(), Drive().clear()
    for _ in range(15):
        left.frame(IN_THE_WAY)
    decision = VehicleStop({'right': right.stop, 'left': left.stop}).check(left.now_ns)
    assert (decision.camera, decision.decision.kind) == ('left', 'person')


def test_without_cameras_it_is_a_stop() -> None:
    decision = VehicleStop({}).check(0)
    assert decision.stop
    assert decision.decision.kind == 'no_camera'


def test_health_tells_pictures_apart_and_sees_darkness() -> None:
    noise = np.random.default_rng(1).integers(0, 255, (360, 640, 3)).astype(np.uint8)
    other = noise.copy()
    other[10, 10] ^= 1  # one of those that are looked at
    assert health_of(noise) == health_of(noise.copy())
    assert health_of(noise).fingerprint != health_of(other).fingerprint
    assert health_of(noise).contrast > 20.0
    for level in (0, 255):
        assert health_of(np.full((360, 640, 3), level, np.uint8)).contrast == 0.0
    assert health_of(np.zeros((0, 0, 3), np.uint8)).contrast == 0.0
    assert health_of(noise[..., 0]).contrast > 20.0


def far_car(*, is_roof_seen: bool, width_px: int = 18, height_px: int = 16) -> NDArray[np.uint8]:
    """The middle of a car far ahead, as a network takes it for people."""
    labels = empty_road()
    bottom, left = 212, 320 - width_px // 2
    if is_roof_seen:
        labels[bottom - height_px - 6 : bottom - 2, left - 4 : left + width_px + 4] = VEHICLE
    labels[bottom - height_px : bottom, left : left + width_px] = PERSON
    return labels


def kinds_without_ground(labels: NDArray[np.uint8]) -> set[str]:
    stop = PedestrianStop(replace(StopConfig(), image_zone_adapts=False), LABEL_MAP)
    return {stop.update(labels, index * 100 * MS).kind for index in range(30)}


def test_the_middle_of_a_far_car_is_nobody_where_nothing_is_known_about_the_ground() -> None:
    assert 'person' not in kinds_without_ground(far_car(is_roof_seen=True))
    assert 'person' in kinds_without_ground(far_car(is_roof_seen=False))


def test_somebody_in_front_of_a_car_stops_however_far_away_and_whoever_is_larger_does() -> None:
    assert 'person' in kinds_without_ground(far_car(is_roof_seen=True, width_px=7))
    assert 'person' in kinds_without_ground(far_car(is_roof_seen=True, width_px=28, height_px=26))


@pytest.mark.parametrize(('ago_frames', 'is_held'), [(10, True), (60, False)])
def test_a_person_is_held_over_a_clock_jump_as_long_as_without_one(
    ago_frames: int, is_held: bool
) -> None:
    drive = Drive().clear()
    drive.frames(5, IN_THE_WAY)
    drive.frames(ago_frames)
    drive.now_ns -= 80_000 * MS
    decisions = [drive.frame() for _ in range(8)]  # the way is proven anew after three
    assert decisions[-1].stop == is_held


def test_a_step_of_the_vehicle_in_a_turn_is_along_the_chord() -> None:
    stop = PedestrianStop(CONFIG, LABEL_MAP)
    stop.update(EMPTY, 0, now_ns=0, ground=ground())
    stop.odometry(Motion(500 * MS, 4.0, 0.6))
    step = stop._ego_step(500 * MS)
    assert step is not None
    radius_m, turn_rad = 4.0 / 0.6, 0.3
    assert step.x_m == pytest.approx(radius_m * math.sin(turn_rad), rel=0.01)
    assert step.y_m == pytest.approx(radius_m * (1.0 - math.cos(turn_rad)), rel=0.01)
    assert step.yaw_rad == pytest.approx(turn_rad)


def test_the_period_of_the_frames_follows_slowly() -> None:
    memory = _Memory()
    periods = []
    for stamp_ms in (0, 100, 200, 400):
        memory.take_step(stamp_ms * MS)
        periods.append(memory.period_s)
    assert periods[:3] == [None, pytest.approx(0.1), pytest.approx(0.1)]
    assert 0.1 < periods[3] < 0.2


def test_the_reason_names_its_camera_only_where_several_are_and_one_stops() -> None:
    alone = VehicleStop({'front': Drive().stop}).check(0)
    assert alone.stop
    assert not alone.decision.reason.startswith('front')
    left, right = Drive().clear(), Drive().clear()
    go = VehicleStop({'left': left.stop, 'right': right.stop}).check(left.now_ns)
    assert not go.stop
    assert ': ' not in go.decision.reason


@pytest.mark.parametrize(('ahead_ms', 'kind'), [(100, 'clear'), (101, 'future_stamp')])
def test_a_stamp_may_be_ahead_of_the_clock_by_the_tolerance_itself(
    ahead_ms: int, kind: str
) -> None:
    drive = Drive().clear()
    decision = drive.frame(stamp_ns=drive.now_ns + FRAME_NS + ahead_ms * MS)
    assert decision.kind == kind
    if kind == 'clear':
        assert drive.stop.check(drive.now_ns - 2 * MS).kind == 'future_stamp'


@pytest.mark.parametrize(('level', 'kind'), [(102, 'clear'), (101, 'low_confidence')])
def test_the_mean_confidence_may_be_the_least_itself(level: int, kind: str) -> None:
    confidence = np.full(EMPTY.shape, level, np.uint8)  # 0.4 of 255 is 102
    assert Drive().clear().frame(confidence=confidence).kind == kind


def test_a_confidence_without_pixels_is_none_at_all_and_a_limit_of_0_asks_for_none() -> None:
    nothing = np.zeros((0, 640), np.uint8)
    assert Drive().clear().frame(confidence=nothing).kind == 'low_confidence'
    lax = Drive(replace(CONFIG, min_frame_confidence=0.0)).clear()
    assert lax.frame(confidence=nothing).kind == 'clear'


def test_required_geometry_says_why_there_is_none() -> None:
    for config in (replace(CONFIG, require_geometry=True), CONFIG):
        stop = PedestrianStop(config, LABEL_MAP)
        assert stop.update(EMPTY, 0).guess == ('' if config.require_geometry else NO_GEOMETRY)
        decision = stop.update(EMPTY, FRAME_NS, no_ground='the mounting is not known')
        told = decision.reason if config.require_geometry else decision.guess
        assert told == 'the mounting is not known'
    asked_for = PedestrianStop(replace(CONFIG, zone='image'), LABEL_MAP)
    assert asked_for.update(EMPTY, 0, no_ground='nobody asked').guess == ''


def test_in_a_picture_somebody_is_there_or_is_not_and_nobody_knows_how_far() -> None:
    stop = PedestrianStop(CONFIG, LABEL_MAP)
    for index in range(5):
        decision = stop.update(IN_THE_WAY, index * FRAME_NS)
    assert decision.reason == 'a person is in the zone (image zone)'
    assert decision.person is not None
    assert (decision.person.id, decision.person.time_to_zone_s) == (0, 0.0)
    aside = PedestrianStop(CONFIG, LABEL_MAP).update(frame_with((12.0, 5.5)), 0)
    assert aside.person is not None
    assert aside.person.time_to_zone_s == math.inf
    assert PedestrianStop(CONFIG, LABEL_MAP).update(EMPTY, 0).person is None


@pytest.mark.parametrize(
    ('y', 'vy', 'words'),
    [(0.5, 0.0, r'm away, 0\.[45] m to the left$'),
     (-0.5, 0.0, r'm away, 0\.[45] m to the right$'),
     (3.2, -1.4, r'm to the left, in [01]\.\d s$')],
)  # fmt: skip
def test_the_reason_says_where_somebody_is_and_when_it_arrives(
    y: float, vy: float, words: str
) -> None:
    decisions = walk(Drive(NEAR_ZONE), y, vy, 25, x=10.0)
    first = next(decision for decision in decisions if decision.stop)
    assert re.search(words, first.reason), first.reason
    assert ('in ' in first.reason.split('zone')[-1]) is (first.kind == 'approaching')


def test_of_several_people_the_first_to_be_in_the_zone_is_told_then_the_nearest() -> None:
    drive = Drive(NEAR_ZONE, speed_mps=0.0).clear()
    decision = drive.frames(6, frame_with((9.0, 0.5), (7.5, -2.6), (12.5, -0.9)))
    assert decision.person is not None
    assert decision.person.distance_m == pytest.approx(9.0, abs=0.4)
    assert decision.person.lateral_m == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize(('silence_ms', 'kind'), [(500, 'clear'), (501, 'unproven')])
def test_after_a_gap_of_more_than_the_stale_timeout_the_way_is_proven_anew(
    silence_ms: int, kind: str
) -> None:
    drive = Drive(replace(CONFIG, odometry='optional')).clear()
    drive.now_ns += silence_ms * MS - FRAME_NS
    decision = drive.frame()
    assert decision.kind == kind
    assert decision.reason.startswith('1 good frames') is (kind == 'unproven')


@pytest.mark.parametrize(('gap_ms', 'is_kept'), [(1000, True), (1001, False)])
def test_a_gap_of_more_than_a_jump_forgets_everybody(gap_ms: int, is_kept: bool) -> None:
    drive = Drive(replace(CONFIG, odometry='optional', coast_s=9.0)).clear()
    drive.frames(5, IN_THE_WAY)
    drive.now_ns += gap_ms * MS - FRAME_NS
    drive.frame(IN_THE_WAY)
    assert drive.stop.people[0].is_confirmed is is_kept


@pytest.mark.parametrize(('back_ms', 'kind'), [(1000, 'clear'), (1001, 'no_frame')])
def test_a_clock_that_steps_back_by_more_than_a_jump_begins_anew(back_ms: int, kind: str) -> None:
    lax = replace(CONFIG, stale_timeout_s=2.0, future_tolerance_s=2.0, odometry='optional')
    drive = Drive(lax).clear()
    assert drive.stop.check(drive.now_ns - back_ms * MS).kind == kind


def test_a_frame_of_the_same_stamp_again_changes_nothing() -> None:
    drive = Drive().clear()
    before = drive.stop.check(drive.now_ns)
    drive.now_ns -= FRAME_NS
    assert drive.frame(np.full(EMPTY.shape, 255, np.uint8)) == before


def test_what_was_not_seen_of_the_zone_is_a_fault_after_the_stale_timeout_and_not_at_it() -> None:
    blind = np.full(EMPTY.shape, 255, np.uint8)
    for late_ms, kind in ((500, 'clear'), (501, 'ground_not_seen')):
        stop = PedestrianStop(replace(CONFIG, zone='image', odometry='optional'), LABEL_MAP)
        for index in range(4):
            stop.update(EMPTY, index * FRAME_NS)
        for offset_ms in (250, late_ms):
            decision = stop.update(blind, 3 * FRAME_NS + offset_ms * MS)
        assert decision.kind == kind


def test_a_zone_that_was_never_seen_is_a_fault_at_once() -> None:
    stop = PedestrianStop(replace(CONFIG, zone='image'), LABEL_MAP)
    assert stop.update(np.full(EMPTY.shape, 255, np.uint8), 0).kind == 'ground_not_seen'


def test_a_hold_says_how_long_it_lasts_and_ends_with_it() -> None:
    config = replace(CONFIG, zone='image', coast_s=0.0, odometry='optional')
    drive = Drive(config, speed_mps=None).clear()
    drive.frames(4, IN_THE_WAY)
    hit_ns = drive.now_ns
    decision = drive.frames(6)
    assert (decision.kind, drive.now_ns - hit_ns) == ('hold', 300 * MS)
    assert decision.reason.endswith('the stop is held for 0.7 s more')
    drive.frames(13)
    assert drive.stop.check(hit_ns + 999 * MS).kind == 'hold'
    assert drive.stop.check(hit_ns + 1000 * MS).kind == 'clear'


@pytest.mark.parametrize(('ago_ms', 'is_held'), [(950, True), (1000, False)])
def test_a_clock_jump_holds_for_who_was_in_the_zone_within_hold_s(
    ago_ms: int, is_held: bool
) -> None:
    config = replace(CONFIG, zone='image', coast_s=0.0, odometry='optional')
    drive = Drive(config, speed_mps=None).clear()
    drive.frames(4, IN_THE_WAY)
    drive.frames(ago_ms // 50)
    drive.now_ns -= 80_000 * MS
    jumped_ns = drive.now_ns
    drive.stop.check(jumped_ns)
    kinds = [drive.frame().kind for _ in range(18)]
    assert ('hold' in kinds) is is_held
    if is_held:
        assert drive.stop.check(jumped_ns + 990 * MS).kind == 'hold'
        assert drive.stop.check(jumped_ns + 1000 * MS).kind == 'clear'


def test_the_least_that_is_told_of_the_rate_is_a_fifth_of_the_newest_step() -> None:
    memory = _Memory()
    for stamp_ms in (0, 100, 300):
        memory.take_step(stamp_ms * MS)
    assert memory.period_s == pytest.approx(0.1 + 0.2 * 0.1)
    assert memory.step_s == pytest.approx(0.2)


@pytest.mark.parametrize('yaw_rate_rps', [1.2, -1.2])
def test_a_step_of_half_a_second_in_a_tight_turn_is_along_its_chord(yaw_rate_rps: float) -> None:
    stop = PedestrianStop(CONFIG, LABEL_MAP)
    stop.update(EMPTY, 0, now_ns=0, ground=ground())
    stop.odometry(Motion(500 * MS, 4.0, yaw_rate_rps))
    step = stop._ego_step(500 * MS)
    assert step is not None
    angle = 0.5 * yaw_rate_rps
    assert (step.x_m, step.y_m) == pytest.approx(
        (2.0 * math.cos(0.5 * angle), 2.0 * math.sin(0.5 * angle))
    )
    assert step.yaw_rad == pytest.approx(angle)
    assert PedestrianStop(CONFIG, LABEL_MAP)._ego_step(500 * MS) is None


def test_who_is_as_wide_as_a_child_at_the_stopping_distance_of_the_widest_lens_counts() -> None:
    """1 m at 14.75 m through 120 degrees: 640 / (2 * 1.732 * 14.75) = 12.5 pixels."""
    drive = Drive(replace(CONFIG, zone='image'), speed_mps=4.0)
    length_m = stopping_distance_m(4.0, CONFIG)
    least_px = 640 / (2 * math.tan(math.radians(60.0)) * length_m)
    for height, stops in ((math.ceil(least_px), True), (math.floor(least_px), False)):
        labels = empty_road()
        labels[210 - height : 210, 317:323] = PERSON
        drive = Drive(replace(CONFIG, zone='image'), speed_mps=4.0).clear()
        assert (drive.frames(5, labels).kind == 'person') is stops


def test_two_points_are_a_lane_and_one_is_none() -> None:
    for lane, name in (
        (LANE, 'lane corridor'), (LANE[:1], 'corridor straight on'),
        (None, 'corridor straight on'),
        (np.array([(0.0, 0.0), (math.nan, 1.0)]), 'corridor straight on'),
    ):  # fmt: skip
        drive = Drive()
        assert drive.frame(lane=lane).zone == name


def test_who_is_further_away_than_max_distance_is_not_followed() -> None:
    for max_m, count in ((31.0, 1), (29.0, 0)):
        drive = Drive(replace(CONFIG, max_distance_m=max_m), speed_mps=1.0)
        drive.frames(2, frame_with((30.0, 0.0)))
        assert len(drive.stop.people) == count


def test_flashes_in_the_zone_are_forgotten_after_two_frames_without_one() -> None:
    for pattern, stops in (('1101', True), ('10010010', False)):
        stop = PedestrianStop(replace(CONFIG, zone='image', confirm_frames=3), LABEL_MAP)
        kinds = [
            stop.update(IN_THE_WAY if letter == '1' else EMPTY, index * FRAME_NS).kind
            for index, letter in enumerate('0000' + pattern)
        ]
        assert ('person' in kinds) is stops

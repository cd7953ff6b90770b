# SPDX-License-Identifier: Apache-2.0
"""Pedestrian stop of one camera: true unless the way is proven clear.

A frame goes in through ``update``; the heartbeat asks ``check``. It says "go" only while every
condition of a clear way holds. The class asks no clock and locks nothing: one caller at a time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import ArrayLike

from seg_ros.core.geometry.camera import Camera
from seg_ros.core.geometry.ground_scale import GroundScale
from seg_ros.core.labels import LabelMap
from seg_ros.core.stop.approach import CUT_STEPS, keeps_to_the_pavement, times_to_zone_s
from seg_ros.core.stop.config import StopConfig
from seg_ros.core.stop.decision import Fault, NearestPerson, StopDecision, StopKind
from seg_ros.core.stop.evidence import Evidence, frames_to_believe
from seg_ros.core.stop.frame_age import FrameAge
from seg_ros.core.stop.guessed_zone import WIDEST_LENS_RAD, GuessedZone, UprightWay
from seg_ros.core.stop.odometry import OdometryMonitor
from seg_ros.core.stop.people import EVEN_CONFIDENCE, PeopleFinder, SeenPerson
from seg_ros.core.stop.sight import ZoneSight, ZoneWatch
from seg_ros.core.stop.tracking import EgoStep, PeopleTracker, TrackedPerson
from seg_ros.core.stop.zones import (
    CorridorZone,
    GroundZone,
    ImageZone,
    Motion,
    PolygonZone,
    arc_ahead,
    polygon_zone,
    stopping_distance_m,
)
from seg_ros.core.types import ConfidenceImage, LabelImage
from seg_ros.core.units import NS_PER_S
from seg_ros.core.vehicle import CAR, VehicleConfig

__all__ = ['PedestrianStop', 'is_evidence_in']

LANE_CORRIDOR = 'lane corridor'
STRAIGHT_ON = 'corridor straight on'
INF = float('inf')
# Share of the width of the picture, at a distance of 1 m, that a child of 1 m takes through the
# widest plausible lens, 120 degrees: who is smaller than that at the stopping distance is beyond.
NEAR_CHILD_SHARE_M = 1.0 / (2.0 * math.tan(0.5 * WIDEST_LENS_RAD))
NO_GEOMETRY = 'the camera has no calibration, or sees no ground'
LEAST_YARDSTICK_PX = 16  # high, whose height is a yardstick: a row at either end is an eighth
PERIOD_GAIN = 0.2  # of the newest frame: the rate that is told follows within some five frames


@dataclass
class _Memory:
    """Everything that a jump of the clock makes worthless."""

    stamp_ns: int | None = None
    age: FrameAge = field(default_factory=FrameAge)
    now_ns: int | None = None
    fault: Fault | None = None
    good_frames: int = 0
    # That somebody is in the zone, whoever: in the image zone, or of those not yet believed
    in_zone: Evidence = field(default_factory=Evidence)
    step_s: float = 0.0  # between the two newest frames
    period_s: float | None = None  # the same, averaged
    unseen: Fault | None = None  # why the zone was not seen in the newest frame
    seen_ns: int | None = None  # the newest frame in which it was
    last_hit_ns: int | None = None
    hit_kind: StopKind = StopKind.PERSON
    person: NearestPerson | None = None
    people: tuple[TrackedPerson, ...] = ()
    zone: GroundZone | None = None
    zone_name: str = ''
    guess: str = ''  # why the geometry is guessed
    zone_by: str = ''  # what the zone in the picture was built by
    since_ns: int | None = None
    was_stop: bool = True

    def take_step(self, stamp_ns: int) -> None:
        """Goes on to the next frame."""
        if self.stamp_ns is not None:
            self.step_s = (stamp_ns - self.stamp_ns) / NS_PER_S
            period_s = self.step_s if self.period_s is None else self.period_s
            self.period_s = period_s + PERIOD_GAIN * (self.step_s - period_s)
        self.stamp_ns = stamp_ns


class PedestrianStop:
    """Judges the frames of one camera.

    Args:
        config: Its numbers.
        label_map: Of the label images.
        vehicle: Where it ends.
        odometry: Who judges odometry, where others ask it, too.

    Attributes:
        config: As given last.

    Raises:
        ConfigurationError: The label map has no people.
    """

    def __init__(
        self,
        config: StopConfig,
        label_map: LabelMap,
        vehicle: VehicleConfig = CAR,
        odometry: OdometryMonitor | None = None,
    ) -> None:
        self._vehicle = vehicle
        self._label_map = label_map
        self._tracker = PeopleTracker()
        self._memory = _Memory()
        self._odometry = odometry or OdometryMonitor(vehicle)
        self.config = config
        self.configure(config)

    @property
    def people(self) -> tuple[TrackedPerson, ...]:
        """Everybody who is followed, confirmed or not; empty in an image zone."""
        return self._memory.people

    @property
    def zone(self) -> GroundZone | None:
        """The zone that was judged last; None before the first frame and in an image zone."""
        return self._memory.zone

    @property
    def zone_regions(self) -> tuple[int, ...]:
        """In which regions of the picture the zone was last; none before the first frame."""
        return self._watch.regions

    def configure(self, config: StopConfig) -> None:
        """Takes other numbers at once; people are followed on, but the way is proven anew."""
        self.config = config
        self._finder = PeopleFinder(
            self._label_map,
            include_cyclists=config.include_cyclists,
            min_pixels=config.min_person_pixels,
            min_share=config.min_person_share,
        )
        self._image_zone = ImageZone(config.image_polygon)
        ground = ('drivable', 'walkable') if config.walkable_is_ground else ('drivable',)
        self._guessed_zone = GuessedZone(
            self._label_map.ids_with_role('lane'),
            config.corridor_half_width_m,
            tuple({row for role in ground for row in self._label_map.ids_with_role(role)}),
            config.image_polygon,
            is_drawn=config.image_polygon != StopConfig.image_polygon,
        )
        self._watch = ZoneWatch(config, self._label_map, self._vehicle)
        self._tracker.confirm_frames = config.confirm_frames
        self._tracker.coast_s = config.coast_s
        self._tracker.coast_out_of_view_s = config.coast_out_of_view_s
        self._memory.good_frames = 0

    def reset(self) -> None:
        """Forgets every frame. The odometry stays: it has its own stamp."""
        self._tracker.reset()
        self._guessed_zone.reset()
        self._memory = _Memory()

    def odometry(self, motion: Motion) -> None:
        """Takes what odometry says; what the vehicle cannot do is a fault and not believed."""
        self._odometry.take(motion, self.config.clock_jump_s)

    def failed(self, reason: str, kind: StopKind = StopKind.FAILED) -> None:
        """Stops until enough good frames have come again.

        Args:
            reason: What happened, in words.
            kind: What that is.
        """
        self._memory.fault = Fault(kind, reason)
        self._memory.good_frames = 0

    def update(
        self,
        labels: LabelImage,
        stamp_ns: int,
        *,
        now_ns: int | None = None,
        confidence: ConfidenceImage | None = None,
        picture: Fault | None = None,
        ground: GroundScale | None = None,
        camera: Camera | None = None,
        no_ground: str = '',
        lane: ArrayLike | None = None,
        own_vehicle: tuple[float, ...] = (),
        image_size_wh: tuple[int, int] | None = None,
        lens_m: float | None = None,
    ) -> StopDecision:
        """Judges a frame.

        Args:
            labels: ``(H, W)`` class ids at any size.
            stamp_ns: Header stamp of the image.
            now_ns: The clock that the stamps come from; None judges at the stamp.
            confidence: ``(H, W)``, or None.
            picture: Why the picture proves nothing, None if it is believed.
            ground: For label images of this size, None without a calibration.
            camera: The same camera; without it nobody asks whether it has the zone in view.
            no_ground: Why there is none, in words.
            lane: ``(N, 2)`` middle of the lane in the base frame, None without one.
            own_vehicle: Where it was found in the picture, as ``ego_mask`` says it.
            image_size_wh: Of the camera's image; None where it is that of the label image.
            lens_m: How high the lens is, where that alone is known.

        Returns:
            The decision of now.
        """
        config = self.config
        now_ns = stamp_ns if now_ns is None else now_ns
        if ahead := self._ahead_of_clock(stamp_ns, now_ns):
            self.failed(ahead, StopKind.FUTURE_STAMP)
            return self._decide(now_ns)
        previous_ns = self._memory.stamp_ns
        if previous_ns is not None:
            step_s = (stamp_ns - previous_ns) / NS_PER_S
            if -config.clock_jump_s <= step_s <= 0.0:
                return self._decide(now_ns)  # overtaken by a newer frame
            if abs(step_s) > config.clock_jump_s:
                self._start_again(stamp_ns)
            elif step_s > config.stale_timeout_s:
                self._memory.good_frames = 0
        ego = self._ego_step(stamp_ns)
        memory = self._memory
        memory.take_step(stamp_ns)
        memory.age.begin(stamp_ns, now_ns)
        memory.fault = self._frame_fault(labels, confidence, ground, no_ground) or picture
        if memory.fault is not None:
            memory.good_frames = 0
            return self._decide(now_ns)
        memory.good_frames += 1
        self._watch.take_vehicle(own_vehicle)
        labels = self._watch.without_vehicle(labels, self._label_map.unlabelled)
        people = self._finder.find(labels, confidence, ground)
        if config.zone == 'image' or ground is None or not ground.is_known:
            memory.guess = '' if config.zone == 'image' else no_ground or NO_GEOMETRY
            picture_zone = self._picture_zone_at(
                labels, confidence, stamp_ns, image_size_wh, lens_m
            )
            self._judge_picture(people, labels, stamp_ns, picture_zone)
            self._take_sight(self._watch.look_at_picture(labels, picture_zone), stamp_ns)
        else:
            memory.guess = memory.zone_by = ''
            zone = self._zone_at(stamp_ns, lane)
            # Nobody in the zone is left out for being far away
            reach_m = max(config.max_distance_m, zone.reach_m)
            near = [p for p in people if not p.distance_m > reach_m]
            memory.people = self._tracker.update(
                near, stamp_ns, ego, lambda person: self._finder.is_gone(person, labels)
            )
            self._judge_ground(stamp_ns, zone)
            if camera is not None:
                self._take_sight(self._watch.look(labels, zone, camera), stamp_ns)
        return self._decide(now_ns)

    def check(self, now_ns: int, steady_ns: int | None = None) -> StopDecision:
        """The decision of now, for the heartbeat.

        Args:
            now_ns: The clock that the stamps come from.
            steady_ns: A clock that never steps, by which no frame stays fresh; None without one.
        """
        last_ns = self._memory.now_ns
        if last_ns is not None and self._is_jump_back(last_ns, now_ns):
            self._start_again(now_ns)
        self._memory.now_ns = now_ns
        self._memory.age.look(now_ns, steady_ns)
        self._odometry.look(now_ns, steady_ns)
        return self._decide(now_ns)

    # What a frame says

    def _ahead_of_clock(self, stamp_ns: int, now_ns: int) -> str:
        ahead_s = (stamp_ns - now_ns) / NS_PER_S
        if ahead_s <= self.config.future_tolerance_s:
            return ''
        return f'the newest frame is {ahead_s:.2f} s ahead of the clock'

    def _frame_fault(
        self,
        labels: LabelImage,
        confidence: ConfidenceImage | None,
        ground: GroundScale | None,
        no_ground: str,
    ) -> Fault | None:
        """Why a label image proves nothing, None if it does."""
        config = self.config
        if labels.ndim != 2 or labels.size == 0:
            return Fault(StopKind.FAILED, f'the label image is empty, its shape is {labels.shape}')
        if ground is not None and ground.shape_hw != labels.shape:
            return Fault(
                StopKind.NO_GEOMETRY,
                f'the ground table is {ground.shape_hw} and the label image {labels.shape}',
            )
        if config.require_geometry and (ground is None or not ground.is_known):
            return Fault(
                StopKind.NO_GEOMETRY,
                no_ground or NO_GEOMETRY,
            )
        if confidence is not None and config.min_frame_confidence > 0.0:
            mean = cv2.mean(confidence)[0] / 255.0 if confidence.size else 0.0
            if mean < config.min_frame_confidence:
                return Fault(
                    StopKind.LOW_CONFIDENCE,
                    f'the mean confidence of the frame is {mean:.2f}, less than '
                    f'{config.min_frame_confidence:.2f}: dark, over-exposed or covered',
                )
        return None

    def _ego_step(self, stamp_ns: int) -> EgoStep | None:
        """How the vehicle moved since the last frame, None without odometry."""
        motion, previous_ns = self._fresh_motion(stamp_ns), self._memory.stamp_ns
        if motion is None or previous_ns is None:
            return None
        step_s = (stamp_ns - previous_ns) / NS_PER_S
        way_m, turn = motion.speed_mps * step_s, motion.yaw_rate_rps * step_s
        return EgoStep(way_m * math.cos(0.5 * turn), way_m * math.sin(0.5 * turn), turn)

    def _fresh_motion(self, now_ns: int) -> Motion | None:
        return self._odometry.fresh(now_ns, self.config.odometry_timeout_s)

    def _zone_at(self, stamp_ns: int, lane: ArrayLike | None) -> PolygonZone | CorridorZone:
        config = self.config
        if config.zone == 'polygon':
            return polygon_zone(config, self._vehicle)
        length_m = self._stopping_distance_m(stamp_ns)
        centre = np.asarray(() if lane is None else lane, dtype=np.float64).reshape(-1, 2)
        if len(centre) > 1 and np.isfinite(centre).all():
            return CorridorZone(centre, config.corridor_half_width_m, length_m, LANE_CORRIDOR)
        ahead = arc_ahead(length_m, self._fresh_motion(stamp_ns))
        return CorridorZone(ahead, config.corridor_half_width_m, length_m, STRAIGHT_ON)

    def _stopping_distance_m(self, stamp_ns: int) -> float:
        motion = self._fresh_motion(stamp_ns)
        if motion is None:
            # Who has been faster may be so again
            speed = max(self.config.worst_case_speed_mps, self._odometry.fastest_mps)
        else:
            speed = motion.speed_mps
        return stopping_distance_m(speed, self.config, self._vehicle)

    def _judge_ground(self, stamp_ns: int, zone: PolygonZone | CorridorZone) -> None:
        memory = self._memory
        memory.zone, memory.zone_name = zone, zone.name
        people = [person for person in memory.people if person.is_confirmed]
        times_s = self._times_to_zone_s(people, zone)
        # Odometry that is wrong, and still possible, makes somebody new of everybody in every
        # frame: then nobody is ever believed, but that somebody is in the zone is
        new = [p for p in memory.people if not (p.is_confirmed or p.is_coasting)]
        in_zone = [
            person
            for person, time_s in zip(new, self._times_to_zone_s(new, zone), strict=True)
            if time_s == 0.0
        ]
        if self._is_believed([person.seen.weight for person in in_zone]):
            people, times_s = people + in_zone, times_s + [0.0] * len(in_zone)
        ranked = sorted(zip(times_s, people, strict=True), key=_most_urgent)
        memory.person = None
        if not ranked:
            return
        time_s, person = ranked[0]
        memory.person = NearestPerson(person.id, person.distance_m, person.y_m, time_s)
        if time_s <= self.config.anticipate_s:
            memory.last_hit_ns = stamp_ns
            memory.hit_kind = StopKind.PERSON if time_s == 0.0 else StopKind.APPROACHING

    def _times_to_zone_s(
        self, people: Sequence[TrackedPerson], zone: PolygonZone | CorridorZone
    ) -> list[float]:
        if not people:
            return []
        times_s = times_to_zone_s(people, zone, self._vehicle.front_m)
        is_guess = zone.name == STRAIGHT_ON
        # Pavement tells nothing of the way of who drives on it
        counts = self.config.pavement_counts or self.config.walkable_is_ground
        if isinstance(zone, CorridorZone) and is_guess and not counts:
            # The ground under the feet knows better
            half_m = self._vehicle.half_width_m
            times_s = [
                INF if time_s < INF and keeps_to_the_pavement(person, zone, half_m) else time_s
                for person, time_s in zip(people, times_s, strict=True)
            ]
        return times_s

    def _is_believed(self, weights: Sequence[float]) -> bool:
        """Whether these sightings of a frame, and those before, prove somebody in the zone.

        Args:
            weights: What each is worth.
        """
        memory = self._memory
        if weights:
            memory.in_zone.seen(memory.step_s, self.config.confirm_frames, max(weights))
        else:
            memory.in_zone.missed(memory.step_s)
            if memory.in_zone.is_over:
                memory.in_zone = Evidence()
        return bool(weights) and memory.in_zone.is_enough

    def _take_sight(self, sight: ZoneSight, stamp_ns: int) -> None:
        """What was seen of the zone goes stale as a frame does, so that a flicker is no fault."""
        memory = self._memory
        memory.unseen = self._watch.fault(sight)
        if memory.unseen is None:
            memory.seen_ns = stamp_ns
        elif self._is_unseen(stamp_ns):
            memory.good_frames = 0

    def _is_unseen(self, now_ns: int) -> bool:
        seen_ns = self._memory.seen_ns
        return seen_ns is None or now_ns - seen_ns > self.config.stale_timeout_s * NS_PER_S

    def _picture_zone_at(
        self,
        labels: LabelImage,
        confidence: ConfidenceImage | None,
        stamp_ns: int,
        image_size_wh: tuple[int, int] | None,
        lens_m: float | None,
    ) -> ImageZone:
        """The zone by the lane or the ground that is seen, or as it was given."""
        if not self.config.image_zone_adapts:
            self._memory.zone_by = 'stop.image_polygon, which does not adapt'
            return self._image_zone
        self._guessed_zone.look(labels, stamp_ns, confidence)
        size_wh = labels.shape[1], labels.shape[0]
        stopping_m = self._stopping_distance_m(stamp_ns)
        zone = self._guessed_zone.zone(stopping_m, size_wh, image_size_wh, lens_m)
        self._memory.zone_by = self._guessed_zone.words
        return zone or self._image_zone

    def _judge_picture(
        self, people: Sequence[SeenPerson], labels: LabelImage, stamp_ns: int, zone: ImageZone
    ) -> None:
        memory = self._memory
        least_px = labels.shape[1] * NEAR_CHILD_SHARE_M / self._stopping_distance_m(stamp_ns)
        people = [p for p in people if p.extent_px >= least_px]
        self._tracker.reset()
        memory.people, memory.zone, memory.zone_name = (), None, zone.name
        upright_way = self._guessed_zone.upright_way if self.config.image_zone_adapts else None
        weights = [p.weight for p in people if _is_in_way(zone, upright_way, p, labels.shape)]
        memory.person = None
        if people:
            memory.person = NearestPerson(0, math.nan, math.nan, 0.0 if weights else INF)
        if self._is_believed(weights):
            memory.last_hit_ns, memory.hit_kind = stamp_ns, StopKind.PERSON

    # What it means now

    def _decide(self, now_ns: int) -> StopDecision:
        memory = self._memory
        kind, reason = self._verdict(now_ns)
        stop = kind is not StopKind.CLEAR
        if memory.since_ns is None or stop != memory.was_stop:
            memory.since_ns = now_ns
        memory.was_stop = stop
        return StopDecision(
            stop,
            kind,
            reason,
            memory.person,
            memory.zone_name,
            memory.since_ns,
            memory.stamp_ns,
            self._expected_delay_s(),
            memory.guess,
            memory.zone_by,
        )

    def _expected_delay_s(self) -> float | None:
        period_s = self._memory.period_s
        if period_s is None:
            return None
        return period_s * frames_to_believe(period_s, self.config.confirm_frames)

    def _verdict(self, now_ns: int) -> tuple[StopKind, str]:
        """The first condition of a clear way that does not hold."""
        config, memory = self.config, self._memory
        if memory.fault is not None:
            return memory.fault
        if memory.stamp_ns is None:
            return StopKind.NO_FRAME, StopKind.NO_FRAME.meaning
        age_s = max(now_ns - memory.stamp_ns, memory.age.ns) / NS_PER_S
        if age_s > config.stale_timeout_s:
            return StopKind.STALE, f'the newest frame is {age_s:.2f} s old'
        if ahead := self._ahead_of_clock(memory.stamp_ns, now_ns):
            return StopKind.FUTURE_STAMP, ahead
        if fault := self._odometry.fault(now_ns, config):
            return fault
        if memory.last_hit_ns is not None:
            if memory.last_hit_ns == memory.stamp_ns:
                return memory.hit_kind, self._sentence()
            left_s = config.hold_s - (now_ns - memory.last_hit_ns) / NS_PER_S
            if left_s > 0.0:
                meaning = StopKind.HOLD.meaning
                return StopKind.HOLD, f'{meaning}, the stop is held for {left_s:.1f} s more'
        if memory.unseen is not None and self._is_unseen(memory.stamp_ns):
            return memory.unseen
        if memory.good_frames < config.confirm_frames:
            return StopKind.UNPROVEN, (
                f'{memory.good_frames} good frames since the start or the last fault, '
                f'{config.confirm_frames} are needed'
            )
        return StopKind.CLEAR, StopKind.CLEAR.meaning

    def _sentence(self) -> str:
        memory = self._memory
        words, person = f'{memory.hit_kind.meaning} ({memory.zone_name})', memory.person
        if person is None or math.isnan(person.distance_m):
            return words
        side = 'left' if person.lateral_m >= 0.0 else 'right'
        words += f', {person.distance_m:.1f} m away, {abs(person.lateral_m):.1f} m to the {side}'
        if person.time_to_zone_s > 0.0:
            words += f', in {person.time_to_zone_s:.1f} s'
        return words

    # Beginning again

    def _is_jump_back(self, from_ns: int, to_ns: int) -> bool:
        return from_ns - to_ns > self.config.clock_jump_s * NS_PER_S

    def _start_again(self, from_ns: int) -> None:
        """After a jump of the clock nothing counts any more; a stop is held from now on."""
        stamp_ns, hit_ns = self._memory.stamp_ns, self._memory.last_hit_ns
        self.reset()
        if stamp_ns is None or hit_ns is None:
            return
        if stamp_ns - hit_ns < self.config.hold_s * NS_PER_S:
            self._memory.last_hit_ns = from_ns - 1


def is_evidence_in(zone: ImageZone, person: SeenPerson, shape_hw: tuple[int, ...]) -> bool:
    """Returns whether a sighting says something of a zone in a picture of this shape."""
    if person.under_roof:
        return False
    size_wh = shape_hw[1], shape_hw[0]
    return bool(zone.contains(np.array(_feet_px(person)), size_wh).any())


def _is_in_way(
    zone: ImageZone, way: UprightWay | None, person: SeenPerson, shape_hw: tuple[int, ...]
) -> bool:
    """Whether a sighting says something of the zone, or of the way by the own height."""
    if way is None:
        return is_evidence_in(zone, person, shape_hw)
    if _stands_in(way, person, shape_hw):
        return True
    return is_evidence_in(zone, person, shape_hw) and not _is_beyond(way, person, shape_hw)


def _is_beyond(way: UprightWay, person: SeenPerson, shape_hw: tuple[int, ...]) -> bool:
    """Whether somebody who is seen whole is too small to stand in the way where it is."""
    height, width = shape_hw
    if person.feet != 'seen' or person.at_side or person.bbox[1] == 0:
        return False
    u, row = person.foot_px[0], person.bbox[3]
    # The label image may stretch the camera's, whose columns the way counts
    extent_px = max(
        (person.bbox[2] - person.bbox[0]) * way.size_wh[0] / width,
        (person.bbox[3] - person.bbox[1]) * way.size_wh[1] / height,
    )
    return way.is_beyond(((u + 0.5) / width, row / height), extent_px)


def _stands_in(way: UprightWay, person: SeenPerson, shape_hw: tuple[int, ...]) -> bool:
    """Whether somebody who is upright says something of the way.

    What is nobody for sure has no height of a person: a gleam in the sky stands nowhere.
    """
    if person.under_roof or person.confidence < EVEN_CONFIDENCE:
        return False
    if person.bbox[3] - person.bbox[1] < LEAST_YARDSTICK_PX:
        return False
    height, width = shape_hw
    feet = [((u + 0.5) / width, (row + 1.0) / height) for u, row in _feet_px(person)]
    return way.holds(feet, person.bbox[1] / height)


def _feet_px(person: SeenPerson) -> list[tuple[float, float]]:
    """Column and row of its feet; of cut ones every place where they may be below the picture."""
    u, lowest = person.foot_px[0], person.bbox[3] - 1.0
    if not person.lowest_px > lowest + 1.0:
        return [(u, lowest)]
    return [(u, row) for row in np.linspace(lowest, person.lowest_px, CUT_STEPS).tolist()]


def _most_urgent(row: tuple[float, TrackedPerson]) -> tuple[float, float]:
    return row[0], row[1].distance_m

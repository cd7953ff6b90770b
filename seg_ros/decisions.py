# SPDX-License-Identifier: Apache-2.0
"""What is decided about one camera: the stop, the lane track and the free space.

``perception.py`` tells in which order; here is what each step needs to remember.
"""

from __future__ import annotations

import threading
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

from seg_ros.core.geometry.camera import Camera, GroundTable
from seg_ros.core.geometry.ground_scale import GroundScale
from seg_ros.core.geometry.plausible import implausible, implausible_height
from seg_ros.core.image.health import health_of
from seg_ros.core.labels import LabelMap
from seg_ros.core.lane.mounting_check import MountingCheck
from seg_ros.core.lane.pitch_refinement import PitchRefinement
from seg_ros.core.lane.track import LaneTrack
from seg_ros.core.lane.tracker import LaneTracker
from seg_ros.core.navigation.autoware_mask import AutowareEncoder, AutowareMask
from seg_ros.core.navigation.detections import Detection, find_detections
from seg_ros.core.navigation.instances import InstanceFinder, Instances
from seg_ros.core.navigation.navigator import NAVIGATION, Navigation, Navigator
from seg_ros.core.parameters.node_config import NodeConfig
from seg_ros.core.stop.config import StopConfig
from seg_ros.core.stop.decision import Fault, StopDecision, StopKind
from seg_ros.core.stop.domain import Domain
from seg_ros.core.stop.odometry import OdometryMonitor
from seg_ros.core.stop.own_vehicle import OwnVehicle
from seg_ros.core.stop.pedestrian_stop import PedestrianStop
from seg_ros.core.stop.picture_monitor import PictureMonitor
from seg_ros.core.stop.picture_sight import PictureSight
from seg_ros.core.stop.tracking import TrackedPerson
from seg_ros.core.stop.zones import GroundZone, Motion
from seg_ros.core.types import NetworkView
from seg_ros.core.watched_zones.monitor import ZoneMonitors, ZoneState

__all__ = ['DECISIONS', 'CameraDecisions', 'FrameDecisions', 'needs_of_stop']

DECISIONS = ('stop', 'lane', 'zones', 'autoware', 'instances', 'detections', *NAVIGATION)
"""What can be decided about a frame."""

LEAST_MOTION_MPS = 0.5  # a walking pace is 1.5; below, shadows move as much as the ground
NO_GROUND = 'the camera has no calibration or no mounting'
NO_GROUND_IN_VIEW = (
    'by its calibration and mounting the camera sees no ground: check mount.pitch or TF'
)
NO_PEOPLE = 'the engine has no class with the role pedestrian, so that it proves nothing clear'


@dataclass(frozen=True)
class FrameDecisions:
    """What was decided about one frame, None where nobody wanted it.

    Attributes:
        stop: Whether to stop and why, at the time of the frame.
        people: Everybody who is followed.
        zone: The zone on the ground that was judged.
        lane: The lane that the vehicle is in.
        navigation: Obstacles and free space; None also while the ground is unknown or the
            picture cannot be believed.
        zones: The watched zones; none while the picture cannot be believed.
        autoware: The labels as Autoware reads them.
        instances: Which pixels belong to which person.
        detections: The same people as boxes; who is followed is known only together with the
            stop.
    """

    stop: StopDecision | None = None
    people: tuple[TrackedPerson, ...] = ()
    zone: GroundZone | None = None
    lane: LaneTrack | None = None
    navigation: Navigation | None = None
    zones: tuple[ZoneState, ...] = ()
    autoware: AutowareMask | None = None
    instances: Instances | None = None
    detections: tuple[Detection, ...] | None = None

    @property
    def is_judged(self) -> bool:
        """Whether `people` are of this frame; else they are those of an older one."""
        return is_judged(self.stop)


class CameraDecisions:
    """Decides about the frames of one camera; the worker feeds it, the heartbeat asks it.

    ``calibrate`` and the steps of a frame are the worker's; all others may be called from any
    thread. Only the stop is behind the lock, so that nothing slow in a frame can hold the
    heartbeat up.

    Args:
        config: The node's parameters.
        label_map: Of the label images.
        domain: Which pictures the engine knows; None where nobody has measured it.
    """

    def __init__(
        self, config: NodeConfig, label_map: LabelMap, domain: Domain | None = None
    ) -> None:
        stop = config.stop
        self._lock = threading.Lock()
        self._odometry = OdometryMonitor(config.vehicle)
        self._stop: PedestrianStop | None = None
        if sees_people(label_map):
            self._stop = PedestrianStop(stop, label_map, config.vehicle, self._odometry)
        self._lane = LaneTracker(config.lane, label_map, config.vehicle)
        self._lane_stale_s = config.lane.stale_after_s
        self._mounting = MountingCheck(config.lane, label_map.role_mask_lut('lane'))
        self._camera: Camera | None = None
        self._scaled: Camera | None = None  # the same for label images
        self._camera_fault: Fault | None = None  # why it cannot be one on a vehicle
        self._no_camera = NO_GROUND
        self._lens_m: float | None = None  # above the ground
        self._height_fault: Fault | None = None  # why no lens can be so high
        self._geometry_fault: Fault | None = None  # of a calibration that cannot be
        self._table: GroundTable | None = None
        self._ground: GroundScale | None = None
        self._stop_config = stop
        self._label_map = label_map
        self._navigation_config = config.navigation
        self._navigator: Navigator | None = None
        self._zones = ZoneMonitors(config.zones, label_map)
        self._autoware = AutowareEncoder(label_map)
        self._instances = InstanceFinder(label_map)
        self._pictures = PictureMonitor()
        self._sight = PictureSight(label_map, domain)
        self._picture_fault: Fault | None = None  # of the newest picture
        self._own_vehicle = OwnVehicle()
        self._pitch = PitchRefinement(stop.refine_pitch_rad)

    def __getstate__(self) -> dict[str, Any]:
        """Returns what a replay that is resumed needs: no lock, and no table that is made anew."""
        made_anew = dict.fromkeys(('_table', '_ground', '_navigator'))
        state = {**vars(self), **made_anew}
        del state['_lock']
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, _lock=threading.Lock())

    def calibrate(
        self,
        camera: Camera | None,
        reason: str = '',
        *,
        is_refused: bool = False,
        lens_m: float | None = None,
    ) -> None:
        """Takes the lens and the mounting.

        Args:
            camera: None while they are unknown.
            reason: Why they are.
            is_refused: Whether something is said of them that cannot be: nothing is proven then.
            lens_m: How high the lens is, where that is known, with a camera or without.
        """
        self._no_camera = reason or NO_GROUND
        self._geometry_fault = Fault(StopKind.NO_GEOMETRY, reason) if is_refused else None
        if camera != self._camera:
            self._camera, self._table, self._ground = camera, None, None
            self._navigator = None
            self._pitch.reset()
            self._mounting.reset()
            words = '' if camera is None else implausible(camera)
            self._camera_fault = Fault(StopKind.NO_GEOMETRY, words) if words else None
        if lens_m != self._lens_m:
            self._lens_m = lens_m
            words = '' if lens_m is None else implausible_height(lens_m)
            self._height_fault = Fault(StopKind.NO_GEOMETRY, words) if words else None

    def configure(self, stop: StopConfig) -> None:
        """Takes other numbers for the stop; the way must be proven clear anew."""
        with self._lock:
            self._stop_config = stop
            self._pitch.limit_rad = stop.refine_pitch_rad
            if self._stop is not None and stop != self._stop.config:
                self._stop.configure(stop)

    def moved(self, motion: Motion) -> None:
        """Takes what odometry says, as far as it can be believed."""
        with self._lock:
            self._odometry.take(motion, self._stop_config.clock_jump_s)

    def reset(self) -> None:
        """Forgets every frame: the next one stands for itself. The calibration stays."""
        with self._lock:
            if self._stop is not None:
                self._stop.reset()
        self._lane.reset()
        self._pitch.reset()
        self._mounting.reset()
        self._pictures = PictureMonitor()
        self._sight.reset()
        self._own_vehicle.reset()

    def failed(self, reason: str) -> None:
        """Stops until enough good frames have come again."""
        with self._lock:
            if self._stop is not None:
                self._stop.failed(reason)

    def check(self, now_ns: int, steady_ns: int | None = None) -> StopDecision:
        """The stop of now, for the heartbeat, by the clock of the stamps and by a steady one."""
        with self._lock:
            if self._stop is None:
                return StopDecision.without_frame(StopKind.FAILED, now_ns, NO_PEOPLE)
            return self._stop.check(now_ns, steady_ns)

    @property
    def camera(self) -> Camera | None:
        """Its lens and place; None while they are unknown."""
        return self._camera

    @property
    def mounting_problem(self) -> str:
        """What the lines of the lane say against the mounting; empty where nothing."""
        return self._mounting.problem

    @property
    def own_vehicle(self) -> tuple[float, ...]:
        """Where the own vehicle was found in the picture, as ``stop.ego_mask``; empty if not."""
        return self._own_vehicle.polygon

    # The steps of a frame, in the order of ``Perception.finish``

    def look(self, view: NetworkView, stamp_ns: int) -> bool:
        """Begins a frame: takes its ground, and returns whether its picture can be believed.

        A wrong calibration is as good as no picture: everything would be seen where it is not.

        Args:
            view: What the network saw and said.
            stamp_ns: Header stamp of the frame.
        """
        self._measure_ground(view)
        health = health_of(view.picture)
        regions = () if self._stop is None else self._stop.zone_regions
        fault = self._pictures.update(health, stamp_ns, self._stop_config, regions)
        fault = fault or self._sight.update(view, stamp_ns, self._stop_config)
        if fault is None:
            self._look_for_vehicle(view, stamp_ns)
        self._picture_fault = self._camera_fault or fault
        return self._picture_fault is None

    def find_lane(self, view: NetworkView, stamp_ns: int, now_ns: int) -> LaneTrack:
        """Returns the lane, valid only if the frame is fresh.

        Args:
            view: What the network saw and said.
            stamp_ns: Header stamp of the frame.
            now_ns: The clock that header stamps come from.
        """
        track = self._track_lane(view, stamp_ns).checked(
            now_ns, self._lane_stale_s, self._stop_config.future_tolerance_s
        )
        if self._scaled is None:
            return track
        problem = self._mounting.update(view.labels, self._scaled, stamp_ns)
        return replace(track, valid=False, reason=problem, departure=None) if problem else track

    def judge_people(
        self, view: NetworkView, stamp_ns: int, now_ns: int, lane: LaneTrack | None
    ) -> FrameDecisions:
        """Returns the stop of a frame, who is followed and the zone, with the lane as given.

        Args:
            view: What the network saw and said.
            stamp_ns: Header stamp of the frame.
            now_ns: The clock that header stamps come from.
            lane: Of the frame; None where nobody looked for it.
        """
        if self._stop is None:
            return FrameDecisions(lane=lane)
        # A mounting that the lines disprove puts people where they are not: better none
        disproven = self._mounting.problem
        with self._lock:
            stop = self._stop.update(
                view.labels,
                stamp_ns,
                now_ns=now_ns,
                confidence=view.confidence,
                picture=self._picture_fault or self._geometry_fault or self._height_fault,
                ground=None if disproven else self._ground_now(lane, stamp_ns),
                camera=self._scaled,
                no_ground=disproven or ('' if self._camera is not None else self._no_camera),
                lane=lane.points()[:, :2] if lane is not None and lane.valid else None,
                own_vehicle=self._own_vehicle.polygon,
                image_size_wh=view.image_size_wh,
                lens_m=None if disproven else self._lens_m,
            )
            return FrameDecisions(stop, self._stop.people, self._stop.zone, lane)

    def navigate(self, view: NetworkView, wanted: Collection[str]) -> Navigation | None:
        """Returns obstacles and free space, None while the ground is unknown.

        Args:
            view: What the network saw and said.
            wanted: Names out of ``NAVIGATION``; others are not looked at.
        """
        if self._camera is None or self._table is None or self._ground is None:
            return None
        if self._navigator is None:
            self._navigator = Navigator(
                self._navigation_config, self._label_map, self._camera, self._table, self._ground
            )
        return self._navigator.update(view.labels, view.confidence, wanted)

    def encode_autoware(self, view: NetworkView) -> AutowareMask:
        """Returns the labels as Autoware reads them."""
        return self._autoware.encode(view.labels)

    def find_instances(self, view: NetworkView) -> Instances:
        """Returns which pixels belong to which person."""
        return self._instances.find(view.labels, self._ground)

    def detect(
        self, instances: Instances, view: NetworkView, people: tuple[TrackedPerson, ...]
    ) -> tuple[Detection, ...]:
        """Returns the people as boxes, with the ids of those who are followed.

        Args:
            instances: Of the same frame.
            view: What the network saw and said.
            people: Who is followed, at the time of the frame.
        """
        height, width = view.labels.shape
        size_wh = view.image_size_wh or (width, height)
        return find_detections(instances, view.confidence, people, self._camera, size_wh)

    def watch_zones(self, view: NetworkView, stamp_ns: int) -> tuple[ZoneState, ...]:
        """Returns what is in the watched zones."""
        return self._zones.update(view.labels, self._table, stamp_ns)

    def _measure_ground(self, view: NetworkView) -> None:
        """Makes the ground table of a new calibration or network size."""
        if self._camera is None:
            self._scaled = None
            return
        if self._table is None or self._table.shape[:2] != view.labels.shape:
            height, width = view.labels.shape
            self._table = self._camera.ground_table((width, height))
            self._ground = GroundScale(self._table)
            lens = self._camera.intrinsics.scaled((width, height))
            self._scaled = Camera(lens, self._camera.mount)
            self._navigator = None
            if self._camera_fault is None and not self._ground.is_known:
                self._camera_fault = Fault(StopKind.NO_GEOMETRY, NO_GROUND_IN_VIEW)

    def _look_for_vehicle(self, view: NetworkView, stamp_ns: int) -> None:
        """Looks for the own vehicle, but while odometry says that it stands."""
        stop = self._stop_config
        if self._stop is None or len(stop.ego_mask) >= 6:
            return
        motion = self._odometry.fresh(stamp_ns, stop.odometry_timeout_s)
        if motion is None or abs(motion.speed_mps) >= LEAST_MOTION_MPS:
            self._own_vehicle.update(view.picture, stamp_ns, stop.max_own_vehicle)

    def _ground_now(self, lane: LaneTrack | None, stamp_ns: int) -> GroundScale | None:
        """The ground with the pitch that the lane shows, where that is wanted."""
        if self._ground is None or self._camera is None:
            return None
        mount = self._camera.mount
        up_rad = self._pitch.update(lane, mount.z, stamp_ns)
        return self._ground.pitched(up_rad, (mount.x, mount.y, mount.z))

    def _track_lane(self, view: NetworkView, stamp_ns: int) -> LaneTrack:
        if self._table is None:
            return LaneTrack(False, self._no_camera, 'markings', stamp_ns)
        motion = self._odometry.fresh(stamp_ns, self._stop_config.odometry_timeout_s)
        if motion is None:
            return self._lane.update(view.labels, view.confidence, self._table, stamp_ns)
        return self._lane.update(
            view.labels,
            view.confidence,
            self._table,
            stamp_ns,
            motion.speed_mps,
            motion.yaw_rate_rps,
        )


def needs_of_stop(config: StopConfig) -> set[str]:
    """What out of ``DECISIONS`` must be decided for the stop."""
    is_pitched = config.zone == 'polygon' and config.refine_pitch_rad > 0.0
    return {'stop', 'lane'} if config.zone == 'corridor' or is_pitched else {'stop'}


def is_judged(stop: StopDecision | None) -> bool:
    """Returns whether who is followed was looked for in the frame of this decision."""
    return stop is None or stop.kind.judges_people


def sees_people(label_map: LabelMap) -> bool:
    """Returns whether an engine knows people at all."""
    return bool(label_map.ids_with_role('pedestrian'))

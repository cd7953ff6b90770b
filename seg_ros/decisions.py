"""From labels to decisions: the pedestrian stop and the lane track of one camera."""

from __future__ import annotations

import threading
from collections.abc import Collection
from dataclasses import dataclass

from seg_ros.core.camera import Camera, GroundTable
from seg_ros.core.ground_scale import GroundScale
from seg_ros.core.image_health import health_of
from seg_ros.core.labels import LabelMap
from seg_ros.core.lane_config import LaneConfig
from seg_ros.core.lane_track import LaneTrack
from seg_ros.core.lane_tracker import LaneTracker
from seg_ros.core.pedestrian_stop import PedestrianStop
from seg_ros.core.stop_config import StopConfig
from seg_ros.core.stop_decision import StopDecision
from seg_ros.core.timing import StageTimer
from seg_ros.core.tracking import TrackedPerson
from seg_ros.core.zones import GroundZone, Motion
from seg_ros.pipeline import NetworkView

__all__ = ['DECISIONS', 'CameraDecisions', 'FrameDecisions']

DECISIONS = ('stop', 'lane')
"""What ``update`` can decide about a frame."""

NO_GROUND = 'the camera has no calibration or no mounting'
NO_PEOPLE = 'the engine has no class with the role pedestrian, so that it proves nothing clear'


@dataclass(frozen=True)
class FrameDecisions:
    """What was decided about one frame, None where nobody wanted it.

    Attributes:
        stop: Whether to stop and why, at the time of the frame.
        people: Everybody who is followed.
        zone: The zone on the ground that was judged.
        lane: The lane that the vehicle is in.
    """

    stop: StopDecision | None = None
    people: tuple[TrackedPerson, ...] = ()
    zone: GroundZone | None = None
    lane: LaneTrack | None = None


class CameraDecisions:
    """Decides about the frames of one camera; the worker feeds it, the heartbeat asks it.

    All methods may be called from any thread.
    """

    def __init__(self, stop: StopConfig, lane: LaneConfig, label_map: LabelMap) -> None:
        self._lock = threading.Lock()
        self._stop = PedestrianStop(stop, label_map) if sees_people(label_map) else None
        self._lane = LaneTracker(lane, label_map)
        self._camera: Camera | None = None
        self._motion: Motion | None = None
        self._table: GroundTable | None = None
        self._ground: GroundScale | None = None
        self._odometry_timeout_s = stop.odometry_timeout_s

    def calibrate(self, camera: Camera | None) -> None:
        """Takes the lens and the mounting, or None while they are unknown."""
        with self._lock:
            if camera != self._camera:
                self._camera, self._table, self._ground = camera, None, None

    def configure(self, stop: StopConfig) -> None:
        """Takes other numbers for the stop; the way must be proven clear anew."""
        with self._lock:
            self._odometry_timeout_s = stop.odometry_timeout_s
            if self._stop is not None and stop != self._stop.config:
                self._stop.configure(stop)

    def moved(self, motion: Motion) -> None:
        """Takes what odometry says."""
        with self._lock:
            self._motion = motion
            if self._stop is not None:
                self._stop.odometry(motion)

    def failed(self, reason: str) -> None:
        """Stops until enough good frames have come again."""
        with self._lock:
            if self._stop is not None:
                self._stop.failed(reason)

    def check(self, now_ns: int) -> StopDecision:
        """The stop of now, for the heartbeat."""
        with self._lock:
            if self._stop is None:
                return StopDecision(True, 'failed', NO_PEOPLE, None, '', now_ns)
            return self._stop.check(now_ns)

    def update(
        self,
        view: NetworkView,
        stamp_ns: int,
        now_ns: int,
        wanted: Collection[str],
        timer: StageTimer,
    ) -> FrameDecisions:
        """Returns what is wanted, out of ``DECISIONS``, about a frame.

        Args:
            view: What the network saw and said.
            stamp_ns: Header stamp of the frame.
            now_ns: The clock that header stamps come from.
            wanted: Names out of ``DECISIONS``.
            timer: Books the stages lane and stop.
        """
        with self._lock:
            self._measure_ground(view)
            # Find the lane, which is where people are looked for
            lane = None
            if 'lane' in wanted:
                lane = self._find_lane(view, stamp_ns)
                timer.stage('lane')
            # Judge the people on the road
            if 'stop' not in wanted or self._stop is None:
                return FrameDecisions(lane=lane)
            stop = self._stop.update(
                view.labels,
                stamp_ns,
                now_ns=now_ns,
                confidence=view.confidence,
                health=health_of(view.picture),
                ground=self._ground,
                lane=lane.points()[:, :2] if lane is not None and lane.valid else None,
            )
            timer.stage('stop')
            return FrameDecisions(stop, self._stop.people, self._stop.zone, lane)

    def _measure_ground(self, view: NetworkView) -> None:
        """Makes the ground table of a new calibration or network size."""
        if self._camera is None:
            return
        if self._table is None or self._table.shape[:2] != view.labels.shape:
            height, width = view.labels.shape
            self._table = self._camera.ground_table((width, height))
            self._ground = GroundScale(self._table)

    def _find_lane(self, view: NetworkView, stamp_ns: int) -> LaneTrack:
        if self._table is None:
            return LaneTrack(False, NO_GROUND, 'markings', stamp_ns)
        motion = self._motion
        if motion is None or abs(stamp_ns - motion.stamp_ns) > self._odometry_timeout_s * 1e9:
            return self._lane.update(view.labels, view.confidence, self._table, stamp_ns)
        return self._lane.update(
            view.labels,
            view.confidence,
            self._table,
            stamp_ns,
            motion.speed_mps,
            motion.yaw_rate_rps,
        )


def sees_people(label_map: LabelMap) -> bool:
    """Returns whether an engine knows people at all."""
    return bool(label_map.ids_with_role('pedestrian'))

# SPDX-License-Identifier: Apache-2.0
"""What the node would know at each moment of a recording, and what it would decide."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from seg_ros.core.geometry.calibration import SensorCalibration
from seg_ros.core.image.camera_image import Frame
from seg_ros.core.labels import LabelMap
from seg_ros.core.parameters.node_config import NodeConfig
from seg_ros.core.stop.domain import Domain
from seg_ros.core.stop.vehicle_stop import VehicleDecision, VehicleStop
from seg_ros.core.types import LabelImage
from seg_ros.core.units import NS_PER_S
from seg_ros.decisions import CameraDecisions, FrameDecisions
from seg_ros.messages.camera_info import Calibration
from seg_ros.messages.conversions import header_of, motion_of, stamp_ns_of
from seg_ros.messages.lane import placed_lane
from seg_ros.messages.mounting import Mounting, Quaternion, product, wants_transforms
from seg_ros.messages.plain import plain_type
from seg_ros.replay.snapshot import restored, snapshot

__all__ = ['Beat', 'Counts', 'ReplayedVehicle', 'TransformTree']


GAP_NS = 10 * NS_PER_S  # with nothing recorded for longer, the recorder slept or a clock was set


class Link(NamedTuple):
    """Where a frame is in its parent.

    Attributes:
        parent: Name of the parent frame.
        translation: x, y, z in metres.
        rotation: x, y, z, w.
        stamp_ns: When it was so; 0 is always.
    """

    parent: str
    translation: tuple[float, float, float]
    rotation: Quaternion
    stamp_ns: int


class TransformTree:
    """Knows the newest transform of every frame to its parent.

    Where several of a chain move, each is taken at its newest time; tf2 would interpolate.
    """

    def __init__(self) -> None:
        self._links: dict[str, Link] = {}

    def take(self, message: Any, *, static: bool) -> None:
        """Takes a tf2_msgs/TFMessage of /tf or, if ``static``, of /tf_static."""
        for row in message.transforms:
            t, q = row.transform.translation, row.transform.rotation
            self._links[row.child_frame_id.lstrip('/')] = Link(
                row.header.frame_id.lstrip('/'),
                (t.x, t.y, t.z),
                (q.x, q.y, q.z, q.w),
                0 if static else stamp_ns_of(row.header),
            )

    def look_up(self, base_frame: str, frame_id: str) -> Any:
        """Returns the geometry_msgs/TransformStamped from a frame to the base frame.

        Its stamp is that of the oldest transform on the way that moves, 0 where none does.

        Raises:
            LookupError: There is no way from one to the other.
        """
        up_base = self._way_up(base_frame.lstrip('/'))
        up_frame = self._way_up(frame_id.lstrip('/'))
        common = next((name for name in up_frame if name in up_base), None)
        if common is None:
            raise LookupError(f'the recording does not connect {frame_id} with {base_frame}')
        links_to_frame, links_to_base = up_frame[common], up_base[common]
        translation, rotation = _followed(links_to_frame)
        base_translation, base_rotation = _followed(links_to_base)
        back = _inverse(base_rotation)
        difference = tuple(a - b for a, b in zip(translation, base_translation, strict=True))
        stamps = [row.stamp_ns for row in (*links_to_frame, *links_to_base) if row.stamp_ns]
        made = plain_type('geometry_msgs/msg/TransformStamped')(
            header=header_of(min(stamps, default=0), base_frame), child_frame_id=frame_id
        )
        t, q = made.transform.translation, made.transform.rotation
        t.x, t.y, t.z = _rotated(back, difference)
        q.x, q.y, q.z, q.w = product(back, rotation)
        return made

    def look_up_at(self, frame: str, of_frame: str, _stamp_ns: int) -> Any:
        """Returns the newest transform, also where that of a time is asked for."""
        return self.look_up(frame, of_frame)

    def _way_up(self, frame: str) -> dict[str, list[Link]]:
        """Every frame from this one up to the root, with the links that lead there."""
        way: dict[str, list[Link]] = {frame: []}
        links: list[Link] = []
        while (link := self._links.get(frame)) is not None and link.parent not in way:
            links = [*links, link]
            frame = link.parent
            way[frame] = links
        return way


Vector = tuple[float, ...]


def _followed(links: list[Link]) -> tuple[Vector, Quaternion]:
    """Where the lowest frame is in the highest one."""
    translation: Vector = (0.0, 0.0, 0.0)
    rotation: Quaternion = (0.0, 0.0, 0.0, 1.0)
    for link in links:
        turned = _rotated(link.rotation, translation)
        translation = tuple(a + b for a, b in zip(turned, link.translation, strict=True))
        rotation = product(link.rotation, rotation)
    return translation, rotation


def _rotated(rotation: Quaternion, vector: Vector) -> Vector:
    x, y, z = vector
    return product(product(rotation, (x, y, z, 0.0)), _inverse(rotation))[:3]


def _inverse(rotation: Quaternion) -> Quaternion:
    x, y, z, w = rotation
    return -x, -y, -z, w


class Beat(NamedTuple):
    """The stop at one beat of the heartbeat.

    Attributes:
        at_ns: When it is said.
        decision: What is said.
        gap_ns: For how long it stands, where nothing was recorded.
    """

    at_ns: int
    decision: VehicleDecision
    gap_ns: int = 0


@dataclass
class Counts:
    """What has come of a recording so far.

    Attributes:
        frames: Images that were to be segmented.
        skipped: Those of them that could not be read.
        written: Messages in the new bag.
        labels_sha256: Of the label images: each one's SHA-256 is hashed on top of the last sum.
    """

    frames: int = 0
    skipped: int = 0
    written: int = 0
    labels_sha256: str = ''

    def count_label(self, label: LabelImage) -> None:
        inner = hashlib.sha256(label.data).hexdigest()
        self.labels_sha256 = hashlib.sha256((self.labels_sha256 + inner).encode()).hexdigest()


@dataclass
class _CameraState:
    decisions: CameraDecisions
    calibration: Calibration
    images: int = 0  # of which every n-th is segmented


class ReplayedVehicle:
    """Follows cameras, odometry and transforms of one recording; can be kept at any moment.

    Nothing takes time here: a frame is judged at the very time at which it was recorded, and the
    heartbeat beats by the times of the recording, the first time with its first message.

    Args:
        config: The node's parameters.
        label_map: The engine's classes.
        lens: Of the camera, where a file says so; the recording's CameraInfo counts no more then.
        has_transforms: Whether the recording has any.
        rectified: The cameras whose images are rectified already.
        domain: Which pictures the engine knows; None where nobody has measured it.
    """

    def __init__(
        self,
        config: NodeConfig,
        label_map: LabelMap,
        lens: SensorCalibration | None,
        *,
        has_transforms: bool,
        rectified: Collection[str] = (),
        domain: Domain | None = None,
    ) -> None:
        self._transforms = TransformTree()
        from_tf = wants_transforms(config) and (has_transforms or config.mount.source == 'tf')
        mounting = Mounting(config, self._transforms.look_up if from_tf else None)
        self.cameras = {
            name: _CameraState(
                CameraDecisions(config, label_map, domain),
                Calibration(
                    functools.partial(mounting.mount, name), is_rectified=name in rectified
                ),
            )
            for name in config.camera_names
        }
        self._lens = lens
        self._lane_frame, self._base_frame = config.lane.frame, config.base_frame
        self._vehicle = VehicleStop({name: row.decisions for name, row in self.cameras.items()})
        self._period_ns = round(NS_PER_S / config.heartbeat_hz)
        self._next_beat_ns: int | None = None
        self._begin_ns: int | None = None
        self._now_ns: int | None = None
        self.counts = Counts()

    @classmethod
    def of_snapshot(cls, data: bytes) -> ReplayedVehicle:
        """Returns what ``snapshot`` gave.

        Raises:
            ValueError: It is something else, or damaged.
        """
        vehicle = restored(data)
        if not isinstance(vehicle, cls):
            raise ValueError(f'it is a {type(vehicle).__name__}')
        return vehicle

    def snapshot(self) -> bytes:
        """Returns all of it, to go on from."""
        return snapshot(self)

    def steps_back_s(self, now_ns: int) -> float:
        """Returns how far a time is before that of the last message; 0 if it is not."""
        return 0.0 if self._now_ns is None else max(0.0, (self._now_ns - now_ns) / NS_PER_S)

    def beats_before(self, now_ns: int) -> Iterator[Beat]:
        """Yields the heartbeats up to a time, without it; time goes on.

        Through a gap it does not beat: one beat says that nothing is proven any more.
        """
        if self._next_beat_ns is None or (self._now_ns is not None and now_ns < self._now_ns):
            self._next_beat_ns = now_ns  # the first one, or the clock went back
            self._begin_ns = now_ns if self._now_ns is None else self._begin_ns
        if self._now_ns is not None and now_ns - self._now_ns > GAP_NS:
            at_ns, gap_ns = self._next_beat_ns, now_ns - self._now_ns
            for camera in self.cameras.values():
                camera.decisions.reset()
            yield Beat(at_ns, self._vehicle.check(at_ns), gap_ns)
            self._next_beat_ns = now_ns
        while self._next_beat_ns < now_ns:
            at_ns = self._next_beat_ns
            self._next_beat_ns += self._period_ns
            yield Beat(at_ns, self._vehicle.check(at_ns))
        self._now_ns = now_ns

    def only_beat(self) -> Iterator[Beat]:
        """Yields a heartbeat of the end if the time stood still, so that there was none."""
        if self._now_ns is not None and self._next_beat_ns == self._begin_ns == self._now_ns:
            yield Beat(self._now_ns, self._vehicle.check(self._now_ns))

    def camera_at(self, frame: Frame, now_ns: int) -> CameraDecisions:
        """Returns what is known of the camera of a frame, calibrated as far as it is by now."""
        state = self.cameras[frame.camera]
        calibration = state.calibration
        if self._lens is not None:
            calibration.know(self._lens, frame.frame_id)
        size_wh = frame.image.width, frame.image.height
        camera = calibration.camera(now_ns, size_wh, frame.frame_id)
        state.decisions.calibrate(
            camera,
            calibration.reason,
            is_refused=calibration.is_refused,
            lens_m=calibration.lens_m,
        )
        return state.decisions

    def refusal(self, camera: str) -> str:
        """Returns why nothing on the ground is known by a camera's CameraInfo, else nothing."""
        calibration = self.cameras[camera].calibration
        is_told = calibration.is_refused or calibration.is_uncalibrated
        return f'Camera {camera}: {calibration.reason}' if is_told else ''

    def placed(self, decided: FrameDecisions) -> FrameDecisions:
        """Returns the decisions with the lane in the frame that its paths are wanted in."""
        lane = decided.lane
        if not self._lane_frame or lane is None or not lane.valid:
            return decided
        look_up = self._transforms.look_up_at
        return replace(
            decided, lane=placed_lane(lane, self._lane_frame, self._base_frame, look_up)
        )

    def lens(self, camera: str, message: Any) -> None:
        """Takes a CameraInfo."""
        if self._lens is None:
            self.cameras[camera].calibration.take(message)

    def odometry(self, message: Any) -> None:
        """Takes a nav_msgs/Odometry."""
        motion = motion_of(message)
        for camera in self.cameras.values():
            camera.decisions.moved(motion)

    def transforms(self, message: Any, *, static: bool) -> None:
        """Takes a tf2_msgs/TFMessage."""
        self._transforms.take(message, static=static)

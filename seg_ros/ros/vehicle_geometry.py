# SPDX-License-Identifier: Apache-2.0
"""What the graph says of the vehicle: each camera's lens and place, its motion, and TF.

The lens comes by CameraInfo, the place by TF (where tf2_ros is installed) or parameters, the
motion by odometry.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import Any

from nav_msgs.msg import Odometry
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.qos import (
    DurabilityPolicy,
    QoSProfile,
    ReliabilityPolicy,
    qos_profile_sensor_data,
)
from rclpy.time import Time
from sensor_msgs.msg import CameraInfo

from seg_ros.core.errors import ConfigurationError
from seg_ros.core.geometry.camera import Camera
from seg_ros.core.lane.track import LaneTrack
from seg_ros.core.parameters.node_config import NodeConfig
from seg_ros.core.stop.guessed_zone import LENS_M
from seg_ros.core.stop.zones import Motion
from seg_ros.messages.camera_info import Calibration, camera_info_topic, is_rectified
from seg_ros.messages.conversions import motion_of
from seg_ros.messages.lane import placed_lane
from seg_ros.messages.mounting import Mounting, wants_transforms
from seg_ros.ros.renewal import Renewal
from seg_ros.ros.stream_watch import LensNames, SenderTurns

__all__ = [
    'CameraGeometry',
    'NodeTransforms',
    'OdometryInput',
    'lane_placing',
    'node_mounting',
    'node_transforms',
]

LATCHED = QoSProfile(
    depth=1,
    reliability=ReliabilityPolicy.RELIABLE,  # only so does DDS give what was sent before
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)
# What needs to know where the ground is (messages/outputs.py)
IN_METRES = (
    'lane_track', 'obstacles', 'scan', 'drivable', 'costmap', 'pedestrians, ground zones',
)  # fmt: skip
MOST_WARNINGS = 4  # of a camera without geometry: a height may change for ever
WAIT_S = 0.05  # for TF at a stamp: odometry of 20 Hz may come that much after the camera


class CameraGeometry:
    """Follows the calibration of one camera.

    Args:
        node: Creates the subscription.
        name: Name of the camera.
        image_topic: Its CameraInfo is beside it, after remapping.
        config: Says whether images are rectified, and when silence is logged.
        mounting: Knows where the cameras are.
    """

    def __init__(
        self, node: Node, name: str, image_topic: str, config: NodeConfig, mounting: Mounting
    ) -> None:
        self._node = node
        self._name = name
        image_topic = node.resolve_topic_name(image_topic)
        self.topic = node.resolve_topic_name(camera_info_topic(image_topic))
        self._calibration = Calibration(
            lambda frame_id, now_ns: mounting.mount(name, frame_id, now_ns),
            is_rectified=is_rectified(image_topic, config.image_is_rectified),
        )
        self._config = config
        self._missed_since_s: float | None = None  # when the first image came without it
        self._warned: set[str] = set()  # of these reasons
        self._logged = ''  # why the calibration is refused
        self.turns = SenderTurns()
        self._lenses = LensNames()
        self._renewal = Renewal()
        self._is_latched = self._latched(was_latched=False)
        self._subscription = self._subscribe()

    @property
    def reason(self) -> str:
        """Why there is no camera; empty when there is one."""
        return self._calibration.reason

    @property
    def lens_m(self) -> float | None:
        """How high the lens is, as far as that is known by itself."""
        return self._calibration.lens_m

    @property
    def is_refused(self) -> bool:
        """Whether what is said of the camera cannot be."""
        return self._calibration.is_refused

    def camera(self, image_size_wh: tuple[int, int], image_frame_id: str) -> Camera | None:
        """Returns the calibrated camera at its place, None with ``reason`` set.

        Args:
            image_size_wh: Of the image that it is for.
            image_frame_id: As the image names it; counts where the CameraInfo names none.
        """
        now_ns = self._node.get_clock().now().nanoseconds
        camera = self._calibration.camera(now_ns, image_size_wh, image_frame_id)
        if camera is not None:
            self._missed_since_s = None
        elif not self.is_refused:
            self._miss(image_frame_id)
        elif self.reason != self._logged:
            self._logged = self.reason
            self._node.get_logger().error(f'Camera {self._name}, {self.topic}: {self.reason}')
        return camera

    def watch(self) -> None:
        """Follows what the publisher offers: one that sends once and keeps it must be asked."""
        was_latched, self._is_latched = (
            self._is_latched,
            self._latched(was_latched=self._is_latched),
        )
        has_publisher = self._node.count_publishers(self.topic) > 0
        if was_latched != self._is_latched or self._renewal.is_due(
            time.monotonic(), has_publisher=has_publisher
        ):
            self._node.destroy_subscription(self._subscription)
            self._subscription = self._subscribe()

    def destroy(self) -> None:
        self._node.destroy_subscription(self._subscription)

    def _latched(self, *, was_latched: bool) -> bool:
        """Whether every publisher keeps its newest message; as it was while there is none."""
        offers = [row.qos_profile for row in self._node.get_publishers_info_by_topic(self.topic)]
        if not offers:
            return was_latched
        return all(
            row.durability == LATCHED.durability and row.reliability == LATCHED.reliability
            for row in offers
        )

    def _subscribe(self) -> Any:
        self._renewal.made()
        qos = LATCHED if self._is_latched else qos_profile_sensor_data
        return self._node.create_subscription(CameraInfo, self.topic, self._take, qos)

    def _take(self, message: CameraInfo) -> None:
        self._renewal.heard()
        frame = f'{message.header.frame_id or "no frame"}, {message.width}x{message.height}'
        self.turns.take(self._lenses.name(frame, float(message.k[0]), float(message.k[2])))
        self._calibration.take(message)

    def _miss(self, image_frame_id: str) -> None:
        """Warns when images come and nobody knows where on the ground they are, once a reason."""
        now_s = time.monotonic()
        if self._missed_since_s is None:
            self._missed_since_s = now_s
        waited_s = now_s - self._missed_since_s
        is_told = self.reason in self._warned or len(self._warned) == MOST_WARNINGS
        if is_told or waited_s < self._config.silence_warn_s:
            return
        self._warned.add(self.reason)
        config = self._config
        guesses = (
            f'the stop never says go (stop.require_geometry, zone {config.stop.zone})'
            if config.stop.require_geometry
            else f'the stop guesses its zone in the picture (geometry guessed: image, not '
            f'{config.stop.zone})'
        )
        if config.stop.zone == 'image':
            guesses = 'the stop goes by its zone in the picture (image)'
        remedies = [f'  lens: publish sensor_msgs/CameraInfo on {self.topic}']
        if self.lens_m is None:
            remedies.append(
                '  place: -p mount.z:=[METRES] (the lens above the ground), or TF from '
                f'{image_frame_id or "the frame of the images"} to {config.base_frame}'
            )
        if config.stop.image_zone_adapts and not config.stop.require_geometry:
            guesses += (
                f', as wide as through a lens {LENS_M} m above the ground: of a lower one, as on '
                'a robot, give mount.z at the least'
                if self.lens_m is None
                else f', as wide as through a lens {self.lens_m:.2f} m above the ground'
            )
        mends = 'Two lines mend it' if len(remedies) > 1 else 'One line mends it'
        self._node.get_logger().warning(
            f'Camera {self._name}, {self.topic}: images come, but after {waited_s:.1f} s '
            f'{self.reason}, so that nothing is known in metres: {", ".join(IN_METRES)} stay '
            f'silent, and {guesses}. {mends}:\n' + '\n'.join(remedies)
        )


class OdometryInput:
    """Subscribes to odometry."""

    def __init__(self, node: Node, topic: str, on_motion: Callable[[Motion], None]) -> None:
        self._node = node
        self._on_motion = on_motion
        self._subscription = node.create_subscription(
            Odometry, topic, self._receive, qos_profile_sensor_data
        )

    def destroy(self) -> None:
        self._node.destroy_subscription(self._subscription)

    def _receive(self, message: Odometry) -> None:
        self._on_motion(motion_of(message))


class NodeTransforms:
    """Listens to TF for all who ask.

    Raises:
        ImportError: tf2_ros is not installed.
    """

    def __init__(self, node: Node) -> None:
        import tf2_ros

        self._clock_type = node.get_clock().clock_type
        self._buffer = tf2_ros.Buffer()
        self._listener = tf2_ros.TransformListener(self._buffer, node)

    def destroy(self) -> None:
        """Listens no more."""
        self._listener.unregister()

    def newest(self, frame: str, of_frame: str) -> Any:
        """Returns the newest TransformStamped of a frame in another; raises without one."""
        return self._buffer.lookup_transform(frame, of_frame, Time())

    def at(self, frame: str, of_frame: str, stamp_ns: int) -> Any:
        """Returns that of a time, and waits for it a little; not for the executor's thread."""
        stamp = Time(nanoseconds=stamp_ns, clock_type=self._clock_type)
        return self._buffer.lookup_transform(frame, of_frame, stamp, Duration(seconds=WAIT_S))


def node_transforms(node: Node, config: NodeConfig) -> NodeTransforms | None:
    """Returns TF where the parameters ask for it, and where it is welcome and there.

    Raises:
        ConfigurationError: TF is asked for, but tf2_ros is not installed.
    """
    if not (wants_transforms(config) or config.lane.frame):
        return None
    try:
        return NodeTransforms(node)
    except ImportError as error:
        for asked, instead in (
            (config.mount.source == 'tf', 'mount.source is tf: give mount.x to mount.yaw'),
            (config.lane.frame, f'lane.frame is {config.lane.frame}: leave it empty'),
        ):
            if asked:
                raise ConfigurationError(
                    f'{instead}, or install ros-<distribution>-tf2-ros-py; tf2_ros cannot be '
                    f'imported: {error}.'
                ) from error
        return None


def node_mounting(config: NodeConfig, transforms: NodeTransforms | None) -> Mounting:
    """Returns where the cameras are, from TF or from parameters, as the parameters say."""
    if transforms is None or not wants_transforms(config):
        return Mounting(config, None)
    return Mounting(config, transforms.newest)


def lane_placing(
    config: NodeConfig, transforms: NodeTransforms | None
) -> Callable[[LaneTrack], LaneTrack] | None:
    """Returns what puts a lane into ``lane.frame``; None where that is the base frame."""
    if transforms is None or not config.lane.frame:
        return None
    return functools.partial(
        placed_lane,
        frame=config.lane.frame,
        base_frame=config.base_frame,
        look_up=transforms.at,
    )

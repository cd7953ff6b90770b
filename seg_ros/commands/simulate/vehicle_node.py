# SPDX-License-Identifier: Apache-2.0
"""The vehicle of ``seg_ros simulate`` on the graph: what it shows the node, and hears of it."""

from __future__ import annotations

import math
import time
from typing import NamedTuple

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import Quaternion
from nav_msgs.msg import Odometry, Path
from numpy.typing import NDArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Bool, Header

from seg_ros.commands.camera.topics import camera_info_message
from seg_ros.core.geometry.intrinsics import CameraIntrinsics
from seg_ros.core.units import NS_PER_S
from seg_ros.messages.conversions import ReusedImage, stamp_ns_of, stamp_text
from seg_ros.sim.frame import EgoState
from seg_ros.sim.vehicle import WHEELBASE_M

__all__ = ['Answer', 'VehicleNode', 'odometry_message']

NODE = '/segmentation'
RELIABLE = QoSProfile(depth=5, reliability=ReliabilityPolicy.RELIABLE)  # all of a few frames
NEWEST = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)  # of a heartbeat


class Answer(NamedTuple):
    """What the node published about a frame.

    Attributes:
        path: ``(N, 2)`` of the lane, base frame; empty without one.
        stop: The pedestrian stop; true in silence.
        complete: All of it came in time.
    """

    path: NDArray[np.float64]
    stop: bool
    complete: bool


class VehicleNode(Node):
    """The camera and odometry of the vehicle, and what it hears of the node.

    Args:
        lens: Of the camera.
    """

    def __init__(self, lens: CameraIntrinsics) -> None:
        super().__init__('simulator', start_parameter_services=False)
        self._info = camera_info_message(lens, (lens.width, lens.height))
        self._image = ReusedImage('rgb8')
        self._clock_out = self.create_publisher(Clock, '/clock', RELIABLE)
        self._odometry_out = self.create_publisher(Odometry, '/odom', RELIABLE)
        self._info_out = self.create_publisher(CameraInfo, '/camera/camera_info', RELIABLE)
        self._image_out = self.create_publisher(Image, '/camera/image', RELIABLE)
        self._paths: dict[str, NDArray[np.float64]] = {}
        self._lane: dict[str, bool] = {}  # whether there is a path, by stamp
        self._stop = True
        self._judged: tuple[str, bool] = ('', True)  # stamp of the frame, and the stop
        for kind, topic, hear, qos in (
            (Path, 'lane_track', self._on_path, RELIABLE),
            (DiagnosticStatus, 'lane_track/status', self._on_lane, RELIABLE),
            (Bool, 'pedestrian_stop', self._on_stop, NEWEST),
            (DiagnosticStatus, 'pedestrian_stop/status', self._on_judged, NEWEST),
        ):
            self.create_subscription(kind, f'{NODE}/{topic}', hear, qos)
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self)

    def is_connected(self) -> bool:
        """Returns whether the node hears the vehicle, and the vehicle the node."""
        outputs = (self._clock_out, self._odometry_out, self._info_out, self._image_out)
        heard = all(output.get_subscription_count() for output in outputs)
        return heard and self.count_publishers(f'{NODE}/lane_track/status') > 0

    def show(self, image: NDArray[np.uint8], ego: EgoState, stamp_ns: int) -> None:
        """Publishes a frame and all that belongs to it; the image last."""
        self._paths.clear()
        self._lane.clear()
        header = Header(frame_id='camera_optical')
        header.stamp.sec, header.stamp.nanosec = divmod(stamp_ns, NS_PER_S)
        self._clock_out.publish(Clock(clock=header.stamp))
        self._odometry_out.publish(odometry_message(ego, header))
        self._info.header = header
        self._info_out.publish(self._info)
        np.copyto(self._image.pixels(image.shape), image)
        self._image.message.header = header
        self._image_out.publish(self._image.message)

    def answer(self, stamp_ns: int, timeout_s: float) -> Answer:
        """Returns what the node says about a frame, once it has said all of it."""
        stamp = stamp_text(stamp_ns)
        give_up_s = time.monotonic() + timeout_s
        while not self._is_answered(stamp):
            left_s = give_up_s - time.monotonic()
            if left_s <= 0.0:
                return Answer(np.zeros((0, 2)), True, False)
            self._executor.spin_once(timeout_sec=left_s)
        return Answer(self._paths.get(stamp, np.zeros((0, 2))), self._stop, True)

    def spin(self, timeout_s: float) -> None:
        self._executor.spin_once(timeout_sec=timeout_s)

    def _is_answered(self, stamp: str) -> bool:
        if stamp not in self._lane or (self._lane[stamp] and stamp not in self._paths):
            return False
        # The signal has no stamp; it is of this frame when its status is, and says the same.
        return self._judged == (stamp, self._stop)

    def _on_path(self, message: Path) -> None:
        points = [(row.pose.position.x, row.pose.position.y) for row in message.poses]
        self._paths[stamp_text(stamp_ns_of(message.header))] = np.array(points)

    def _on_lane(self, message: DiagnosticStatus) -> None:
        values = {row.key: row.value for row in message.values}
        self._lane[values['stamp']] = values['valid'] == 'true'

    def _on_stop(self, message: Bool) -> None:
        self._stop = message.data

    def _on_judged(self, message: DiagnosticStatus) -> None:
        values = {row.key: row.value for row in message.values}
        self._judged = values.get('frame_stamp', ''), values['stop'] == 'true'


def odometry_message(ego: EgoState, header: Header) -> Odometry:
    """Returns what wheel encoders and a gyroscope would say."""
    message = Odometry(child_frame_id='base_link')
    message.header = Header(stamp=header.stamp, frame_id='odom')
    message.pose.pose.position.x = ego.x_m
    message.pose.pose.position.y = ego.y_m
    half = 0.5 * ego.yaw_rad
    message.pose.pose.orientation = Quaternion(z=math.sin(half), w=math.cos(half))
    message.twist.twist.linear.x = ego.speed_mps
    message.twist.twist.angular.z = ego.speed_mps * math.tan(ego.steering_rad) / WHEELBASE_M
    return message

# SPDX-License-Identifier: Apache-2.0
"""Several cameras with calibration and odometry, for as long as their process lives."""

from __future__ import annotations

import array
import sys
import time

import numpy as np
import rclpy
from nav_msgs.msg import Odometry
from rclpy.executors import ExternalShutdownException
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from seg_ros.commands.faults.scene import CAMERA, noisy, painted_road
from seg_ros.core.units import NS_PER_S
from seg_ros.inference.engine import load_engine
from seg_ros.ros.middleware import prepare_process

__all__ = ['CAMERAS', 'PAINTED_FOR', 'image_topic']

CAMERAS = ('front', 'left', 'right', 'rear')
PAINTED_FOR = 'roadsynth'  # the engine whose colours the road has


def image_topic(camera: str) -> str:
    return f'/{camera}/image'


def main(rate_hz: float) -> None:
    """Publishes until it is told to end; the cameras take turns."""
    prepare_process()
    rclpy.init(args=[])
    node = rclpy.create_node('soak_cameras', start_parameter_services=False)
    images = [node.create_publisher(Image, image_topic(name), 2) for name in CAMERAS]
    infos = [
        node.create_publisher(CameraInfo, f'/{name}/camera_info', qos_profile_sensor_data)
        for name in CAMERAS
    ]
    odometry = node.create_publisher(Odometry, '/odom', qos_profile_sensor_data)
    road, random = painted_road(load_engine(PAINTED_FOR).label_map), np.random.default_rng(1)
    lens = CAMERA.intrinsics
    period_s = 1.0 / (rate_hz * len(CAMERAS))
    due_s, turn = time.monotonic(), 0
    try:
        while rclpy.ok():
            header = Header(frame_id='camera_optical')
            header.stamp.sec, header.stamp.nanosec = divmod(time.time_ns(), NS_PER_S)
            moved = Odometry(header=header)
            moved.twist.twist.linear.x = 3.0
            odometry.publish(moved)
            info = CameraInfo(header=header, width=lens.width, height=lens.height)
            info.distortion_model, info.d = 'plumb_bob', [0.0] * 5
            info.k = lens.k.reshape(-1).tolist()
            infos[turn].publish(info)
            image = Image(header=header, width=lens.width, height=lens.height, encoding='rgb8')
            image.step = 3 * lens.width
            image.data = array.array('B', noisy(road, random).tobytes())
            images[turn].publish(image)
            turn = (turn + 1) % len(CAMERAS)
            due_s = max(due_s + period_s, time.monotonic())
            time.sleep(due_s - time.monotonic() if due_s > time.monotonic() else 0.0)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        rclpy.try_shutdown()


if __name__ == '__main__':
    main(float(sys.argv[1]))

# SPDX-License-Identifier: Apache-2.0
"""A camera on a drive: publishes pictures until the test is over, and breaks on command."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from nav_msgs.msg import Odometry
from numpy.typing import NDArray
from sensor_msgs.msg import CameraInfo

from test.ros.graph import Graph, image_message
from test.ros.nodes import PEDESTRIAN, ROAD, street
from test.tiny_onnx import COLOURS

PERIOD_S = 0.05


def empty_road() -> NDArray[np.uint8]:
    """Returns the street of the tests without its pedestrian, in the engine's colours."""
    _, labels = street()
    return np.array(COLOURS, np.uint8)[np.where(labels == PEDESTRIAN, ROAD, labels)]


@dataclass
class Drive:
    """What is published, changed by the test while it runs.

    Attributes:
        image: The picture, ``(H, W, 3)``.
        ring: Two old pictures come in turn, again and again.
        stuck_columns: So many columns from the left never change.
        noise: Whether no two pictures are the same, as with a real camera.
        offset_s: Added to the stamps.
        running: Whether images are published.
        odometry: Whether odometry is published.
        speed_mps: What it says.
        yaw_rate_rps: The same.
        info: The calibration that comes with every image, if any.
        other_info: Another one, with every second image.
        encoding: What the images are said to be.
        frame_ids: The cameras whose pictures come in turn.
    """

    graph: Graph
    image: NDArray[np.uint8] = field(default_factory=empty_road)
    noise: bool = True
    ring: bool = False
    stuck_columns: int = 0
    offset_s: float = 0.0
    running: bool = True
    odometry: bool = False
    speed_mps: float = 3.0
    yaw_rate_rps: float = 0.0
    info: CameraInfo | None = None
    other_info: CameraInfo | None = None
    encoding: str = 'rgb8'
    frame_ids: tuple[str, ...] = ('camera_optical',)

    def __post_init__(self) -> None:
        self._camera = self.graph.publisher()
        self._odometry: Any = None
        self._infos = self.graph.publisher(CameraInfo, '/camera_info')
        self._over = threading.Event()
        self._old: deque[NDArray[np.uint8]] = deque(maxlen=2)
        self._random = np.random.default_rng(1)
        self._thread = threading.Thread(target=self._publish, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._over.set()
        self._thread.join(10.0)

    def _publish(self) -> None:
        count = 0
        while not self._over.wait(PERIOD_S):
            count += 1
            now_ns = self.graph.peer.get_clock().now().nanoseconds
            if self.running:
                stamp_ns = max(0, now_ns + int(self.offset_s * 1e9))
                frame_id = self.frame_ids[count % len(self.frame_ids)]
                message = image_message(self._picture(), stamp_ns, frame_id)
                message.encoding = self.encoding
                self._camera.publish(message)
                info = self.other_info if self.other_info and count % 2 else self.info
                if info is not None:
                    info.header = message.header
                    self._infos.publish(info)
            if self.odometry:
                if self._odometry is None:
                    self._odometry = self.graph.publisher(Odometry, '/odom')
                message = Odometry()
                message.header.stamp.sec, message.header.stamp.nanosec = divmod(now_ns, 10**9)
                message.twist.twist.linear.x = self.speed_mps
                message.twist.twist.angular.z = self.yaw_rate_rps
                self._odometry.publish(message)

    def _picture(self) -> NDArray[np.uint8]:
        if not self.noise:
            return self.image
        if self.ring:
            self._old.rotate(1)
            return self._old[0]
        noise = self._random.integers(-2, 3, self.image.shape)
        picture = np.clip(self.image + noise, 0, 255).astype(np.uint8)
        picture[:, : self.stuck_columns] = self.image[:, : self.stuck_columns]
        self._old.append(picture)
        return picture

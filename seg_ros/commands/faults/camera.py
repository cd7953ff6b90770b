# SPDX-License-Identifier: Apache-2.0
"""The camera of ``seg_ros faults``, with calibration, odometry and clock, that breaks on command.

A process of its own, so that it can be killed and stopped. It reads changes of its settings as
lines of JSON and answers each with the time from which on it holds.
"""

from __future__ import annotations

import argparse
import array
import json
import math
import sys
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from nav_msgs.msg import Odometry
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy, qos_profile_sensor_data
from rclpy.signals import SignalHandlerOptions
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Bool, Header

from seg_ros.commands.evaluate.sight.blindness import FAMILIES
from seg_ros.commands.faults.scene import CAMERA, noisy, painted_road
from seg_ros.core.types import RgbImage
from seg_ros.core.units import NS_PER_S
from seg_ros.inference.engine import load_engine
from seg_ros.ros.middleware import prepare_process

__all__ = ['FLAT', 'STOP_TOPIC', 'CameraSettings', 'main']

STOP_TOPIC = '/segmentation/pedestrian_stop'
FLAT = {'black': 0, 'grey': 110, 'white': 255}
HUGE_PX = 60_000
CLOCK_STEPS = 2  # messages of the clock a period: rclpy sees it step, not stand
MOST_LATE_S = 1.0


@dataclass
class CameraSettings:
    """What the camera does; times in seconds.

    Attributes:
        picture: ``road``, ``person``, ``bars``, a name of ``FLAT`` or of ``FAMILIES``.
        strength: Index of the family's strengths.
        noise: Whether the sensor has noise; without it all pictures are the same.
        ring: So many old pictures come in turn; 0: new ones.
        stuck_columns: So many columns from the left never change.
        rate_hz: Of pictures.
        burst: So many pictures come at once, in as many periods.
        running: Whether pictures come.
        offset_s: Added to the stamps of pictures.
        stamps: ``now``, ``same``, ``backwards``, ``zero`` or ``random``.
        broken: ``encoding``, ``short``, ``empty``, ``huge``, ``step``, ``no_size`` or nothing.
        scales: Factors of the picture's size, one picture after the other.
        rows: Share of its rows that are left, one picture after the other.
        info: Fields of the CameraInfo that are otherwise.
        odometry: Whether it comes.
        speeds_mps: What it says, one message after the other.
        yaw_rate_rps: The same.
        odometry_offset_s: Added to its stamps.
        clock_running: Whether sim time goes on, where there is one.
        clock_offsets_s: Added to sim time, one message after the other.
        twin: Topic of a second publisher, ``image`` or ``stop``; empty for none.
        reliable: Of the pictures' QoS.
    """

    picture: str = 'road'
    strength: int = 1
    noise: bool = True
    ring: int = 0
    stuck_columns: int = 0
    rate_hz: float = 20.0
    burst: int = 1
    running: bool = True
    offset_s: float = 0.0
    stamps: str = 'now'
    broken: str = ''
    scales: list[float] = field(default_factory=lambda: [1.0])
    rows: list[float] = field(default_factory=lambda: [1.0])
    info: dict[str, Any] = field(default_factory=dict)
    odometry: bool = True
    speeds_mps: list[float] = field(default_factory=lambda: [3.0])
    yaw_rate_rps: float = 0.0
    odometry_offset_s: float = 0.0
    clock_running: bool = True
    clock_offsets_s: list[float] = field(default_factory=lambda: [0.0])
    twin: str = ''
    reliable: bool = True


class FaultyCamera:
    """Publishes until it is told to end.

    Args:
        node: Creates the publishers.
        engine: Folder of the engine whose colours the pictures have.
        sim_time: Whether it gives the clock, too.
    """

    def __init__(self, node: Node, engine: Path, *, sim_time: bool) -> None:
        self.settings = CameraSettings()
        self._node = node
        label_map = load_engine(engine).label_map
        self._road = painted_road(label_map)
        self._person = painted_road(label_map, person=True)
        self._random = np.random.default_rng(1)
        self._old: deque[RgbImage] = deque(maxlen=64)
        self._count = 0
        self._was_ns = 0
        self._frozen_ns = 0
        self._images = self._image_publisher()
        self._infos = node.create_publisher(CameraInfo, '/camera_info', qos_profile_sensor_data)
        self._odometry = node.create_publisher(Odometry, '/odom', qos_profile_sensor_data)
        self._clock = node.create_publisher(Clock, '/clock', 10) if sim_time else None
        self._twin: Any = None

    def beat(self) -> None:
        """Publishes what is due in one period."""
        settings, self._count = self.settings, self._count + 1
        self._tick_clock()
        now_ns = self._now_ns()
        if settings.odometry:
            self._publish_odometry(now_ns)
        if settings.running and self._count % settings.burst == 0:
            for back in reversed(range(settings.burst)):
                self._publish_image(now_ns - int(back * NS_PER_S / settings.rate_hz))

    def change(self, changes: dict[str, Any]) -> None:
        """Takes other settings; those that are not named stay."""
        settings = CameraSettings(**{**vars(self.settings), **changes})
        if settings.reliable != self.settings.reliable:
            self._node.destroy_publisher(self._images)
            self.settings = settings
            self._images = self._image_publisher()
        if settings.twin != self.settings.twin:
            if self._twin is not None:
                self._node.destroy_publisher(self._twin)
                self._twin = None
            if settings.twin == 'image':
                self._twin = self._image_publisher()
            elif settings.twin == 'stop':
                self._twin = self._node.create_publisher(Bool, STOP_TOPIC, 1)
        self.settings = settings

    def _image_publisher(self) -> Any:
        reliability = ReliabilityPolicy.RELIABLE
        if not self.settings.reliable:
            reliability = ReliabilityPolicy.BEST_EFFORT
        return self._node.create_publisher(
            Image, '/image', QoSProfile(depth=2, reliability=reliability)
        )

    def _offset_ns(self, index: int) -> int:
        offsets = self.settings.clock_offsets_s
        return int(offsets[index % len(offsets)] * NS_PER_S)

    def _now_ns(self) -> int:
        """The clock that stamps come from."""
        if self._clock is None:
            return time.time_ns()
        if not self.settings.clock_running:
            return self._frozen_ns
        return time.time_ns() + self._offset_ns(0)

    def _tick_clock(self) -> None:
        if self._clock is None or not self.settings.clock_running:
            return
        for step in range(CLOCK_STEPS):
            now_ns = time.time_ns() + self._offset_ns(step)
            self._frozen_ns = now_ns
            message = Clock()
            message.clock.sec, message.clock.nanosec = divmod(now_ns, NS_PER_S)
            self._clock.publish(message)

    def _stamp_ns(self, now_ns: int) -> int:
        kind, was_ns = self.settings.stamps, self._was_ns or now_ns
        self._was_ns = {
            'now': now_ns + int(self.settings.offset_s * NS_PER_S),
            'same': was_ns,
            'backwards': was_ns - int(NS_PER_S / self.settings.rate_hz),
            'zero': 0,
            'random': now_ns - int(self._random.integers(700_000_000, 5_000_000_000)),
        }[kind]
        return max(0, self._was_ns)

    def _picture(self) -> RgbImage:
        settings = self.settings
        if settings.ring:
            return self._old[self._count % settings.ring - settings.ring]
        base = self._person if settings.picture == 'person' else self._road
        if settings.picture in FLAT:
            base = np.full_like(base, FLAT[settings.picture])
        if settings.picture == 'bars':
            base = np.ascontiguousarray(base.copy())
            for index in range(8):
                part = slice(index * base.shape[1] // 8, (index + 1) * base.shape[1] // 8)
                base[:, part] = [255 * (index >> bit & 1) for bit in range(3)]
        if settings.picture in FAMILIES:
            family = FAMILIES[settings.picture]
            return family.spoil(base, family.strengths[settings.strength], self._random)
        if not settings.noise:
            return base
        picture = noisy(base, self._random)
        picture[:, : settings.stuck_columns] = base[:, : settings.stuck_columns]
        self._old.append(picture)
        return picture

    def _publish_image(self, now_ns: int) -> None:
        settings = self.settings
        picture = self._picture()
        scale = settings.scales[self._count % len(settings.scales)]
        if scale != 1.0:
            rows = np.linspace(0, picture.shape[0] - 1, max(1, int(picture.shape[0] * scale)))
            columns = np.linspace(0, picture.shape[1] - 1, max(1, int(picture.shape[1] * scale)))
            picture = picture[rows.astype(int)][:, columns.astype(int)]
        share = settings.rows[self._count % len(settings.rows)]
        picture = picture[: max(1, int(share * picture.shape[0]))]
        message = Image(
            height=picture.shape[0],
            width=picture.shape[1],
            encoding='rgb8',
            step=picture.shape[1] * 3,
            header=self._header(self._stamp_ns(now_ns)),
        )
        message.data = array.array('B', picture.tobytes())
        _spoil(message, settings.broken)
        self._images.publish(message)
        self._infos.publish(self._info(message.header))
        if self._twin is not None and settings.twin == 'image':
            self._twin.publish(message)

    def _header(self, stamp_ns: int) -> Header:
        header = Header(frame_id='camera_optical')
        header.stamp.sec, header.stamp.nanosec = divmod(stamp_ns, NS_PER_S)
        return header

    def _info(self, header: Header) -> CameraInfo:
        lens = CAMERA.intrinsics
        values = {
            'width': lens.width,
            'height': lens.height,
            'distortion_model': 'plumb_bob',
            'k': lens.k.reshape(-1).tolist(),
            'd': [0.0] * 5,
            **self.settings.info,
        }
        return CameraInfo(header=header, **values)

    def _publish_odometry(self, now_ns: int) -> None:
        settings = self.settings
        message = Odometry(
            header=self._header(max(0, now_ns + int(settings.odometry_offset_s * NS_PER_S)))
        )
        speeds = settings.speeds_mps
        message.twist.twist.linear.x = float(speeds[self._count % len(speeds)])
        message.twist.twist.angular.z = float(settings.yaw_rate_rps)
        self._odometry.publish(message)


def _spoil(message: Image, kind: str) -> None:
    """Breaks an image as drivers do."""
    if kind == 'encoding':
        message.encoding = 'rgb7'
    elif kind == 'short':
        message.data = message.data[: len(message.data) // 2]
    elif kind == 'empty':
        message.data = array.array('B')
    elif kind == 'huge':
        message.width = message.height = HUGE_PX
        message.step = 3 * HUGE_PX
    elif kind == 'step':
        message.step = 7
    elif kind == 'no_size':
        message.width = message.height = message.step = 0


def main() -> None:
    """Publishes until its input ends; a line of JSON changes what."""
    parser = argparse.ArgumentParser()
    parser.add_argument('--engine', type=Path, required=True)
    parser.add_argument('--sim-time', action='store_true')
    arguments = parser.parse_args()
    prepare_process()
    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    node = rclpy.create_node('faulty_camera', start_parameter_services=False)
    camera = FaultyCamera(node, arguments.engine, sim_time=arguments.sim_time)
    asked: deque[dict[str, Any]] = deque()
    over = threading.Event()

    def listen() -> None:
        for line in sys.stdin:
            asked.append(json.loads(line))
        over.set()

    threading.Thread(target=listen, daemon=True).start()
    due_s = time.monotonic()
    while not over.wait(max(0.0, due_s - time.monotonic())):
        changes = 0
        while asked:
            camera.change(asked.popleft())
            changes += 1
        camera.beat()
        for _ in range(changes):
            print(json.dumps({'done_ns': time.time_ns()}), flush=True)
        due_s += 1.0 / camera.settings.rate_hz
        if not math.isclose(due_s, time.monotonic(), abs_tol=MOST_LATE_S):
            due_s = time.monotonic()
    rclpy.try_shutdown()


if __name__ == '__main__':
    main()

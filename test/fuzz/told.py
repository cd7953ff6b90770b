# SPDX-License-Identifier: Apache-2.0
"""A vehicle that is told anything by its messages, and all that is decided and said of it."""

from __future__ import annotations

import functools
import itertools
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from seg_ros.core.errors import SegRosError
from seg_ros.core.parameters.node_config import NodeConfig
from seg_ros.core.timing import StageTimer
from seg_ros.inference.canned_backend import CannedBackend
from seg_ros.inference.engine import load_engine
from seg_ros.messages.conversions import frame_from_message
from seg_ros.messages.plain import plain_type
from seg_ros.perception import Perception, Wanted
from seg_ros.replay.vehicle import ReplayedVehicle

__all__ = ['KINDS', 'PIXELS', 'Told', 'told_by_fields']

PIXELS = 1 << 22  # of a picture, so that a hit of the fuzzer costs milliseconds
IMAGE, COMPRESSED = 'sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage'
INFO, ODOMETRY = 'sensor_msgs/msg/CameraInfo', 'nav_msgs/msg/Odometry'
TRANSFORMS = 'tf2_msgs/msg/TFMessage'
KINDS = (TRANSFORMS, INFO, ODOMETRY, IMAGE, COMPRESSED)
WANTED = Wanted(
    images=frozenset({'labels', 'confidence', 'overlay'}),
    decisions=frozenset({'lane', 'stop', 'obstacles', 'instances', 'detections', 'zones'}),
)
PERIOD_NS = 50_000_000


class Told:
    """Takes one message after the other, 50 ms apart.

    Args:
        engine: Folder of one; a pixel gets the class with the nearest colour.
    """

    def __init__(self, engine: Path) -> None:
        config = NodeConfig()
        (self._camera,) = config.camera_names
        self._vehicle = ReplayedVehicle(
            config, load_engine(engine).label_map, None, has_transforms=True
        )
        self._perception = Perception(_backend(engine))
        self._now_ns = 0

    def take(self, kind: str, message: Any) -> None:
        """Takes a message; an error of ours is an answer."""
        self._now_ns += PERIOD_NS
        for _ in self._vehicle.beats_before(self._now_ns):
            pass
        with suppress(SegRosError):
            if kind == TRANSFORMS:
                self._vehicle.transforms(message, static=False)
            elif kind == INFO:
                self._vehicle.lens(self._camera, message)
            elif kind == ODOMETRY:
                self._vehicle.odometry(message)
            else:
                self._see(message)

    def _see(self, message: Any) -> None:
        frame = frame_from_message(message, self._camera, PIXELS)
        decisions = self._vehicle.camera_at(frame, self._now_ns)
        ticks = itertools.count()
        timer = StageTimer(lambda: next(ticks))
        found = self._perception.process(frame, decisions, WANTED, self._now_ns, timer)
        self._vehicle.placed(found.decisions)


@functools.cache
def _backend(engine: Path) -> CannedBackend:
    return CannedBackend(load_engine(engine))


# Any value of a field, and often one that is next to right


def told_by_fields(engine: Path, data: bytes) -> None:
    """Takes the messages that bytes choose."""
    ENGINES[:] = [engine]
    _take_all.hypothesis.fuzz_one_input(data)  # type: ignore[attr-defined]


ENGINES: list[Path] = []
NUMBER = st.one_of(st.floats(), st.floats(-2.0, 2.0), st.sampled_from((0.0, 1.0, 1.4, 320.0)))
FRAME = st.sampled_from(('camera_optical', 'base_link', 'odom', '', '/', 'é'))
UINT32 = st.one_of(st.integers(0, 2**32 - 1), st.sampled_from((0, 1, 2, 32, 64, 96, 192)))
BYTES = st.binary(max_size=4096).map(lambda data: np.frombuffer(data, np.uint8))
STAMPS = st.builds(
    plain_type('builtin_interfaces/msg/Time'),
    sec=st.one_of(st.integers(-(2**31), 2**31 - 1), st.integers(0, 2)),
    nanosec=st.one_of(st.integers(0, 2**32 - 1), st.integers(0, 20).map(PERIOD_NS.__mul__)),
)
HEADERS = st.builds(plain_type('std_msgs/msg/Header'), stamp=STAMPS, frame_id=FRAME)
VECTORS = st.builds(plain_type('geometry_msgs/msg/Vector3'), x=NUMBER, y=NUMBER, z=NUMBER)
TURNS = st.one_of(
    st.builds(plain_type('geometry_msgs/msg/Quaternion'), x=NUMBER, y=NUMBER, z=NUMBER, w=NUMBER),
    st.just(plain_type('geometry_msgs/msg/Quaternion')(x=-0.5, y=0.5, z=-0.5, w=0.5)),
)
ENCODINGS = st.one_of(
    st.sampled_from(('rgb8', 'bgr8', 'mono8', 'mono16', 'yuv422', 'nv12', 'bayer_rggb8', '8UC3')),
    st.text(max_size=12),
)


def _numbers(count: int) -> st.SearchStrategy[Any]:
    right = st.just(np.resize((320.0, 0.0, 32.0, 0.0, 320.0, 16.0, 0.0, 0.0, 1.0), count))
    return st.one_of(right, st.lists(NUMBER, min_size=count, max_size=count).map(np.array))


MESSAGES = {
    TRANSFORMS: st.builds(
        plain_type(TRANSFORMS),
        transforms=st.lists(
            st.builds(
                plain_type('geometry_msgs/msg/TransformStamped'),
                header=HEADERS,
                child_frame_id=FRAME,
                transform=st.builds(
                    plain_type('geometry_msgs/msg/Transform'), translation=VECTORS, rotation=TURNS
                ),
            ),
            max_size=4,
        ),
    ),
    INFO: st.builds(
        plain_type(INFO),
        header=HEADERS,
        height=UINT32,
        width=UINT32,
        distortion_model=st.sampled_from(
            ('plumb_bob', 'rational_polynomial', 'equidistant', '', 'x')
        ),
        d=st.lists(NUMBER, max_size=15).map(lambda row: np.array(row, np.float64)),
        k=_numbers(9),
        p=_numbers(12),
        binning_x=UINT32,
        binning_y=UINT32,
        roi=st.builds(
            plain_type('sensor_msgs/msg/RegionOfInterest'),
            x_offset=UINT32,
            y_offset=UINT32,
            height=UINT32,
            width=UINT32,
        ),
    ),
    ODOMETRY: st.builds(
        plain_type(ODOMETRY),
        header=HEADERS,
        twist=st.builds(
            plain_type('geometry_msgs/msg/TwistWithCovariance'),
            twist=st.builds(
                plain_type('geometry_msgs/msg/Twist'), linear=VECTORS, angular=VECTORS
            ),
        ),
    ),
    IMAGE: st.builds(
        plain_type(IMAGE),
        header=HEADERS,
        height=UINT32,
        width=UINT32,
        encoding=ENCODINGS,
        is_bigendian=st.integers(0, 255),
        step=UINT32,
        data=BYTES,
    ),
    COMPRESSED: st.builds(
        plain_type(COMPRESSED), header=HEADERS, format=st.text(max_size=24), data=BYTES
    ),
}
# A picture that can be read, so that the rest is used
MESSAGES[IMAGE] |= st.builds(
    plain_type(IMAGE),
    header=HEADERS,
    height=st.just(32),
    width=st.just(64),
    encoding=st.just('rgb8'),
    step=st.just(192),
    data=st.integers(0, 255).map(lambda value: np.full(32 * 192, value, np.uint8)),
)
ANY = st.sampled_from(KINDS).flatmap(lambda kind: st.tuples(st.just(kind), MESSAGES[kind]))


@settings(database=None, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(ANY, max_size=12))
def _take_all(messages: list[tuple[str, Any]]) -> None:
    told = Told(ENGINES[0])
    for kind, message in messages:
        told.take(kind, message)

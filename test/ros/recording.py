# SPDX-License-Identifier: Apache-2.0
"""Writes small bags for the tests: messages with their times and their quality of service."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rclpy.qos import QoSProfile
from rclpy.serialization import serialize_message

from seg_ros.commands.record.recorder import BagWriter
from test.ros.drive import empty_road
from test.ros.graph import RELIABLE, image_message

ZSTD_MAGIC = bytes.fromhex('28b52ffd')


class Recorded(NamedTuple):
    """A message of a bag."""

    topic: str
    at_ns: int
    message: Any


def write_bag(
    path: Path, rows: Iterable[Recorded], qos: dict[str, QoSProfile] | None = None
) -> Path:
    """Writes a bag; a topic is offered reliably unless ``qos`` has it."""
    writer = BagWriter(path)
    for row in rows:
        if row.topic not in writer.counts:
            package = type(row.message).__module__.split('.')[0]
            kind = f'{package}/msg/{type(row.message).__name__}'
            writer.add_topic(row.topic, kind, (qos or {}).get(row.topic, RELIABLE))
        writer.write(row.topic, row.at_ns, serialize_message(row.message))
    writer.close()
    assert writer.error is None
    return path


def road_images(begin_ns: int, seconds: float, rate_hz: float = 20.0) -> list[Recorded]:
    """Returns an empty road with the noise of a camera, stamped with the time of its recording."""
    random = np.random.default_rng(1)
    road = empty_road()
    rows = []
    for index in range(round(seconds * rate_hz)):
        at_ns = begin_ns + round(index * 1e9 / rate_hz)
        picture = np.clip(road + random.integers(-2, 3, road.shape), 0, 255).astype(np.uint8)
        rows.append(Recorded('/image', at_ns, image_message(picture, stamp_ns=at_ns)))
    return rows


def broken_bag(path: Path) -> Path:
    """Writes two seconds of label images, of which some in the middle cannot be read."""
    random = np.random.default_rng(1)
    rows = []
    for index in range(20):
        labels = random.integers(0, 256, (400, 600)).astype(np.uint8)
        at_ns = 1_700_000_000_000_000_000 + index * 100_000_000
        rows.append(Recorded('/segmentation/label', at_ns, image_message(labels, stamp_ns=at_ns)))
    write_bag(path, rows)
    (file,) = path.glob('*.mcap')
    data = bytearray(file.read_bytes())
    chunk = data.index(ZSTD_MAGIC, len(data) // 2)
    data[chunk : chunk + len(ZSTD_MAGIC)] = bytes(len(ZSTD_MAGIC))
    file.write_bytes(data)
    return path

# SPDX-License-Identifier: Apache-2.0
"""What the camera of ``seg_ros faults`` shows, and an engine that was measured on it.

The road is painted in the colours of the engine's classes, so that the canned backend gives exact
labels: what is published then says nothing of a network, and all of the node around it.
"""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seg_ros.commands.calibrate_engine import with_domain
from seg_ros.commands.evaluate.evaluated_camera import EvaluatedCamera
from seg_ros.commands.evaluate.sight.blindness import FAMILIES
from seg_ros.core.geometry.camera import Camera, Mount
from seg_ros.core.geometry.intrinsics import CameraIntrinsics
from seg_ros.core.labels import LabelMap
from seg_ros.core.parameters.node_config import NodeConfig
from seg_ros.core.stop.domain import Domain
from seg_ros.core.stop.picture_statistics import StatisticsOfPictures
from seg_ros.core.types import RgbImage
from seg_ros.inference.canned_backend import CannedBackend
from seg_ros.inference.engine import load_engine
from seg_ros.inference.spec import SPEC_FILE

__all__ = ['CAMERA', 'SIZE_WH', 'noisy', 'painted_road', 'write_engine']

SIZE_WH = (320, 180)
CAMERA = Camera(
    CameraIntrinsics.from_field_of_view(SIZE_WH, math.radians(62.0)),
    Mount(x=1.6, z=1.45, pitch=0.06),
)
PERSON_M = (8.0, 0.0)
PERSON_SIZE_M = (0.6, 1.75)
LINES_M = (1.75, -1.75)
STOP_LINE_M = 6.5, 6.8  # across the lane: without it nothing in its middle could be covered
NOISE = 2  # grey levels to either side, as a sensor has: no two pictures are the same
MEASURED = 40  # pictures that the engine is measured on
SPOILT = 4  # of each kind of blindness and strength


def painted_road(label_map: LabelMap, *, person: bool = False) -> RgbImage:
    """Returns ``(H, W, 3)``, a road between two pavements, in the colours of the classes.

    Args:
        label_map: Of the engine.
        person: Whether somebody stands on it, within the stopping distance.
    """
    ids = {row.name: row.id for row in label_map.classes}
    table = CAMERA.ground_table()
    labels = np.full(SIZE_WH[::-1], ids['sky'], np.uint8)
    labels[np.isfinite(table[..., 0])] = ids['road']
    with np.errstate(invalid='ignore'):
        labels[np.abs(table[..., 1]) > 5.0] = ids['pavement']
        for line_m in LINES_M:
            labels[np.abs(table[..., 1] - line_m) < 0.08] = ids['lane_marking']
        near_m, far_m = STOP_LINE_M
        is_ahead = (table[..., 0] > near_m) & (table[..., 0] < far_m)
        labels[is_ahead & (np.abs(table[..., 1]) < 1.75)] = ids['lane_marking']
    if person:
        (x, y), (width, height) = PERSON_M, PERSON_SIZE_M
        corners = [[x, y + 0.5 * width, 0.0], [x, y - 0.5 * width, height]]
        (left, bottom), (right, top) = CAMERA.project(corners)[0]
        labels[int(top) : int(bottom) + 1, int(left) : int(right) + 1] = ids['pedestrian']
    colours = np.zeros((256, 3), np.uint8)
    for row in label_map.classes:
        colours[row.id] = row.colour_rgb
    return np.asarray(colours[labels])


def noisy(picture: RgbImage, random: np.random.Generator) -> RgbImage:
    """Returns the picture as a sensor gives it."""
    noise = random.integers(-NOISE, NOISE + 1, picture.shape, np.int16)
    return np.clip(picture + noise, 0, 255).astype(np.uint8)


def write_engine(like: Path, folder: Path) -> LabelMap:
    """Copies an engine, and measures it on the road without people.

    Args:
        like: Its folder.
        folder: Of the copy; it must not exist.

    Returns:
        Its classes.
    """
    shutil.copytree(like, folder)
    size = 'x'.join(map(str, SIZE_WH))
    backend = CannedBackend(load_engine(folder, network_size=size))
    label_map = backend.engine.label_map
    statistics = StatisticsOfPictures(label_map)
    camera = EvaluatedCamera(backend, NodeConfig())
    random = np.random.default_rng(1)
    roads = [painted_road(label_map, person=person) for person in (False, True)]

    def measured(pictures: list[RgbImage]) -> NDArray[np.float64]:
        return np.array([
            statistics.of(camera.see(picture, stamp + 1, {'stop'}).view).values
            for stamp, picture in enumerate(pictures)
        ])  # fmt: skip

    clean = measured([noisy(roads[index % 2], random) for index in range(MEASURED)])
    blind = {
        name: measured([
            family.spoil(noisy(roads[0], random), strength, random)
            for strength in family.strengths
            for _ in range(SPOILT)
        ])
        for name, family in FAMILIES.items()
    }  # fmt: skip
    domain = Domain.fitted(clean, ['road'] * MEASURED, blind)
    most_clean = domain.scores(clean).max(axis=0)
    limits = {
        kind: 0.5 * (most_clean[index] + domain.scores(blind[kind])[:, index].min())
        for index, kind in enumerate(domain.weights)
    }
    spec = folder / SPEC_FILE
    spec.write_text(with_domain(spec.read_text(), domain.limited(limits)))
    return label_map

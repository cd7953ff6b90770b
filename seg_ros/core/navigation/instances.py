# SPDX-License-Identifier: Apache-2.0
"""Instances of people: a panoptic image from labels and shape.

People who touch are split where heads and shoulders leave a valley, with the size that a person
has at its place on the ground.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from seg_ros.core.blobs import Blob, PersonSize, blobs_of, joined, split
from seg_ros.core.geometry.ground_scale import GroundScale
from seg_ros.core.labels import LabelMap
from seg_ros.core.types import LabelImage

__all__ = ['NO_CLASS', 'PER_CLASS', 'InstanceFinder', 'Instances']

PER_CLASS = 1000
"""A pixel is ``class id * PER_CLASS + number``; number 0 is no thing, or none in
particular (as in the instance ids of Cityscapes)."""

NO_CLASS = 65535
"""Unlabelled, and classes from id 65, which do not fit into 16 bits."""

MIN_PIXELS = 4  # of somebody far away; what is smaller has no number
MAX_PER_CLASS = PER_CLASS - 1
PERSON = PersonSize()
COUNTED_ROLES = ('pedestrian', 'cyclist')

PanopticImage = NDArray[np.uint16]


@dataclass(frozen=True)
class Instances:
    """The things of one frame.

    Attributes:
        image: ``(H, W)`` uint16, ``class id * PER_CLASS + number``; the finder's own, until the
            next frame.
        boxes: ``(N, 4)`` of each thing: x0, y0, x1, y1, the last row and column excluded.
        codes: ``(N,)`` its value in the image.
    """

    image: PanopticImage
    boxes: NDArray[np.intp]
    codes: NDArray[np.uint16]


class InstanceFinder:
    """Tells the people of a label image apart.

    Args:
        label_map: Classes with the role ``pedestrian`` or ``cyclist`` are counted.
    """

    def __init__(self, label_map: LabelMap) -> None:
        self._class_ids = sorted(
            {class_id for role in COUNTED_ROLES for class_id in label_map.ids_with_role(role)}
        )
        self._static_lut = label_map.role_mask_lut('static')
        ids = np.arange(256)
        fits = (ids + 1) * PER_CLASS <= NO_CLASS
        self._stuff: NDArray[np.uint16] = np.where(fits, ids * PER_CLASS, NO_CLASS).astype(
            np.uint16
        )
        self._stuff[label_map.unlabelled] = NO_CLASS
        self._class_ids = [number for number in self._class_ids if self._stuff[number] != NO_CLASS]
        self._image: PanopticImage = np.empty((0, 0), np.uint16)

    def find(self, labels: LabelImage, ground: GroundScale | None = None) -> Instances:
        """The people of a frame.

        Args:
            labels: ``(H, W)`` class ids.
            ground: For label images of this size; None sizes people by their height.
        """
        if self._image.shape != labels.shape:
            self._image = np.empty(labels.shape, np.uint16)
        image = self._image
        cv2.LUT(labels, self._stuff, dst=image)

        def px_per_m(blob: Blob) -> float:
            if ground is not None and ground.shape_hw == labels.shape:
                there = float(ground.px_per_m[blob.y1 - 1, (blob.x0 + blob.x1 - 1) // 2])
                if there > 0.0:
                    return there
            return (blob.y1 - blob.y0) / PERSON.height_m

        boxes: list[tuple[int, int, int, int]] = []
        codes: list[int] = []
        for class_id in self._class_ids:
            mask = cv2.compare(labels, class_id, cv2.CMP_EQ)
            whole = joined(blobs_of(mask, MIN_PIXELS), px_per_m, labels, self._static_lut)
            people = [one for blob in whole for one in split(blob, px_per_m(blob))]
            for number, blob in enumerate(people[:MAX_PER_CLASS], 1):
                code = class_id * PER_CLASS + number
                part = image[blob.y0 : blob.y1, blob.x0 : blob.x1]
                part[blob.mask != 0] = code
                boxes.append((blob.x0, blob.y0, blob.x1, blob.y1))
                codes.append(code)
        return Instances(
            image,
            np.array(boxes, dtype=np.intp).reshape(-1, 4),
            np.array(codes, dtype=np.uint16),
        )

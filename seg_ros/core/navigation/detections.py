# SPDX-License-Identifier: Apache-2.0
"""Detections of people: boxes in the picture and on the ground, with what their tracks know."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from seg_ros.core.geometry.camera import Camera
from seg_ros.core.navigation.instances import PER_CLASS, Instances
from seg_ros.core.stop.tracking import TrackedPerson
from seg_ros.core.types import ConfidenceImage

__all__ = ['Box', 'Detection', 'find_detections']

Box = tuple[float, float, float, float]
"""x0, y0, x1, y1 in pixels; the right and the lower edge are those of the last pixel."""

# An instance and a track whose boxes overlap less are two people: the criterion of PASCAL VOC
SAME_IOU = 0.5


@dataclass(frozen=True)
class Detection:
    """One person, or one cyclist, in one frame.

    Attributes:
        class_id: What the pixels are labelled as.
        score: Mean confidence of its pixels, 0 to 1; 1 where nobody told.
        box: In the camera's image.
        person: Where it is, and who; None while nobody follows it or the ground is unknown.
        width_m: Of the box at that place; NaN without one.
        height_m: From the ground to the upper edge of the box; NaN without a place.
    """

    class_id: int
    score: float
    box: Box
    person: TrackedPerson | None = None
    width_m: float = math.nan
    height_m: float = math.nan


def find_detections(
    instances: Instances,
    confidence: ConfidenceImage | None,
    people: Sequence[TrackedPerson],
    camera: Camera | None,
    image_size_wh: tuple[int, int],
) -> tuple[Detection, ...]:
    """Everybody who is seen in a frame.

    Args:
        instances: Of the frame.
        confidence: ``(H, W)`` of the same size, or None.
        people: Who is followed, after the same frame.
        camera: Lens and mounting, None while unknown.
        image_size_wh: Of the camera's image, in whose pixels the boxes are.
    """
    height, width = instances.image.shape
    sized = None
    if camera is not None:
        sized = Camera(camera.intrinsics.scaled((width, height)), camera.mount)
    seen = [person for person in people if not person.is_coasting]
    scale_x, scale_y = image_size_wh[0] / width, image_size_wh[1] / height
    found = []
    for code, (x0, y0, x1, y1) in zip(
        instances.codes.tolist(), instances.boxes.tolist(), strict=True
    ):
        person = _followed((x0, y0, x1, y1), seen)
        size_m = (math.nan, math.nan)
        if person is not None and sized is not None:
            size_m = _size_m((x0, y0, x1, y1), person, sized)
        score = 1.0
        if confidence is not None:
            part = slice(y0, y1), slice(x0, x1)
            mine = cv2.inRange(instances.image[part], code, code)
            score = cv2.mean(confidence[part], mask=mine)[0] / 255.0
        box = (x0 * scale_x, y0 * scale_y, x1 * scale_x, y1 * scale_y)
        found.append(Detection(code // PER_CLASS, score, box, person, *size_m))
    return tuple(found)


def _followed(box: Box, people: Sequence[TrackedPerson]) -> TrackedPerson | None:
    """Whose box this is."""
    overlaps = [_iou(box, person.seen.bbox) for person in people]
    if not overlaps or max(overlaps) < SAME_IOU:
        return None
    return people[int(np.argmax(overlaps))]


def _iou(a: Box, b: Box) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    both = max(width, 0.0) * max(height, 0.0)
    areas = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
    return both / (areas - both)


def _size_m(box: Box, person: TrackedPerson, camera: Camera) -> tuple[float, float]:
    """Width and height of a box that stands where the person does."""
    ends = [[person.x_m, person.y_m, 0.0], [person.x_m, person.y_m, 1.0]]
    pixels, in_front = camera.project(ends)
    (_, foot), (_, metre_up) = pixels.tolist()
    if not in_front.all() or foot <= metre_up:
        return math.nan, math.nan
    px_per_m = foot - metre_up
    return (box[2] - box[0]) / px_per_m, (foot - box[1]) / px_per_m

# SPDX-License-Identifier: Apache-2.0
"""A frame with its lane: the camera's image with the lines laid over, and the same from above."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from seg_ros.core.geometry.camera import Camera
from seg_ros.core.labels import LabelMap
from seg_ros.core.lane.track import LaneTrack
from seg_ros.core.types import LabelImage, RgbImage

__all__ = ['draw_lane', 'lane_picture']

METRES_AHEAD = 40.0
METRES_ASIDE = 8.0
WHITE = (255, 255, 255)
GREY = (90, 90, 90)
CENTRE_RGB = (40, 220, 90)
SIDE_RGB = (255, 170, 0)
NEIGHBOUR_RGB = (120, 170, 255)
INVALID_RGB = (230, 50, 50)
TRUTH_RGB = (255, 60, 255)

Path = NDArray[np.float64]
Rgb = tuple[int, int, int]


def lane_picture(
    image: RgbImage,
    labels: LabelImage,
    label_map: LabelMap,
    camera: Camera,
    track: LaneTrack,
    truth: Path | None = None,
) -> RgbImage:
    """Returns both views side by side.

    Args:
        image: ``(H, W, 3)``, black where only labels are known: then they are shown in colour.
        labels: ``(h, w)``.
        label_map: Their colours.
        camera: That took the image.
        track: The lane.
        truth: ``(N, 2)`` its true middle, base frame, where that is known.
    """
    colours = cv2.applyColorMap(labels, label_map.colour_lut_rgb())
    picture = image.copy() if image.any() else cv2.resize(colours, image.shape[1::-1])
    draw_lane(picture, camera, track, truth)
    above = _from_above(colours, camera, picture.shape[0], track, truth)
    whole: RgbImage = np.concatenate([picture, above], axis=1)
    _caption(whole, track)
    return whole


def draw_lane(
    picture: RgbImage, camera: Camera, track: LaneTrack, truth: Path | None = None
) -> None:
    """Lays the lane over a camera image of the camera's size."""
    for path, colour in _lines(track, truth):
        pixels, in_front = camera.project(np.column_stack([path, np.zeros(len(path))]))
        _polyline(picture, pixels[in_front], colour)


def _lines(track: LaneTrack, truth: Path | None) -> list[tuple[Path, Rgb]]:
    lines: list[tuple[Path, Rgb]] = []
    if truth is not None:
        lines.append((truth, TRUTH_RGB))
    x = np.linspace(track.start_m, max(track.reach_m, track.start_m + 1.0), 60, dtype=np.float64)
    lines.extend(
        (np.stack([x, row.line.y(x)], axis=-1), NEIGHBOUR_RGB)
        for row in track.boundaries
        if row.name.endswith('neighbour')
    )
    for line, colour in (
        (track.left, SIDE_RGB),
        (track.right, SIDE_RGB),
        (track.centre, CENTRE_RGB),
    ):
        path = np.stack([x, line.y(x)], axis=-1)
        if track.width_m:
            lines.append((path, colour if track.valid else INVALID_RGB))
    return lines


def _from_above(
    colours: RgbImage, camera: Camera, height: int, track: LaneTrack, truth: Path | None
) -> RgbImage:
    """The ground from above, as wide as high: sideways is enlarged to show the lane."""
    ahead_m = (np.arange(height, 0, -1) - 0.5) * (METRES_AHEAD / height)
    left_m = METRES_ASIDE - (np.arange(height) + 0.5) * (2.0 * METRES_ASIDE / height)
    ahead, left = np.meshgrid(ahead_m, left_m, indexing='ij')
    ground = np.stack([ahead.reshape(-1), left.reshape(-1), np.zeros(height * height)], axis=-1)
    intrinsics = camera.intrinsics
    scale = np.array(colours.shape[1::-1]) / (intrinsics.width, intrinsics.height)
    pixels = ((camera.project(ground)[0] + 0.5) * scale - 0.5).astype(np.float32)
    columns, rows = pixels.reshape(height, height, 2).transpose(2, 0, 1)
    view = np.asarray(cv2.remap(colours, columns.copy(), rows.copy(), cv2.INTER_NEAREST))
    for metres in range(0, int(METRES_AHEAD), 10):
        row = round(height * (1.0 - metres / METRES_AHEAD)) - 1
        cv2.line(view, (0, row), (height, row), GREY, 1)
        cv2.putText(view, f'{metres} m', (2, row - 2), cv2.FONT_HERSHEY_PLAIN, 0.8, WHITE, 1)
    for path, colour in _lines(track, truth):
        row_of = height * (1.0 - path[:, 0] / METRES_AHEAD)
        column_of = 0.5 * height * (1.0 - path[:, 1] / METRES_ASIDE)
        _polyline(view, np.stack([column_of, row_of], axis=-1), colour)
    return view


def _polyline(picture: RgbImage, pixels: Path, colour: Rgb) -> None:
    inside = np.clip(pixels, -10_000, 10_000).round().astype(np.int32)
    cv2.polylines(picture, [inside.reshape(-1, 1, 2)], False, colour, 2, cv2.LINE_AA)


def _caption(picture: RgbImage, track: LaneTrack) -> None:
    words = f'{"valid" if track.valid else "not valid"} ({track.source}): {track.reason}'
    numbers = (
        ''
        if not track.width_m
        else (
            f'offset {track.offset_m:+.2f} m  heading {np.degrees(track.heading_rad):+.1f} deg  '
            f'width {track.width_m:.2f} m  reach {track.reach_m:.0f} m'
        )
    )
    for row, text in enumerate((words, numbers)):
        place = (6, 16 + 16 * row)
        cv2.putText(picture, text, place, cv2.FONT_HERSHEY_PLAIN, 1.0, (0, 0, 0), 3, cv2.LINE_AA)
        cv2.putText(picture, text, place, cv2.FONT_HERSHEY_PLAIN, 1.0, WHITE, 1, cv2.LINE_AA)

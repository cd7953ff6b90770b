# SPDX-License-Identifier: Apache-2.0
"""What is said of a camera's sensor, and what it means for the image that comes.

A calibration is of the whole sensor. Which part of it an image shows, and how many sensor pixels
became one of the image, say the region of interest and the binning (sensor_msgs/CameraInfo,
REP 104). Everything that reads a calibration reads it here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from seg_ros.core.errors import ConfigurationError
from seg_ros.core.geometry.intrinsics import COEFFICIENT_COUNTS, CameraIntrinsics

__all__ = ['RegionOfInterest', 'SensorCalibration']

Float64Array = NDArray[np.float64]

OTHER_NAMES = {  # as OpenCV, Kalibr, GenICam and their users call them
    'fisheye': 'equidistant', 'kannala_brandt': 'equidistant', 'kannala_brandt4': 'equidistant',
    'radtan': 'plumb_bob', 'radial_tangential': 'plumb_bob', 'brown_conrady': 'plumb_bob',
    'rational': 'rational_polynomial', 'none': '', 'pinhole': '',
}  # fmt: skip
BETWEEN_WORDS = re.compile(r'[\s_-]+')
PLUMB_BOB_COUNTS, RATIONAL_COUNTS = (
    (4, 5),
    (8, 12, 14),
)  # the former are the beginning of the latter

UNCALIBRATED = (
    'The camera is not calibrated: k and p of its CameraInfo are zero. Calibrate it and publish '
    'the result in CameraInfo.'
)


class RegionOfInterest(NamedTuple):
    """A part of the sensor, in its pixels before binning.

    Attributes:
        x_offset: Columns left of it.
        y_offset: Rows above it.
        width: 0 where nobody says: all that is right of the offset.
        height: 0 where nobody says: all that is below the offset.
    """

    x_offset: int = 0
    y_offset: int = 0
    width: int = 0
    height: int = 0


@dataclass(frozen=True)
class SensorCalibration:
    """The lens as a CameraInfo or a calibration file gives it.

    Attributes:
        width: Of the whole sensor, pixels.
        height: Of the whole sensor, pixels.
        k: Camera matrix of the image as the lens makes it, 9 numbers row by row; k[0] is 0 where
            there is none.
        distortion_model: As in ``CameraIntrinsics``, or by another name that means the same.
        d: Distortion coefficients in OpenCV's order.
        p: Projection matrix of the rectified image, 12 numbers row by row; empty, or p[0] is 0,
            where there is none.
        binning: Sensor pixels that became one of the image, across and down; 0 is 1.
        roi: Part of the sensor that the image shows; all zero is all of it.
    """

    width: int
    height: int
    k: tuple[float, ...]
    distortion_model: str = ''
    d: tuple[float, ...] = ()
    p: tuple[float, ...] = ()
    binning: tuple[int, int] = (1, 1)
    roi: RegionOfInterest = RegionOfInterest()  # noqa: RUF009  a tuple

    @property
    def is_calibrated(self) -> bool:
        """Whether it says anything of the lens; a driver without a calibration sends zeros."""
        return bool(self.k[0] or any(self.p[:1]))

    def intrinsics(
        self, image_size_wh: tuple[int, int], *, is_rectified: bool = False
    ) -> CameraIntrinsics:
        """Returns the intrinsics of an image of this sensor.

        Args:
            image_size_wh: Of the image that came. One that was resized without a word is taken
                if its shape is that of the part of the sensor that it shows.
            is_rectified: Whether the distortion was taken out of the image already.

        Raises:
            ConfigurationError: The image cannot be of this sensor, or the numbers cannot describe
                a camera.
        """
        k, model, d = self._lens(is_rectified)
        part = self._shown_part(image_size_wh)
        # An offset that is not 0 shifts the principal point; a distortion does not care
        k[0, 2] -= part.x_offset
        k[1, 2] -= part.y_offset
        return CameraIntrinsics(part.width, part.height, k, model, d).scaled(image_size_wh)

    def _lens(self, is_rectified: bool) -> tuple[Float64Array, str, Float64Array]:
        """Camera matrix, distortion model and coefficients that count for the image."""
        if not self.is_calibrated:
            raise ConfigurationError(UNCALIBRATED)
        raw = np.array(self.k, np.float64).reshape(3, 3)
        rectified = np.array(self.p or np.zeros(12), np.float64).reshape(3, 4)[:, :3].copy()
        model, d = _named(self.distortion_model, self.d)
        is_straight = model != 'equidistant' and not d.any()
        if is_rectified and rectified[0, 0]:
            return rectified, '', np.zeros(0)
        if not is_rectified and raw[0, 0]:
            return raw, model, d
        if not is_straight:
            given, lacking = ('k', 'p') if is_rectified else ('p', 'k')
            kind = 'rectified' if is_rectified else 'distorted'
            msg = (
                f'A {kind} image needs {lacking}, but {lacking} of its CameraInfo is zero, and '
                f'{given} with coefficients {d.tolist()} is not of such an image. Publish both, '
                'or say with image_is_rectified which one comes.'
            )
            raise ConfigurationError(msg)
        # Without a distortion both mean the same
        return (raw if raw[0, 0] else rectified), '', np.zeros(0)

    def _shown_part(self, image_size_wh: tuple[int, int]) -> RegionOfInterest:
        """The part of the sensor that an image shows, its size an exact multiple of the image's.

        Raises:
            ConfigurationError: There is none.
        """
        width, height = image_size_wh
        across, down = self._binning
        parts = list(self._parts())
        for part in parts:
            if _is_binned(part.width, across, width) and _is_binned(part.height, down, height):
                # What is left over at the right and below was not binned, and is not shown
                return part._replace(width=width * across, height=height * down)
        for part in parts:
            binned_wh = part.width / across, part.height / down
            is_smaller = width <= binned_wh[0] and height <= binned_wh[1]
            # A larger image may be one to which the region or the binning was not applied
            if (is_smaller or self._is_plain) and _is_same_shape(image_size_wh, binned_wh):
                return part
        msg = (
            f'The image is {width}x{height}, but its CameraInfo is for '
            f'{self._in_words(parts)}. Both must be of the same video mode: calibrate the one '
            'that comes, or publish its CameraInfo.'
        )
        raise ConfigurationError(msg)

    @property
    def _is_plain(self) -> bool:
        """Whether the image shows all of the sensor, pixel by pixel."""
        whole = 0, 0, self.width, self.height
        return self._binning == (1, 1) and self.roi in ((0, 0, 0, 0), whole)

    @property
    def _binning(self) -> tuple[int, int]:
        across, down = self.binning
        return max(across, 1), max(down, 1)

    def _parts(self) -> Iterator[RegionOfInterest]:
        """What the image may show of the sensor, the likeliest first."""
        x, y, width, height = self.roi
        whole = self.width, self.height
        part = RegionOfInterest(x, y, width or self.width - x, height or self.height - y)
        if min(part.width, part.height) > 0 and self._may_hold(part):
            yield part
        # The region was not applied; or the size is that of the region already
        may_be = (x, y) == (0, 0) or (width, height) == (0, 0)
        if may_be and min(whole) > 0 and (x, y, *whole) != part:
            yield RegionOfInterest(x, y, *whole)

    def _may_hold(self, part: RegionOfInterest) -> bool:
        """Whether the sensor is as large as a part of it.

        Some drivers give the size of the image instead of the sensor's.
        """
        across, down = self._binning
        is_inside = part.x_offset + part.width <= self.width and (
            part.y_offset + part.height <= self.height
        )
        is_image_size = _is_binned(part.width, across, self.width) and (
            _is_binned(part.height, down, self.height)
        )
        return is_inside or part[2:] == (self.width, self.height) or is_image_size

    def _in_words(self, parts: list[RegionOfInterest]) -> str:
        """The sizes that an image may have, with where they come from."""
        across, down = self._binning
        words = f'{self.width}x{self.height}'
        if min(self.width, self.height) <= 0:
            words += ', which is no size'
        if any(self.roi):
            x, y, width, height = self.roi
            words = f'the region {width}x{height} at ({x}, {y}) of {words}'
        if (across, down) != (1, 1):
            sizes = ' or '.join(f'{row.width // across}x{row.height // down}' for row in parts)
            words = f'{sizes or "no size"} ({words}, binned {across}x{down})'
        return words


def _named(model: str, d: tuple[float, ...]) -> tuple[str, Float64Array]:
    """Returns a distortion model by OpenCV's measure, whatever the driver calls it."""
    name = BETWEEN_WORDS.sub('_', model.strip().lower())
    name = OTHER_NAMES.get(name, name)
    model = name if name in COEFFICIENT_COUNTS else model
    coefficients = np.array(d, np.float64)
    if model == 'plumb_bob' and coefficients.size in RATIONAL_COUNTS:
        model = 'rational_polynomial'
    elif model == 'rational_polynomial' and coefficients.size in PLUMB_BOB_COUNTS:
        model = 'plumb_bob'
    counts = COEFFICIENT_COUNTS.get(model, ())
    # Zeros behind the last coefficient that a model has say nothing
    while coefficients.size > max(counts, default=coefficients.size) and not coefficients[-1]:
        coefficients = coefficients[:-1]
    return model, coefficients


def _is_binned(sensor_px: int, binning: int, image_px: int) -> bool:
    """Whether so many sensor pixels make so many of the image; a rest is dropped or kept."""
    return image_px in (sensor_px // binning, -(-sensor_px // binning))


def _is_same_shape(size_wh: tuple[int, int], of_wh: tuple[float, float]) -> bool:
    """Whether one size is the other's, scaled and rounded to whole pixels."""
    (width, height), (of_width, of_height) = size_wh, of_wh
    return (
        abs(height - width * of_height / of_width) < 1.0
        or abs(width - height * of_width / of_height) < 1.0
    )

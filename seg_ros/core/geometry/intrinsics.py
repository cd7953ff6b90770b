# SPDX-License-Identifier: Apache-2.0
"""Camera intrinsics: the camera matrix, and the distortion of the lens with its inverse.

Pixel coordinates name pixel centres: the centre of the top left pixel is (0, 0). Normalised image
coordinates are x/z and y/z of the optical frame: z forward, x right, y down.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from seg_ros.core.errors import ConfigurationError

__all__ = ['CameraIntrinsics']

Float64Array = NDArray[np.float64]

COEFFICIENT_COUNTS = {
    '': (0,),
    'plumb_bob': (0, 4, 5),
    'rational_polynomial': (0, 8, 12, 14),
    'equidistant': (0, 4),
}
"""How many distortion coefficients each model of ``sensor_msgs/CameraInfo`` has in OpenCV."""

MAX_RAY_ANGLE_RAD = math.radians(88.0)  # from the optical axis; at 90 degrees x/z is infinite
ANGLE_STEPS = 4096  # up to that angle, 0.02 degrees each: where a distortion folds back
MAX_INVERSION_ERROR_PX = 0.05  # a twentieth of a pixel: far below what a label is sharp to
NEWTON_STEPS = 12  # the lenses of test_camera need 3, a pincushion that shows 150 degrees 6
NODE_STEP_PX = 4  # between pixels that are inverted exactly: a sixteenth of the work


@dataclass(frozen=True, eq=False)
class CameraIntrinsics:
    """Camera matrix and distortion, as a ``sensor_msgs/CameraInfo`` gives them.

    Attributes:
        width: Image width in pixels.
        height: Image height in pixels.
        k: ``(3, 3)`` camera matrix, pixels. Kept read-only.
        distortion_model: ``plumb_bob``, ``rational_polynomial``, ``equidistant``, or empty for
            an image that is rectified already.
        d: Distortion coefficients in OpenCV's order; empty means none. Kept read-only.

    Raises:
        ConfigurationError: On construction, when the numbers cannot describe a camera.
    """

    width: int
    height: int
    k: Float64Array
    distortion_model: str = ''
    d: Float64Array = field(default_factory=lambda: np.zeros(0))

    def __post_init__(self) -> None:
        object.__setattr__(self, 'k', _read_only(self.k))
        object.__setattr__(self, 'd', _read_only(self.d).reshape(-1))
        self._check_size_and_matrix()
        self._check_distortion()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CameraIntrinsics) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    @classmethod
    def from_field_of_view(
        cls, size_wh: tuple[int, int], horizontal_fov_rad: float
    ) -> CameraIntrinsics:
        """A pinhole with square pixels, its principal point in the middle of the image."""
        if not 0.0 < horizontal_fov_rad < math.pi:
            msg = (
                f'A horizontal field of view between 0 and pi rad is needed, {horizontal_fov_rad} '
                'was given. Give it in radians.'
            )
            raise ConfigurationError(msg)
        width, height = size_wh
        focal_px = 0.5 * width / math.tan(0.5 * horizontal_fov_rad)
        k = np.array(
            [
                [focal_px, 0.0, 0.5 * (width - 1)],
                [0.0, focal_px, 0.5 * (height - 1)],
                [0.0, 0.0, 1.0],
            ]
        )
        return cls(width=width, height=height, k=k)

    def scaled(self, size_wh: tuple[int, int]) -> CameraIntrinsics:
        """Intrinsics of the same camera for its image resized to ``size_wh``."""
        width, height = size_wh
        if width <= 0 or height <= 0:
            msg = f'A label image of positive size is needed, {width}x{height} was asked for.'
            raise ConfigurationError(msg)
        scale_x, scale_y = width / self.width, height / self.height
        # Pixel centres: the left edge of the image is at -0.5 in both pictures.
        resized_from_camera = np.array(
            [
                [scale_x, 0.0, 0.5 * scale_x - 0.5],
                [0.0, scale_y, 0.5 * scale_y - 0.5],
                [0.0, 0.0, 1.0],
            ]
        )
        return CameraIntrinsics(
            width=width,
            height=height,
            k=resized_from_camera @ self.k,
            distortion_model=self.distortion_model,
            d=self.d,
        )

    def distort(self, plane: Float64Array) -> Float64Array:
        """Pixels of normalised image coordinates.

        Args:
            plane: ``(N, 2)`` optical x/z and y/z.

        Returns:
            ``(N, 2)`` pixels, which may lie outside of the image.
        """
        if not len(plane):
            return np.zeros((0, 2))
        if not self._is_distorted:
            return np.asarray(plane * self._focal_px + self.k[:2, 2])
        zero = np.zeros(3)
        k = np.array(self.k)
        points = np.column_stack([plane, np.ones(len(plane))]).reshape(-1, 1, 3)
        if self.distortion_model == 'equidistant':
            pixels, _ = cv2.fisheye.projectPoints(points, zero, zero, k, self._coefficients())
        else:
            pixels, _ = cv2.projectPoints(points, zero, zero, k, self._coefficients())
        return np.asarray(pixels, dtype=np.float64).reshape(-1, 2)

    def undistort(self, pixels: Float64Array) -> Float64Array:
        """Normalised image coordinates of pixels.

        Args:
            pixels: ``(N, 2)``.

        Returns:
            ``(N, 2)`` optical x/z and y/z; NaN where the distortion model has no ray for a pixel.
        """
        undistorted = (pixels - self.k[:2, 2]) / self._focal_px
        if not self._is_distorted:
            return undistorted
        if not len(pixels):
            return undistorted
        plane = self._inverted(pixels)
        error_px = _radius(self.distort(plane) - pixels)
        with np.errstate(invalid='ignore'):
            good = (error_px <= MAX_INVERSION_ERROR_PX) & self.is_valid(plane)
        plane[~good] = np.nan
        return plane

    def undistort_image(self) -> Float64Array:
        """``(H * W, 2)`` normalised image coordinates of all pixels, row by row.

        To invert a distortion takes time, and a lens is smooth: it is inverted at every
        ``NODE_STEP_PX``-th pixel and interpolated between them.
        """
        columns = _nodes(self.width)
        rows = _nodes(self.height)
        grid_x, grid_y = np.meshgrid(columns, rows)
        pixels = np.column_stack([grid_x.reshape(-1), grid_y.reshape(-1)]).astype(np.float64)
        at_nodes = self.undistort(pixels).reshape(len(rows), len(columns), 2)
        in_rows = _between_nodes(at_nodes, rows)
        in_columns = _between_nodes(in_rows.swapaxes(0, 1), columns)
        return np.ascontiguousarray(in_columns.swapaxes(0, 1)).reshape(-1, 2)

    def is_valid(self, plane: Float64Array) -> NDArray[np.bool_]:
        """``(N,)``: for which normalised image coordinates the distortion model holds."""
        return np.asarray(_radius(plane) <= self._max_radius)

    @cached_property
    def _focal_px(self) -> Float64Array:
        """``(2,)`` across and down."""
        return np.array([self.k[0, 0], self.k[1, 1]])

    @cached_property
    def _is_distorted(self) -> bool:
        return self.distortion_model == 'equidistant' or bool(self.d.any())

    def _key(self) -> tuple[object, ...]:
        return self.width, self.height, self.k.tobytes(), self.distortion_model, self.d.tobytes()

    def _check_size_and_matrix(self) -> None:
        if self.width <= 0 or self.height <= 0:
            msg = (
                f'The camera must have a positive size, {self.width}x{self.height} came. '
                'Check width and height in its CameraInfo.'
            )
            raise ConfigurationError(msg)
        if self.k.shape != (3, 3) or not np.isfinite(self.k).all():
            msg = (
                f'The camera matrix k must be 3x3 and finite, shape {self.k.shape} came with '
                f'values {self.k.tolist()}. Check k in its CameraInfo.'
            )
            raise ConfigurationError(msg)
        if self.k[0, 0] <= 0.0 or self.k[1, 1] <= 0.0:
            msg = (
                f'The focal lengths must be positive, {self.k[0, 0]} and {self.k[1, 1]} came. '
                'Zero means that the camera is not calibrated: calibrate it and publish the '
                'result in CameraInfo.'
            )
            raise ConfigurationError(msg)
        if self.k[0, 1] or self.k[1, 0] or not np.array_equal(self.k[2], [0.0, 0.0, 1.0]):
            msg = (
                'The camera matrix must be [fx 0 cx; 0 fy cy; 0 0 1], '
                f'{self.k.tolist()} came. Check k in its CameraInfo.'
            )
            raise ConfigurationError(msg)

    def _check_distortion(self) -> None:
        if self.distortion_model not in COEFFICIENT_COUNTS:
            known = ', '.join(repr(name) for name in COEFFICIENT_COUNTS)
            msg = (
                f'Distortion model {self.distortion_model!r} is not known. Use one of {known}, '
                'or rectify the image first (image_proc) and leave the model empty.'
            )
            raise ConfigurationError(msg)
        counts = COEFFICIENT_COUNTS[self.distortion_model]
        if self.distortion_model == '' and self.d.any():
            msg = (
                f'Distortion coefficients {self.d.tolist()} came without a model. Name the model '
                'in CameraInfo.distortion_model, or give no coefficients for a rectified image.'
            )
            raise ConfigurationError(msg)
        if self.distortion_model and self.d.size not in counts:
            wanted = ' or '.join(str(count) for count in counts)
            msg = (
                f'{self.distortion_model!r} takes {wanted} coefficients, {self.d.size} came. '
                'Check d in CameraInfo.'
            )
            raise ConfigurationError(msg)
        if not np.isfinite(self.d).all():
            msg = f'The distortion coefficients must be finite, {self.d.tolist()} came.'
            raise ConfigurationError(msg)

    @cached_property
    def _max_radius(self) -> float:
        """Normalised radius up to which a larger angle is still further out.

        Beyond it the distortion polynomial folds back and would show what is behind the edge of
        the field of view in the middle of the image.
        """
        angles = np.linspace(0.0, MAX_RAY_ANGLE_RAD, ANGLE_STEPS)
        plane = np.column_stack([np.tan(angles), np.zeros_like(angles)])
        centred = CameraIntrinsics(
            width=self.width,
            height=self.height,
            k=np.eye(3),
            distortion_model=self.distortion_model,
            d=self._radial_coefficients(),
        )
        distorted = centred.distort(plane)[:, 0]
        steps = np.diff(distorted)
        folding = np.flatnonzero(~(np.isfinite(steps) & (steps > 0.0)))
        last = int(folding[0]) if folding.size else len(angles) - 1
        return float(plane[last, 0])

    def _coefficients(self) -> Float64Array:
        return np.array(self.d) if self.d.size else np.zeros(4)

    def _radial_coefficients(self) -> Float64Array:
        """The coefficients without the tangential, prism and tilt terms, which have no radius."""
        coefficients = np.array(self.d)
        if self.distortion_model in {'plumb_bob', 'rational_polynomial'}:
            coefficients[2:4] = 0.0
            coefficients[8:] = 0.0
        return coefficients

    def _inverted(self, pixels: Float64Array) -> Float64Array:
        """Normalised image coordinates of distorted pixels, as good as they can be had.

        OpenCV's fixed point iteration stops after a few steps, whether or not it has arrived. What
        it leaves is brought home by Newton's method, from a start inside of the valid radius.
        """
        k = np.array(self.k)
        coefficients = self._coefficients()
        source = pixels.reshape(-1, 1, 2)
        if self.distortion_model == 'equidistant':
            plane = cv2.fisheye.undistortPoints(source, k, coefficients)
        else:
            plane = cv2.undistortPoints(source, k, coefficients)
        plane = np.array(plane, dtype=np.float64).reshape(-1, 2)
        error_px = _radius(self.distort(plane) - pixels)
        for _ in range(NEWTON_STEPS):
            open_ = np.flatnonzero(~(error_px < 0.1 * MAX_INVERSION_ERROR_PX))
            if not open_.size:
                break
            start = _inside(plane[open_], 0.999 * self._max_radius)
            plane[open_] = self._newton_step(start, pixels[open_])
            error_px[open_] = _radius(self.distort(plane[open_]) - pixels[open_])
        return plane

    def _newton_step(self, plane: Float64Array, pixels: Float64Array) -> Float64Array:
        step = 1e-6
        here = self.distort(plane)
        along_x = (self.distort(plane + np.array([step, 0.0])) - here) / step
        along_y = (self.distort(plane + np.array([0.0, step])) - here) / step
        missing = pixels - here
        determinant = along_x[:, 0] * along_y[:, 1] - along_x[:, 1] * along_y[:, 0]
        with np.errstate(divide='ignore', invalid='ignore'):
            delta_x = (missing[:, 0] * along_y[:, 1] - missing[:, 1] * along_y[:, 0]) / determinant
            delta_y = (missing[:, 1] * along_x[:, 0] - missing[:, 0] * along_x[:, 1]) / determinant
        return plane + np.column_stack([delta_x, delta_y])


def _read_only(values: ArrayLike) -> Float64Array:
    array = np.array(values, dtype=np.float64)
    array.setflags(write=False)
    return array


def _nodes(length: int) -> NDArray[np.int64]:
    return np.asarray(np.unique(np.append(np.arange(0, length, NODE_STEP_PX), length - 1)))


def _between_nodes(values: Float64Array, nodes: NDArray[np.int64]) -> Float64Array:
    """Values at ``nodes`` along the first axis, interpolated at every whole number."""
    positions = np.arange(nodes[-1] + 1)
    before = np.clip(np.searchsorted(nodes, positions, side='right') - 1, 0, len(nodes) - 1)
    after = np.minimum(before + 1, len(nodes) - 1)
    gap = np.maximum(nodes[after] - nodes[before], 1)
    share = ((positions - nodes[before]) / gap)[:, None, None]
    # At a node its neighbour has no say, and may be NaN.
    between = values[before] + share * (values[after] - values[before])
    return np.asarray(np.where(share == 0.0, values[before], between))


def _radius(points: Float64Array) -> Float64Array:
    return np.asarray(np.hypot(points[:, 0], points[:, 1]))


def _inside(plane: Float64Array, max_radius: float) -> Float64Array:
    radius = _radius(plane)
    with np.errstate(divide='ignore', invalid='ignore'):
        scale = np.where(radius > max_radius, max_radius / radius, 1.0)
    inside: Float64Array = np.asarray(plane * scale[:, None])
    inside[~np.isfinite(inside).all(axis=1)] = 0.0
    return inside

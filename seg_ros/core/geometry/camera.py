"""Where a pixel lies on the ground, and where a point of the world lies in the image.

Frames follow REP 103: the base frame and the camera body frame are x forward, y left, z up; the
optical frame is z forward, x right, y down. The ground is the plane z = 0 of the base frame.
Pixel coordinates name pixel centres: the centre of the top left pixel is (0, 0).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from seg_ros.core.errors import ConfigurationError

__all__ = ['Camera', 'CameraIntrinsics', 'GroundTable', 'Mount']

Float64Array = NDArray[np.float64]

GroundTable = NDArray[np.float32]
"""``(H, W, 2)``: x forward and y left in metres, base frame; NaN where no ground is seen."""

COEFFICIENT_COUNTS = {
    '': (0,),
    'plumb_bob': (0, 4, 5),
    'rational_polynomial': (0, 8, 12, 14),
    'equidistant': (0, 4),
}

OPTICAL_FROM_BODY = np.array([[0.0, -1.0, 0.0], [0.0, 0.0, -1.0], [1.0, 0.0, 0.0]])

MIN_DEPTH_M = 1e-3
MAX_RAY_ANGLE_RAD = math.radians(88.0)  # a wider ray has no finite image-plane coordinate
MAX_INVERSION_ERROR_PX = 0.05
NEWTON_STEPS = 12
NODE_STEP_PX = 4


@dataclass(frozen=True, eq=False)
class CameraIntrinsics:
    """What a ``sensor_msgs/CameraInfo`` says of the lens.

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
        """The same lens seen through an image that was resized to ``size_wh``."""
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


@dataclass(frozen=True)
class Mount:
    """Where the camera body is in the base frame.

    The rotation is ``Rz(yaw) @ Ry(pitch) @ Rx(roll)`` as everywhere in ROS, so that a positive
    pitch lets the camera look down.

    Attributes:
        x: Metres forward of the base origin.
        y: Metres left of it.
        z: Metres above the ground.
        roll: Radians about the forward axis.
        pitch: Radians about the left axis, positive looks down.
        yaw: Radians about the upward axis, positive looks left.
    """

    x: float = 0.0
    y: float = 0.0
    z: float = 0.0
    roll: float = 0.0
    pitch: float = 0.0
    yaw: float = 0.0

    def __post_init__(self) -> None:
        values = (self.x, self.y, self.z, self.roll, self.pitch, self.yaw)
        if not all(math.isfinite(value) for value in values):
            msg = f'The six numbers of a mount must be finite, {values} came. Check mount.*.'
            raise ConfigurationError(msg)

    def base_from_body(self) -> Float64Array:
        """``(4, 4)`` transform from the camera body frame into the base frame."""
        cr, sr = math.cos(self.roll), math.sin(self.roll)
        cp, sp = math.cos(self.pitch), math.sin(self.pitch)
        cy, sy = math.cos(self.yaw), math.sin(self.yaw)
        about_x = np.array([[1.0, 0.0, 0.0], [0.0, cr, -sr], [0.0, sr, cr]])
        about_y = np.array([[cp, 0.0, sp], [0.0, 1.0, 0.0], [-sp, 0.0, cp]])
        about_z = np.array([[cy, -sy, 0.0], [sy, cy, 0.0], [0.0, 0.0, 1.0]])
        transform = np.eye(4)
        transform[:3, :3] = about_z @ about_y @ about_x
        transform[:3, 3] = self.x, self.y, self.z
        return transform


@dataclass(frozen=True)
class Camera:
    """A calibrated camera at its place on the vehicle.

    Attributes:
        intrinsics: The lens.
        mount: The place.
    """

    intrinsics: CameraIntrinsics
    mount: Mount

    @cached_property
    def optical_from_base(self) -> Float64Array:
        """``(4, 4)`` transform from the base frame into the optical frame."""
        base_from_body = self.mount.base_from_body()
        rotation = OPTICAL_FROM_BODY @ base_from_body[:3, :3].T
        transform = np.eye(4)
        transform[:3, :3] = rotation
        transform[:3, 3] = -rotation @ base_from_body[:3, 3]
        return transform

    def project(self, points_base: ArrayLike) -> tuple[Float64Array, NDArray[np.bool_]]:
        """Pixels of points in the base frame.

        Args:
            points_base: ``(N, 3)`` metres.

        Returns:
            ``(N, 2)`` pixels, and ``(N,)`` which points are in front of the camera, where the
            lens model means something. The pixels of the others are NaN. A pixel may lie outside
            of the image.
        """
        points = np.asarray(points_base, dtype=np.float64).reshape(-1, 3)
        optical = points @ self.optical_from_base[:3, :3].T + self.optical_from_base[:3, 3]
        in_front = optical[:, 2] > MIN_DEPTH_M
        plane = np.full((len(points), 2), np.nan)
        plane[in_front] = optical[in_front, :2] / optical[in_front, 2:]
        in_front &= _radius(plane) <= self._max_radius
        pixels = np.full((len(points), 2), np.nan)
        pixels[in_front] = _pixels_from_plane(self.intrinsics, plane[in_front])
        return pixels, in_front

    def rays(self, pixels: ArrayLike) -> Float64Array:
        """Viewing directions of pixels.

        Args:
            pixels: ``(N, 2)`` pixels of the camera image.

        Returns:
            ``(N, 3)`` unit vectors in the base frame. NaN where the lens model has no ray for
            a pixel.
        """
        plane = self._plane_from_pixels(np.asarray(pixels, dtype=np.float64).reshape(-1, 2))
        return self._rays_from_plane(plane)

    def ground_points(self, pixels: ArrayLike) -> Float64Array:
        """Ground points that pixels see.

        Args:
            pixels: ``(N, 2)`` pixels of the camera image.

        Returns:
            ``(N, 2)`` x forward and y left in metres, base frame. NaN above the horizon.
        """
        return self._ground_from_rays(self.rays(pixels))

    def ground_table(self, size_wh: tuple[int, int] | None = None) -> GroundTable:
        """The ground point of every pixel of a label image.

        Args:
            size_wh: Size of the label image, where it differs from the camera's.

        Returns:
            ``(H, W, 2)`` x forward and y left in metres, base frame; NaN above the horizon.

        Raises:
            ConfigurationError: The camera is not above the ground, or the size is not positive.
        """
        if self.mount.z <= 0.0:
            msg = (
                f'A camera above the ground is needed for a ground table, mount.z = '
                f'{self.mount.z} m came. Measure the height of the lens above the ground.'
            )
            raise ConfigurationError(msg)
        if size_wh is None:
            size_wh = self.intrinsics.width, self.intrinsics.height
        camera = Camera(self.intrinsics.scaled(size_wh), self.mount)
        rays = camera._rays_from_plane(camera._plane_of_image())
        table = camera._ground_from_rays(rays).reshape(size_wh[1], size_wh[0], 2)
        return table.astype(np.float32)

    @cached_property
    def _max_radius(self) -> float:
        """Up to which radius on the image plane a larger angle is still further out.

        Beyond it the distortion polynomial folds back and would show what is behind the edge of
        the field of view in the middle of the image.
        """
        angles = np.linspace(0.0, MAX_RAY_ANGLE_RAD, 4096)
        plane = np.column_stack([np.tan(angles), np.zeros_like(angles)])
        centred = CameraIntrinsics(
            width=self.intrinsics.width,
            height=self.intrinsics.height,
            k=np.eye(3),
            distortion_model=self.intrinsics.distortion_model,
            d=_radial_only(self.intrinsics),
        )
        distorted = _pixels_from_plane(centred, plane)[:, 0]
        steps = np.diff(distorted)
        folding = np.flatnonzero(~(np.isfinite(steps) & (steps > 0.0)))
        last = int(folding[0]) if folding.size else len(angles) - 1
        return float(plane[last, 0])

    def _rays_from_plane(self, plane: Float64Array) -> Float64Array:
        optical = np.column_stack([plane, np.ones(len(plane))])
        optical /= np.linalg.norm(optical, axis=1, keepdims=True)
        return np.asarray(optical @ self.optical_from_base[:3, :3])

    def _ground_from_rays(self, rays: Float64Array) -> Float64Array:
        with np.errstate(divide='ignore', invalid='ignore'):
            length_m = -self.mount.z / rays[:, 2]
            points = np.array([self.mount.x, self.mount.y]) + length_m[:, None] * rays[:, :2]
        points[~(np.isfinite(length_m) & (length_m > 0.0))] = np.nan
        return np.asarray(points)

    def _plane_of_image(self) -> Float64Array:
        """``(H * W, 2)`` image-plane coordinates of all pixels, row by row.

        To invert a distortion takes time, and a lens is smooth: it is inverted at every
        ``NODE_STEP_PX``-th pixel and interpolated between them.
        """
        columns = _nodes(self.intrinsics.width)
        rows = _nodes(self.intrinsics.height)
        grid_x, grid_y = np.meshgrid(columns, rows)
        pixels = np.column_stack([grid_x.reshape(-1), grid_y.reshape(-1)]).astype(np.float64)
        at_nodes = self._plane_from_pixels(pixels).reshape(len(rows), len(columns), 2)
        in_rows = _between_nodes(at_nodes, rows)
        in_columns = _between_nodes(in_rows.swapaxes(0, 1), columns)
        return np.ascontiguousarray(in_columns.swapaxes(0, 1)).reshape(-1, 2)

    def _plane_from_pixels(self, pixels: Float64Array) -> Float64Array:
        """``(N, 2)`` image-plane coordinates (optical x/z, y/z), NaN where there are none."""
        intrinsics = self.intrinsics
        undistorted = (pixels - intrinsics.k[:2, 2]) / np.diagonal(intrinsics.k)[:2]
        if not intrinsics.d.any() and intrinsics.distortion_model != 'equidistant':
            return undistorted
        if not len(pixels):
            return undistorted
        plane = _undistort(intrinsics, pixels, self._max_radius)
        error_px = _radius(_pixels_from_plane(intrinsics, plane) - pixels)
        with np.errstate(invalid='ignore'):
            good = (error_px <= MAX_INVERSION_ERROR_PX) & (_radius(plane) <= self._max_radius)
        plane[~good] = np.nan
        return plane


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


def _radial_only(intrinsics: CameraIntrinsics) -> Float64Array:
    """The coefficients without the tangential, prism and tilt terms, which have no radius."""
    coefficients = np.array(intrinsics.d)
    if intrinsics.distortion_model in {'plumb_bob', 'rational_polynomial'}:
        coefficients[2:4] = 0.0
        coefficients[8:] = 0.0
    return coefficients


def _coefficients(intrinsics: CameraIntrinsics) -> Float64Array:
    return np.array(intrinsics.d) if intrinsics.d.size else np.zeros(4)


def _pixels_from_plane(intrinsics: CameraIntrinsics, plane: Float64Array) -> Float64Array:
    """``(N, 2)`` pixels of image-plane coordinates, through the distortion."""
    if not len(plane):
        return np.zeros((0, 2))
    zero = np.zeros(3)
    k = np.array(intrinsics.k)
    coefficients = _coefficients(intrinsics)
    points = np.column_stack([plane, np.ones(len(plane))]).reshape(-1, 1, 3)
    if intrinsics.distortion_model == 'equidistant':
        pixels, _ = cv2.fisheye.projectPoints(points, zero, zero, k, coefficients)
    else:
        pixels, _ = cv2.projectPoints(points, zero, zero, k, coefficients)
    return np.asarray(pixels, dtype=np.float64).reshape(-1, 2)


def _undistort(
    intrinsics: CameraIntrinsics, pixels: Float64Array, max_radius: float
) -> Float64Array:
    """Image-plane coordinates of distorted pixels, as good as they can be had.

    OpenCV's fixed point iteration stops after a few steps, whether or not it has arrived. What
    it leaves is brought home by Newton's method, from a start inside of the valid radius.
    """
    k = np.array(intrinsics.k)
    coefficients = _coefficients(intrinsics)
    source = pixels.reshape(-1, 1, 2)
    if intrinsics.distortion_model == 'equidistant':
        plane = cv2.fisheye.undistortPoints(source, k, coefficients)
    else:
        plane = cv2.undistortPoints(source, k, coefficients)
    plane = np.array(plane, dtype=np.float64).reshape(-1, 2)
    error_px = _radius(_pixels_from_plane(intrinsics, plane) - pixels)
    for _ in range(NEWTON_STEPS):
        open_ = np.flatnonzero(~(error_px < 0.1 * MAX_INVERSION_ERROR_PX))
        if not open_.size:
            break
        start = _inside(plane[open_], 0.999 * max_radius)
        plane[open_] = _newton_step(intrinsics, start, pixels[open_])
        error_px[open_] = _radius(_pixels_from_plane(intrinsics, plane[open_]) - pixels[open_])
    return plane


def _inside(plane: Float64Array, max_radius: float) -> Float64Array:
    radius = _radius(plane)
    with np.errstate(divide='ignore', invalid='ignore'):
        scale = np.where(radius > max_radius, max_radius / radius, 1.0)
    inside: Float64Array = np.asarray(plane * scale[:, None])
    inside[~np.isfinite(inside).all(axis=1)] = 0.0
    return inside


def _newton_step(
    intrinsics: CameraIntrinsics, plane: Float64Array, pixels: Float64Array
) -> Float64Array:
    step = 1e-6
    here = _pixels_from_plane(intrinsics, plane)
    along_x = (_pixels_from_plane(intrinsics, plane + np.array([step, 0.0])) - here) / step
    along_y = (_pixels_from_plane(intrinsics, plane + np.array([0.0, step])) - here) / step
    missing = pixels - here
    determinant = along_x[:, 0] * along_y[:, 1] - along_x[:, 1] * along_y[:, 0]
    with np.errstate(divide='ignore', invalid='ignore'):
        delta_x = (missing[:, 0] * along_y[:, 1] - missing[:, 1] * along_y[:, 0]) / determinant
        delta_y = (missing[:, 1] * along_x[:, 0] - missing[:, 0] * along_x[:, 1]) / determinant
    return plane + np.column_stack([delta_x, delta_y])

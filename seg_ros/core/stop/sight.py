# SPDX-License-Identifier: Apache-2.0
"""Sight of the zone: whether it is in the picture, and seen as ground.

Nobody in the zone is no proof of a free way where the zone itself is not seen. So the zone is
looked at point by point, from the near edge on: is the point in the picture, and what is there?
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from seg_ros.core.geometry.camera import Camera
from seg_ros.core.image.health import GRID
from seg_ros.core.labels import LabelMap
from seg_ros.core.stop.config import StopConfig
from seg_ros.core.stop.decision import Fault, StopKind
from seg_ros.core.stop.zones import GroundZone, ImageZone
from seg_ros.core.types import LabelImage
from seg_ros.core.vehicle import CAR, VehicleConfig

__all__ = ['ZoneSight', 'ZoneWatch']

# Points in a row: in a corridor of 3 m one every 0.43 m, less than somebody is wide.
COLUMNS = 7
IMAGE_ROWS = 16  # in an image zone, which has no metres: 10 pixels each at 360 rows
# Part of the rows in view that is the near edge. There the zone has most of its pixels, and there
# a vehicle that drives stands first.
NEAR_SHARE = 0.25
REGION_SHARE = 0.05  # of the points must be in a region of the picture, so that it counts
ROW_SHARE = 0.5  # of a row must be in the picture, so that its distance counts as seen

GROUND, OBSTACLE = 1, 2  # what a label says of a point; 0 is neither
GROUND_ROLES = ('drivable', 'lane')
OBSTACLE_ROLES = ('obstacle', 'static', 'vehicle', 'pedestrian', 'cyclist')


class ZoneSight(NamedTuple):
    """How a zone is seen in one frame.

    Attributes:
        blind_m: From the near edge to the first ground in the picture; infinite if there is none,
            NaN in an image zone.
        in_view: Share of the zone's ground beyond ``max_blind_m`` that is in the picture.
        ground: Share of the points in view, up to a visible obstacle, that are ground.
        near_ground: Share of the points at the near edge that are ground.
    """

    blind_m: float
    in_view: float
    ground: float
    near_ground: float


class ZoneWatch:
    """Looks at the zone of one camera.

    Args:
        config: Its numbers.
        label_map: Of the label images.
        vehicle: Where it ends.

    Attributes:
        regions: In which regions of the picture (``core/image/health.py``) the zone was last.
    """

    def __init__(
        self, config: StopConfig, label_map: LabelMap, vehicle: VehicleConfig = CAR
    ) -> None:
        self._config = config
        self._front_m = vehicle.front_m
        roles = (*GROUND_ROLES, 'walkable') if config.walkable_is_ground else GROUND_ROLES
        self._meaning = np.zeros(256, np.uint8)
        for meaning, names in ((OBSTACLE, OBSTACLE_ROLES), (GROUND, roles)):
            for role in names:
                self._meaning[list(label_map.ids_with_role(role))] = meaning
        self._has_ground = bool((self._meaning == GROUND).any())
        self._image_zone = ImageZone(config.image_polygon)
        self._image_cells = self._image_zone.cells(IMAGE_ROWS, COLUMNS)
        self._own_vehicle = config.ego_mask
        self._vehicle_mask: NDArray[np.uint8] | None = None
        self.regions: tuple[int, ...] = ()

    def take_vehicle(self, polygon: tuple[float, ...]) -> None:
        """Takes where the own vehicle was found (``OwnVehicle``), unless ``ego_mask`` says it."""
        if len(self._config.ego_mask) < 6 and polygon != self._own_vehicle:
            self._own_vehicle, self._vehicle_mask = polygon, None

    def without_vehicle(self, labels: LabelImage, unlabelled: int) -> LabelImage:
        """Returns the labels without the own vehicle: a copy where it is in the picture."""
        mask = self._mask_of(labels.shape)
        if mask is None:
            return labels
        return np.where(mask != 0, np.uint8(unlabelled), labels)

    def look(self, labels: LabelImage, zone: GroundZone, camera: Camera) -> ZoneSight:
        """Returns how a zone on the ground is seen.

        Args:
            labels: ``(H, W)`` class ids.
            zone: The zone.
            camera: For label images of this size.
        """
        cells = zone.cells(self._front_m, COLUMNS)
        rows, columns = cells.shape[:2]
        points = np.zeros((rows * columns, 3))
        points[:, :2] = cells.reshape(-1, 2)
        is_zone = np.isfinite(cells[..., 0])
        with np.errstate(invalid='ignore'):
            pixels, _ = camera.project(points)
            in_view, meanings = self._at(labels, pixels.reshape(rows, columns, 2))
        seen, known = in_view.sum(axis=1).tolist(), is_zone.sum(axis=1).tolist()
        beyond_m = _row_distances(cells, known)
        first_m = (
            row_m
            for row_m, points_seen, points_known in zip(beyond_m, seen, known, strict=True)
            if points_seen >= ROW_SHARE * max(points_known, 1)
        )
        far = sum(row_m < self._config.max_blind_m for row_m in beyond_m)
        must_see = sum(known[far:])
        return ZoneSight(
            next(first_m, math.inf),
            sum(seen[far:]) / must_see if must_see else 1.0,
            *_ground_shares(in_view, seen, meanings),
        )

    def look_at_picture(self, labels: LabelImage, zone: ImageZone) -> ZoneSight:
        """Returns how the image zone is seen, where nothing is known about the ground."""
        height, width = labels.shape
        if zone is not self._image_zone:
            self._image_zone, self._image_cells = zone, zone.cells(IMAGE_ROWS, COLUMNS)
        with np.errstate(invalid='ignore'):
            in_view, meanings = self._at(labels, self._image_cells * (width, height) - 0.5)
        seen = in_view.sum(axis=1).tolist()
        return ZoneSight(math.nan, 1.0, *_ground_shares(in_view, seen, meanings))

    def fault(self, sight: ZoneSight) -> Fault | None:
        """Returns why what is seen of the zone proves nothing, None if it does."""
        config = self._config
        if sight.blind_m > config.max_blind_m:
            seen = 'no ground of it is' if math.isinf(sight.blind_m) else (
                f'its first {sight.blind_m:.1f} m are not'
            )  # fmt: skip
            return Fault(
                StopKind.ZONE_NOT_IN_VIEW,
                f'{seen} in the picture, more than stop.max_blind_m {config.max_blind_m:.1f} m: '
                'the camera looks elsewhere, or too far ahead',
            )
        if sight.in_view < config.min_zone_in_view:
            return Fault(
                StopKind.ZONE_NOT_IN_VIEW,
                f'{sight.in_view:.0%} of the zone is in the picture, less than '
                f'{config.min_zone_in_view:.0%}',
            )
        least = config.min_ground_share
        if min(sight.ground, sight.near_ground) >= least:
            return None
        if not self._has_ground:
            return Fault(
                StopKind.GROUND_NOT_SEEN,
                'the engine has no class with the role drivable or lane, so that nobody knows '
                'whether the zone is seen; name one, or set stop.min_ground_share to 0',
            )
        return Fault(
            StopKind.GROUND_NOT_SEEN,
            f'{sight.ground:.0%} of the zone is seen as ground, {sight.near_ground:.0%} at its '
            f'near edge, less than {least:.0%}',
        )

    def _at(
        self, labels: LabelImage, pixels: NDArray[np.float64]
    ) -> tuple[NDArray[np.bool_], NDArray[np.uint8]]:
        """``(R, C)`` which points are in the picture, and what is there; 0 where they are not."""
        height, width = labels.shape
        from_corner = pixels + 0.5
        is_inside = (from_corner >= 0.0) & (from_corner < (width, height))
        in_view = is_inside[..., 0] & is_inside[..., 1]
        cells = from_corner[in_view].astype(np.intp)
        mask = self._mask_of(labels.shape)
        if mask is not None:
            is_seen = mask[cells[:, 1], cells[:, 0]] == 0
            in_view[in_view], cells = is_seen, cells[is_seen]
        regions = cells * GRID // (width, height)
        points = np.bincount(regions[:, 1] * GRID + regions[:, 0], minlength=GRID * GRID)
        least = REGION_SHARE * len(cells)
        self.regions = tuple(region for region, n in enumerate(points.tolist()) if n > least)
        meanings = np.zeros(in_view.shape, np.uint8)
        meanings[in_view] = self._meaning[labels[cells[:, 1], cells[:, 0]]]
        return in_view, meanings

    def _mask_of(self, shape_hw: tuple[int, ...]) -> NDArray[np.uint8] | None:
        """``(H, W)`` 255 where the own vehicle is, None where it is not in the picture."""
        corners = self._own_vehicle
        if len(corners) < 6:
            return None
        if self._vehicle_mask is None or self._vehicle_mask.shape != shape_hw:
            self._vehicle_mask = np.zeros(shape_hw, np.uint8)
            size_wh = (shape_hw[1], shape_hw[0])
            polygon = np.reshape(corners, (-1, 2)) * size_wh - 0.5
            cv2.fillPoly(self._vehicle_mask, [polygon.round().astype(np.int32)], 255)
        return self._vehicle_mask


def _row_distances(cells: NDArray[np.float64], known: Sequence[int]) -> list[float]:
    """Metres from the near edge of a zone to the nearest side of each of its rows.

    Args:
        cells: ``(R, C, 2)``.
        known: Points of each row that are of the zone.
    """
    # Of a polygon the ends of rows, and whole rows, may be NaN
    first = [row for row, count in enumerate(known) if count][:2]
    step_m = math.dist(*map(_middle, cells[first].tolist())) if len(first) == 2 else 0.0
    return [step_m * row for row in range(len(known))]


def _middle(points: list[list[float]]) -> list[float]:
    """Of those points of a row that are of the zone."""
    xs = [x for x, _ in points if not math.isnan(x)]
    ys = [y for _, y in points if not math.isnan(y)]
    return [sum(xs) / len(xs), sum(ys) / len(ys)]


def _ground_shares(
    in_view: NDArray[np.bool_], seen: Sequence[int], meanings: NDArray[np.uint8]
) -> tuple[float, float]:
    """What of the points in view is ground: up to an obstacle, and at the near edge.

    Args:
        in_view: ``(R, C)``.
        seen: How many of each row are.
        meanings: ``(R, C)``, 0 of those that are not.
    """
    is_ground = meanings == GROUND
    # What is behind an obstacle cannot be seen, and need not: nothing gets there before
    is_free = np.logical_or.accumulate(meanings == OBSTACLE, axis=0)
    is_asked = in_view & ~is_free
    seen_rows = [row for row, count in enumerate(seen) if count]
    near = seen_rows[: max(1, math.ceil(NEAR_SHARE * len(seen_rows)))]
    return (
        np.count_nonzero(is_ground & is_asked) / max(1, np.count_nonzero(is_asked)),
        np.count_nonzero(is_ground[near]) / max(1, sum(seen[row] for row in near)),
    )

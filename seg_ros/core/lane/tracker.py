# SPDX-License-Identifier: Apache-2.0
"""Lane tracker: follows the lane of the vehicle from label image to label image."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from seg_ros.core.errors import ConfigurationError
from seg_ros.core.geometry.camera import GroundTable
from seg_ros.core.labels import LabelMap
from seg_ros.core.lane.checks import path_problem
from seg_ros.core.lane.config import LaneConfig
from seg_ros.core.lane.departure import DepartureWarning
from seg_ros.core.lane.filter import LaneEstimate
from seg_ros.core.lane.follower import CorridorFollower, LaneFollower
from seg_ros.core.lane.markings import EdgeFollower, MarkingFollower, SeenLine
from seg_ros.core.lane.points import LaneView
from seg_ros.core.lane.shape import basis, parallels
from seg_ros.core.lane.track import Boundary, Coefficients, LaneTrack
from seg_ros.core.types import ConfidenceImage, LabelImage
from seg_ros.core.units import NS_PER_S
from seg_ros.core.vehicle import CAR, VehicleConfig

__all__ = ['LaneTracker']

MAX_STEP_S = 1.0  # between two images; after more, or backwards, the lane is looked for anew


class LaneTracker:
    """Turns label images into lane tracks; one caller, images in order of their stamps.

    Args:
        config: Limits and scales.
        label_map: Which classes are ``lane`` and ``drivable``.
        vehicle: The path starts at its front bumper; its width may leave the lane.

    Raises:
        ConfigurationError: Between bumper and ``look_ahead_m`` there is no room for a path.
    """

    def __init__(
        self, config: LaneConfig, label_map: LabelMap, vehicle: VehicleConfig = CAR
    ) -> None:
        config.check_front(vehicle.front_m)
        self._config = config
        self._front_m, self._half_width_m = vehicle.front_m, vehicle.half_width_m
        self._lane_lut = label_map.role_mask_lut('lane')
        self._ground_lut = self._lane_lut | label_map.role_mask_lut('drivable')
        self._nearest = basis(np.array([vehicle.front_m + config.min_reach_m]))[0]
        self._table: GroundTable | None = None
        self._view: LaneView | None = None
        self.reset()

    def reset(self) -> None:
        """Forgets everything that images have shown."""
        self._markings = MarkingFollower(self._config)
        self._edged = EdgeFollower(self._config)
        self._corridor = CorridorFollower(self._config)
        self._departure = DepartureWarning(self._config, self._half_width_m)
        self._stamp_ns: int | None = None

    def update(
        self,
        labels: LabelImage,
        confidence: ConfidenceImage | None,
        ground_table: GroundTable,
        stamp_ns: int,
        speed_mps: float | None = None,
        yaw_rate_radps: float | None = None,
    ) -> LaneTrack:
        """Returns the lane after one more image.

        Args:
            labels: ``(H, W)`` class ids.
            confidence: ``(H, W)``, or None where every pixel counts the same.
            ground_table: ``(H, W, 2)``; pass the same array as long as it holds, since what
                follows from it is kept with it.
            stamp_ns: Of the image.
            speed_mps: Of the vehicle since the image before, None when unknown.
            yaw_rate_radps: The same, positive turns left.

        Raises:
            ConfigurationError: The table was made for another image size.
        """
        view = self._view_of(ground_table, labels)
        self._predict(stamp_ns, speed_mps, yaw_rate_radps)
        track = self._track(view, labels, confidence, stamp_ns)
        if not self._config.departure_s:
            return track
        side = self._departure.update(track, speed_mps, yaw_rate_radps)
        return replace(track, departure=side)

    def _track(
        self,
        view: LaneView,
        labels: LabelImage,
        confidence: ConfidenceImage | None,
        stamp_ns: int,
    ) -> LaneTrack:
        if not view.sees_ground:
            return LaneTrack(False, 'the camera sees no ground', 'markings', stamp_ns)
        # Follow the painted lines
        markings = self._markings
        points = view.markings(labels, confidence, self._lane_lut)
        markings.update(points, view.camera_x_m, stamp_ns)
        track = self._marked_track(stamp_ns)
        if track.valid or not self._config.corridor:
            self._edged.reset()
            self._corridor.reset()
            return track
        # Follow one line and the edge of the drivable ground
        left, right = view.corridor(labels, self._ground_lut)
        self._edged.update_with_edges(points, left.joined(right), view.camera_x_m, stamp_ns)
        edged = self._edged_track(stamp_ns)
        if edged.valid:
            self._corridor.reset()
            return edged
        # Follow the drivable ground where there is no line
        self._corridor.update_between(left, right, points, view.camera_x_m, stamp_ns)
        return self._corridor_track(track, stamp_ns)

    def _view_of(self, table: GroundTable, labels: LabelImage) -> LaneView:
        if self._view is None or self._table is not table:
            self._table, self._view = table, LaneView(table, self._config)
        if self._view.shape_hw != labels.shape:
            height, width = self._view.shape_hw
            raise ConfigurationError(
                f'The ground table is for {width}x{height} pixels, the label image has '
                f'{labels.shape[1]}x{labels.shape[0]}. Make it with Camera.ground_table(size_wh) '
                'of the label image.'
            )
        return self._view

    def _predict(self, stamp_ns: int, speed_mps: float | None, yaw_rate: float | None) -> None:
        """Moves what is known to the time of the image."""
        if self._stamp_ns is not None:
            dt_s = (stamp_ns - self._stamp_ns) / NS_PER_S
            if 0.0 <= dt_s <= MAX_STEP_S:
                self._markings.predict(dt_s, speed_mps, yaw_rate)
                self._edged.predict(dt_s, speed_mps, yaw_rate)
                self._corridor.predict(dt_s, speed_mps, yaw_rate)
            else:
                self.reset()
        self._stamp_ns = stamp_ns

    def _marked_track(self, stamp_ns: int) -> LaneTrack:
        markings = self._markings
        estimate = markings.estimate
        source = 'markings' if markings.both_sides else 'one_boundary'
        if estimate is None:
            return LaneTrack(False, markings.problem, 'markings', stamp_ns)
        good = 'both lines' if markings.both_sides else 'one line and the width'
        if markings.glide_m:
            good = 'changing lanes'
        return self._track_of(markings, estimate, source, good, stamp_ns, markings.glide_m)

    def _edged_track(self, stamp_ns: int) -> LaneTrack:
        edged = self._edged
        if edged.estimate is None:
            return LaneTrack(False, edged.problem, 'one_boundary', stamp_ns)
        good = 'one line and the edge of the ground'
        return self._track_of(edged, edged.estimate, 'one_boundary', good, stamp_ns, edged.glide_m)

    def _corridor_track(self, marked: LaneTrack, stamp_ns: int) -> LaneTrack:
        corridor = self._corridor
        if corridor.estimate is None:
            return replace(marked, reason=f'{marked.reason}; no corridor: {corridor.problem}')
        return self._track_of(
            corridor, corridor.estimate, 'corridor', f'no lines ({marked.reason})', stamp_ns, 0.0
        )

    def _track_of(
        self,
        lane: LaneFollower,
        estimate: LaneEstimate,
        source: str,
        good: str,
        stamp_ns: int,
        glide_m: float,
    ) -> LaneTrack:
        """The track of a lane that is followed, valid if nothing is found against it."""
        config = self._config
        shape, width_m = estimate.shape, estimate.width_m
        reach_m = lane.reach_m
        seen = _lines_of(lane, width_m)
        lefts_m = [*(line.left_m for line in seen.values()), *((glide_m,) if glide_m else ())]
        shapes = parallels(shape, lefts_m, config.look_ahead_m)
        lines = [Coefficients(*line.tolist()) for line in (*shapes, shape)]
        left, right, centre = lines[0], lines[1], lines[len(seen)]
        covariance = estimate.covariance
        age_s = lane.age_s(stamp_ns)
        near_std_m = math.sqrt(float(self._nearest @ covariance[:4, :4] @ self._nearest))
        problem = path_problem(
            float(shape[0]), width_m, near_std_m, reach_m, self._front_m, config
        )
        if not problem and not lane.is_confirmed:
            problem = 'a lane was found and is being confirmed'
        if lane.problem and not problem:
            good = f'coasting for {age_s:.2f} s: {lane.problem}'
        return LaneTrack(
            valid=not problem,
            reason=problem or good,
            source=source,
            stamp_ns=stamp_ns,
            centre=centre,
            left=left,
            right=right,
            width_m=width_m,
            covariance=(
                (float(covariance[0, 0]), float(covariance[0, 1])),
                (float(covariance[1, 0]), float(covariance[1, 1])),
            ),
            start_m=self._front_m,
            reach_m=reach_m,
            age_s=age_s,
            pitch_per_m=estimate.pitch_per_m,
            boundaries=tuple(
                Boundary(name, lines[index], row.length_m)
                for index, (name, row) in enumerate(seen.items())
                if row.length_m >= config.min_line_m
            ),
        )


def _lines_of(lane: LaneFollower, width_m: float) -> dict[str, SeenLine]:
    """The two lines of a lane, then those beside it that the newest image shows."""
    fit = lane.fit
    lines = {
        'left': SeenLine(0.5 * width_m, fit.left.length_m if fit else 0.0),
        'right': SeenLine(-0.5 * width_m, fit.right.length_m if fit else 0.0),
    }
    if fit and isinstance(lane, MarkingFollower):
        lines |= {f'{name}_neighbour': line for name, line in lane.neighbours.items()}
    return lines

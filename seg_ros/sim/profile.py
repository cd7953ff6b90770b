# SPDX-License-Identifier: Apache-2.0
"""The cross-section of the road: what lies how far to the left and right of its centre line."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from seg_ros.sim import classes
from seg_ros.sim.config import SceneConfig

__all__ = ['NOWHERE_M', 'PaintedLine', 'RoadProfile', 'Roadside', 'profile_for']

TABLE_HALF_WIDTH_M = 48.0
NOWHERE_M = 99.0
TABLE_STEP_M = 0.002

SOLID = 1
DASHED = 2
CENTRE = 3  # dashed, solid before crossings


@dataclass(frozen=True)
class PaintedLine:
    """A painted line along the road.

    Attributes:
        d_m: Its middle.
        width_m: Its width.
        kind: ``SOLID``, ``DASHED`` or ``CENTRE``.
    """

    d_m: float
    width_m: float
    kind: int


@dataclass(frozen=True)
class Roadside:
    """One side of the road, distances from the centre line.

    Attributes:
        asphalt_m: Where the asphalt ends.
        kerb_m: Width of the kerb stone, 0 without.
        pavement_from_m: Where the pavement starts, kerb included; ``NOWHERE_M`` without.
        pavement_to_m: Where it ends.
        fence_m: Where fences are, if any.
        wall_m: Where the fronts of the buildings are.
        parking_m: Middle of the row of parked cars, 0 without.
    """

    asphalt_m: float
    kerb_m: float
    pavement_from_m: float
    pavement_to_m: float
    fence_m: float
    wall_m: float
    parking_m: float


@dataclass(frozen=True)
class RoadProfile:
    """The whole cross-section.

    Attributes:
        lanes_per_direction: On each side of the centre line.
        lane_width_m: Of each lane.
        left: The side with positive d.
        right: The side with negative d.
        lines: All painted lines along the road.
        dash_m: Length of a dash.
        gap_m: Length of the gap after it.
    """

    lanes_per_direction: int
    lane_width_m: float
    left: Roadside
    right: Roadside
    lines: tuple[PaintedLine, ...]
    dash_m: float
    gap_m: float

    @property
    def half_road_m(self) -> float:
        """From the centre line to the outer line of the outer lane."""
        return self.lanes_per_direction * self.lane_width_m

    def side(self, sign: int) -> Roadside:
        return self.left if sign > 0 else self.right

    def own_lane_at(self, d_m: float) -> int:
        """The lane in the direction of travel next to ``d_m``; 0 is at the centre line."""
        lane = int(-d_m // self.lane_width_m)
        return min(max(lane, 0), self.lanes_per_direction - 1)

    def lane_centre_m(self, lane: int, direction: int = 1) -> float:
        """``d`` of the middle of a lane; direction -1 is oncoming."""
        return -direction * (lane + 0.5) * self.lane_width_m

    def is_road(self, d_m: float) -> bool:
        return -self.right.asphalt_m <= d_m <= self.left.asphalt_m

    @cached_property
    def surface_table(self) -> NDArray[np.uint8]:
        """Class of the ground by ``d``, lines left out; see ``TABLE_STEP_M``."""
        d = self._table_d()
        surface = np.full(d.shape, classes.TREE, dtype=np.uint8)
        for sign in (1, -1):
            side = self.side(sign)
            out = d * sign
            surface[(out >= side.pavement_from_m) & (out <= side.pavement_to_m)] = classes.PAVEMENT
            surface[(out >= 0) & (out <= side.asphalt_m)] = classes.ROAD
        return surface

    @cached_property
    def line_table(self) -> NDArray[np.uint8]:
        """Kind of the line by ``d``, 0 where there is none."""
        d = self._table_d()
        kinds = np.zeros(d.shape, dtype=np.uint8)
        for line in self.lines:
            kinds[np.abs(d - line.d_m) <= 0.5 * line.width_m] = line.kind
        return kinds

    def _table_d(self) -> NDArray[np.float64]:
        count = round(2 * TABLE_HALF_WIDTH_M / TABLE_STEP_M) + 1
        return np.asarray(np.arange(count) * TABLE_STEP_M - TABLE_HALF_WIDTH_M, dtype=np.float64)


def profile_for(config: SceneConfig) -> RoadProfile:
    """The cross-section that goes with the surroundings."""
    return _profile(config.surroundings, config.lanes_per_direction, config.lane_width_m)


@lru_cache(maxsize=16)
def _profile(surroundings: str, lanes_per_direction: int, lane_width_m: float) -> RoadProfile:
    half_road_m = lanes_per_direction * lane_width_m
    if surroundings == 'city':
        side = _side(half_road_m, shoulder_m=0.3, parking_m=2.2, pavement_m=3.6, setback_m=0.0)
        left = right = side
        dash_m, gap_m, width_m = 3.0, 4.0, 0.13
    elif surroundings == 'suburb':
        side = _side(half_road_m, shoulder_m=0.25, parking_m=0.0, pavement_m=2.2, setback_m=6.5)
        left = right = side
        dash_m, gap_m, width_m = 3.0, 6.0, 0.12
    else:
        asphalt_m = half_road_m + 0.45
        left = Roadside(
            asphalt_m=asphalt_m,
            kerb_m=0.0,
            pavement_from_m=NOWHERE_M,
            pavement_to_m=NOWHERE_M,
            fence_m=asphalt_m + 6.0,
            wall_m=asphalt_m + 16.0,
            parking_m=0.0,
        )
        path = asphalt_m + 1.8, asphalt_m + 3.6
        right = replace(left, pavement_from_m=path[0], pavement_to_m=path[1])
        dash_m, gap_m, width_m = 4.0, 8.0, 0.13
    lines = [PaintedLine(0.0, width_m, CENTRE)]
    if lanes_per_direction > 1:
        lines = [PaintedLine(0.0, 0.16, SOLID)]
    for sign in (-1, 1):
        lines.extend(
            PaintedLine(sign * lane * lane_width_m, width_m, DASHED)
            for lane in range(1, lanes_per_direction)
        )
        lines.append(PaintedLine(sign * half_road_m, width_m, SOLID))
    return RoadProfile(
        lanes_per_direction=lanes_per_direction,
        lane_width_m=lane_width_m,
        left=left,
        right=right,
        lines=tuple(lines),
        dash_m=dash_m,
        gap_m=gap_m,
    )


def _side(
    half_road_m: float, shoulder_m: float, parking_m: float, pavement_m: float, setback_m: float
) -> Roadside:
    asphalt_m = half_road_m + shoulder_m + parking_m
    return Roadside(
        asphalt_m=asphalt_m,
        kerb_m=0.18,
        pavement_from_m=asphalt_m,
        pavement_to_m=asphalt_m + pavement_m,
        fence_m=asphalt_m + pavement_m + (0.3 if setback_m else 0.0),
        wall_m=asphalt_m + pavement_m + setback_m,
        parking_m=half_road_m + shoulder_m + 0.5 * parking_m if parking_m else 0.0,
    )

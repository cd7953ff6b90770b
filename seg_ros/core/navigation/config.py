# SPDX-License-Identifier: Apache-2.0
"""Parameters of what navigation stacks are given: the group ``navigation``."""

from __future__ import annotations

from dataclasses import dataclass

from seg_ros.core.errors import ConfigurationError
from seg_ros.core.parameters.option import option

__all__ = ['NavigationConfig']

MAX_CELLS = 4_000_000  # a message of 4 MB a frame; 200 m by 200 m at 0.1 m


@dataclass(frozen=True)
class NavigationConfig:
    """Obstacles, free space and the semantic costmap's input.

    Raises:
        ConfigurationError: A range that is upside down, or a grid of no or too many cells.
    """

    obstacle_height_m: float = option(
        0.3,
        'Height at which obstacles are published: inside of the height filters of Nav2 '
        '(collision_monitor keeps 0.05 to 0.5 m).',
        unit='m',
        low=0.0,
        high=5.0,
    )
    min_points: int = option(
        6,
        'Least points of one obstacle, however far away; collision_monitor wants 4.',
        low=1,
        high=1000,
    )
    min_height_m: float = option(
        0.15, 'What is lower in the image, at its distance, is a speck and no obstacle.',
        unit='m', low=0.0, high=2.0,
    )  # fmt: skip
    max_range_m: float = option(
        30.0, 'Obstacles and costmap points further away are left out.', unit='m', low=0.5,
        high=300.0,
    )  # fmt: skip
    walkable_is_free: bool = option(
        False, 'Pavement is free space as the road is: for robots that belong there.'
    )
    scan_angle_min_rad: float = option(
        -1.05,
        'First bearing of the scan, from the base origin.',
        unit='rad',
        low=-3.1416,
        high=0.0,
    )
    scan_angle_max_rad: float = option(
        1.05, 'Last bearing of the scan.', unit='rad', low=0.0, high=3.1416
    )
    scan_increment_rad: float = option(
        0.005,
        'Angle between two bearings of the scan; wider than a costmap cell at the greatest range '
        'it leaves cells that are never cleared.',
        unit='rad',
        low=0.0005,
        high=0.2,
    )
    scan_range_min_m: float = option(
        0.0,
        'What blocks nearer than this is -inf in the scan, which collision_monitor ignores.',
        unit='m',
        low=0.0,
        high=50.0,
    )
    scan_range_max_m: float = option(
        20.0, 'What is free as far as this is +inf in the scan.', unit='m', low=0.5, high=300.0
    )
    grid_resolution_m: float = option(
        0.1, 'Edge of a cell of the drivable grid.', unit='m', low=0.01, high=5.0
    )
    grid_near_m: float = option(
        0.0, 'Where the drivable grid begins, forward of the base origin.', unit='m', low=-50.0,
        high=50.0,
    )  # fmt: skip
    grid_far_m: float = option(
        20.0, 'Where the drivable grid ends.', unit='m', low=0.5, high=300.0
    )
    grid_half_width_m: float = option(
        10.0, 'How far the drivable grid reaches to either side.', unit='m', low=0.1, high=150.0
    )
    costmap_width: int = option(
        160, 'Width of costmap/mask, costmap/confidence and costmap/points.', unit='px', low=8,
        high=4096,
    )  # fmt: skip
    costmap_height: int = option(90, 'Height of the same.', unit='px', low=8, high=4096)

    def __post_init__(self) -> None:
        if self.scan_range_min_m >= self.scan_range_max_m:
            raise ConfigurationError(
                f'navigation.scan_range_min_m is {self.scan_range_min_m} m and '
                f'scan_range_max_m {self.scan_range_max_m} m. Put the greatest range above the '
                'least.'
            )
        if self.scan_angle_max_rad - self.scan_angle_min_rad < self.scan_increment_rad:
            raise ConfigurationError(
                f'navigation.scan_angle_min_rad {self.scan_angle_min_rad} to scan_angle_max_rad '
                f'{self.scan_angle_max_rad} is less than one scan_increment_rad of '
                f'{self.scan_increment_rad}. Widen the scan.'
            )
        if self.grid_near_m >= self.grid_far_m:
            raise ConfigurationError(
                f'navigation.grid_near_m is {self.grid_near_m} m and grid_far_m '
                f'{self.grid_far_m} m. Let the grid end beyond where it begins.'
            )
        width, height = self.grid_size_wh
        if not 0 < width * height <= MAX_CELLS:
            raise ConfigurationError(
                f'The drivable grid would have {width}x{height} cells; from 1 to {MAX_CELLS} are '
                'possible. Change navigation.grid_resolution_m or its extent.'
            )

    @property
    def bearings(self) -> int:
        """How many ranges the scan has."""
        return 1 + int(
            (self.scan_angle_max_rad - self.scan_angle_min_rad) / self.scan_increment_rad + 1e-6
        )

    @property
    def grid_size_wh(self) -> tuple[int, int]:
        """Cells forward and cells to the left."""
        cell_m = self.grid_resolution_m
        return (
            round((self.grid_far_m - self.grid_near_m) / cell_m),
            round(2.0 * self.grid_half_width_m / cell_m),
        )

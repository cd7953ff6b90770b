# SPDX-License-Identifier: Apache-2.0
"""Parameters of the lane track: what it assumes of lane, vehicle and road."""

from __future__ import annotations

from dataclasses import dataclass

from seg_ros.core.errors import ConfigurationError
from seg_ros.core.parameters.option import option

__all__ = ['LaneConfig']


@dataclass(frozen=True)
class LaneConfig:
    """The lane track's group of parameters.

    Raises:
        ConfigurationError: A range that is upside down.
    """

    width_min_m: float = option(
        2.4, 'Narrowest lane, between the middles of its two lines.', unit='m', low=0.05, high=20.0
    )
    width_max_m: float = option(4.6, 'Widest lane.', unit='m', low=0.05, high=20.0)
    width_expected_m: float = option(
        3.4, 'Width of a lane before one was measured.', unit='m', low=0.05, high=20.0
    )
    width_known: bool = option(
        False,
        'The expected width is the true one: a single line is followed from the start at half '
        'that distance, without having seen the other.',
    )
    marking_max_m: float = option(
        0.45, 'Widest line; what is wider is an arrow, a stop line or a crossing.', unit='m',
        low=0.005, high=5.0,
    )  # fmt: skip
    look_ahead_m: float = option(
        30.0, 'How far the path reaches where the lane is seen that far.', unit='m',
        low=0.5, high=150.0,
    )  # fmt: skip
    max_curvature_per_m: float = option(
        0.025, 'Of the tightest bend.', unit='1/m', low=0.0, high=10.0
    )
    max_heading_rad: float = option(
        0.35, 'Largest angle between vehicle and lane at which a lane is looked for.', unit='rad',
        low=0.05, high=1.0,
    )  # fmt: skip
    min_line_m: float = option(
        3.0, 'Painted length, in one image, below which a line does not count as seen.', unit='m',
        low=0.01, high=50.0,
    )  # fmt: skip
    min_reach_m: float = option(
        4.0, 'A path that ends nearer than this from its start is not valid.', unit='m',
        low=0.1, high=50.0,
    )  # fmt: skip
    max_residual_m: float = option(
        0.2, 'RMS distance of the paint from the fitted lines above which the fit is refused.',
        unit='m', low=0.001, high=2.0,
    )  # fmt: skip
    max_offset_std_m: float = option(
        0.35, 'Standard deviation of the path, across it and where it begins to count '
        '(vehicle.front_m + min_reach_m), above which the track is not valid.',
        unit='m', low=0.01, high=5.0,
    )  # fmt: skip
    confirm_frames: int = option(
        3, 'Images in a row that must agree before a new lane is valid.', low=1, high=100
    )
    max_coast_s: float = option(
        0.8, 'How long a track stays valid on prediction alone, without any marking.', unit='s',
        low=0.0, high=10.0,
    )  # fmt: skip
    stale_after_s: float = option(
        0.5, 'Age by image stamp above which a track is not valid any more.', unit='s',
        low=0.01, high=60.0,
    )  # fmt: skip
    lane_change_mps: float = option(
        2.0, 'How fast the path moves over to the new lane when the vehicle changes lanes.',
        unit='m/s', low=0.05, high=20.0,
    )  # fmt: skip
    pitch_per_m: float = option(
        0.004, 'Expected pitch error of the camera (rad) over its height (m), from slopes and '
        'braking; 0 trusts the calibration.', unit='rad/m', low=0.0, high=1.0,
    )  # fmt: skip
    max_mount_error_rad: float = option(
        0.014, 'How far the pitch by which the painted lines meet may be from that of the '
        'mounting, for some seconds, before the track is not valid and says what to set; up to '
        'there the fit takes the error out. 0 does not look.',
        unit='rad', low=0.0, high=0.5,
    )  # fmt: skip
    frame: str = option(
        '',
        'Frame of the paths of the lane, such as odom, reached through TF at the stamp of the '
        'image; while there is no such transform there is no valid lane. Empty is base_frame.',
    )
    departure_s: float = option(
        0.0, 'lane_track/departure is true when the front will be over a line within this time; '
        '0: there is no such topic.', unit='s', low=0.0, high=10.0,
    )  # fmt: skip
    corridor: bool = option(
        True,
        'The edges of the drivable ground count, too: as the other side of a lane with a single '
        'line, and where there is no line its middle is followed.',
    )
    corridor_min_m: float = option(1.5, 'Narrowest corridor.', unit='m', low=0.05, high=50.0)
    corridor_max_m: float = option(
        5.0, 'Widest corridor; on a wider one its middle is nobody\'s lane.', unit='m',
        low=0.05, high=50.0,
    )  # fmt: skip

    def __post_init__(self) -> None:
        if not self.width_min_m <= self.width_expected_m <= self.width_max_m:
            raise ConfigurationError(
                f'lane.width_expected_m is {self.width_expected_m} m, outside of '
                f'lane.width_min_m {self.width_min_m} m to lane.width_max_m {self.width_max_m} m. '
                'Put the expected width between the narrowest and the widest.'
            )
        if not self.corridor_min_m <= self.corridor_max_m:
            raise ConfigurationError(
                f'lane.corridor_min_m is {self.corridor_min_m} m, above lane.corridor_max_m '
                f'{self.corridor_max_m} m. Exchange them.'
            )

    def check_front(self, front_m: float) -> None:
        """Checks that a path that starts at the bumper can be long enough.

        Raises:
            ConfigurationError: It cannot, with what would be right.
        """
        if self.look_ahead_m <= front_m + self.min_reach_m:
            raise ConfigurationError(
                f'lane.look_ahead_m is {self.look_ahead_m} m; it must be beyond vehicle.front_m '
                f'{front_m} m plus lane.min_reach_m {self.min_reach_m} m.'
            )

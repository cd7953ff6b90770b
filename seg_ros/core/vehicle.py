# SPDX-License-Identifier: Apache-2.0
"""Vehicle: what it measures and can do, the group ``vehicle`` of the node's parameters."""

from __future__ import annotations

from dataclasses import dataclass

from seg_ros.core.parameters.option import option

__all__ = ['CAR', 'VehicleConfig']


@dataclass(frozen=True)
class VehicleConfig:
    """What the stop and the lane must know of the vehicle."""

    front_m: float = option(
        3.6,
        'From the base origin to the front bumper: the stopping distance counts from there, and '
        'there the path of the lane starts.',
        unit='m',
        low=0.0,
        high=20.0,
    )
    half_width_m: float = option(
        0.95,
        'Half the width of the vehicle, for lane_track/departure and for who stands in the middle '
        'of a way that is a guess.',
        unit='m',
        low=0.01,
        high=5.0,
    )
    # 130 km/h, the limit on most motorways, and a tenth more
    max_speed_mps: float = option(
        40.0,
        'Largest speed, forward or backward: odometry that says more is a stop.',
        unit='m/s',
        low=0.1,
        high=100.0,
    )
    # A turning circle of 5 m radius at the limit of the tyres: sqrt(10 m/s^2 / 5 m) = 1.4
    max_yaw_rate_rps: float = option(
        1.5,
        'Largest yaw rate: odometry that says more, such as one in degrees, is a stop.',
        unit='rad/s',
        low=0.01,
        high=20.0,
    )
    # Tyres on dry road grip with about their weight, 10 m/s^2, and a fifth more
    max_acceleration_mps2: float = option(
        12.0,
        'Largest acceleration along the way, braking included, and across it (speed times yaw '
        'rate): odometry that jumps further, or turns faster at its speed, is a stop.',
        unit='m/s^2',
        low=0.1,
        high=100.0,
    )


CAR = VehicleConfig()
"""A passenger car with its base at the rear axle."""

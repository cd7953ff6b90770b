"""Vehicle dimensions: the group ``vehicle`` of the node's parameters."""

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


CAR = VehicleConfig()
"""A passenger car with its base at the rear axle."""

# SPDX-License-Identifier: Apache-2.0
"""Parameters of the mounting: where the cameras are on the vehicle, the group ``mount``."""

from __future__ import annotations

from dataclasses import dataclass, fields

from seg_ros.core.errors import ConfigurationError
from seg_ros.core.geometry.camera import Mount
from seg_ros.core.parameters.option import option

__all__ = ['MountConfig']

TURN_RAD = 3.15  # half a turn, written with two digits
LIMITS = (
    ('z', 0.0, float('inf'), 'It is the height of the lens above the ground; 0 is unknown.'),
    ('roll', -TURN_RAD, TURN_RAD, 'It is in radians, no more than 3.14 to either side.'),
    ('pitch', -1.58, 1.58, 'It is in radians, no more than 1.57 up (negative) or down.'),
    ('yaw', -TURN_RAD, TURN_RAD, 'It is in radians, no more than 3.14 to either side.'),
)
"""What a number of the mounting may be, and how it is meant."""


@dataclass(frozen=True)
class MountConfig:
    """One number for all cameras, or one per camera in the order of camera_names."""

    source: str = option(
        'auto',
        'Where the mounting comes from: tf, parameters, or auto, which takes tf where tf2_ros is '
        'installed and mount.z is 0.',
        choices=('auto', 'tf', 'parameters'),
    )
    tf_timeout_s: float = option(
        1.0, 'Age above which a moving transform counts as lost.', unit='s', low=0.01, high=60.0
    )
    x: tuple[float, ...] = option((0.0,), 'Camera forward of the base frame.', unit='m')
    y: tuple[float, ...] = option((0.0,), 'Camera left of the base frame.', unit='m')
    z: tuple[float, ...] = option(
        (0.0,), 'Lens above the ground; 0 is unknown, and there is no geometry.', unit='m'
    )
    roll: tuple[float, ...] = option((0.0,), 'Rotation about the forward axis.', unit='rad')
    pitch: tuple[float, ...] = option(
        (0.0,), 'Rotation about the left axis, positive looks down.', unit='rad'
    )
    yaw: tuple[float, ...] = option(
        (0.0,), 'Rotation about the upward axis, positive looks left.', unit='rad'
    )

    def check_cameras(self, count: int) -> None:
        """Checks that the numbers are for this many cameras.

        Raises:
            ConfigurationError: With what came and what would be right.
        """
        for row in fields(self):
            values = getattr(self, row.name)
            if isinstance(values, tuple) and len(values) not in (1, count):
                raise ConfigurationError(
                    f'mount.{row.name} has {len(values)} numbers for {count} cameras. Give one '
                    'for all, or one per camera in the order of camera_names.'
                )
        self._check_numbers()

    def _check_numbers(self) -> None:
        """Refuses what stands for nothing, instead of taking it for another angle or none."""
        for name, least, most, words in LIMITS:
            values = getattr(self, name)
            if not all(least <= value <= most for value in values):
                raise ConfigurationError(f'mount.{name} is {list(values)}. {words}')

    def mount(self, index: int) -> Mount | None:
        """Returns the mounting of a camera, None while its height is unknown."""
        values = {
            name: float(getattr(self, name)[min(index, len(getattr(self, name)) - 1)])
            for name in ('x', 'y', 'z', 'roll', 'pitch', 'yaw')
        }
        return Mount(**values) if values['z'] > 0.0 else None

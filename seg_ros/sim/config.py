# SPDX-License-Identifier: Apache-2.0
"""What kind of drive is wanted: one frozen record, and a table of named ones."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from seg_ros.core.errors import ConfigurationError
from seg_ros.core.geometry.camera import Mount

__all__ = [
    'SCENARIOS',
    'SURROUNDINGS',
    'WEATHERS',
    'WHO',
    'CrossingEvent',
    'SceneConfig',
    'random_scene',
]

WEATHERS = ('sunny', 'overcast', 'dusk', 'night', 'rain', 'fog')
SURROUNDINGS = ('city', 'suburb', 'country')
WHO = ('adult', 'child', 'wheelchair', 'pushchair', 'lying')
DEFAULT_MOUNT = Mount(x=1.6, z=1.45, pitch=0.06)  # behind the windscreen of a car


@dataclass(frozen=True)
class CrossingEvent:
    """A person who walks across the road, whatever the vehicle does.

    Attributes:
        at_m: Where along the road, from the start of the drive.
        trigger_distance_m: The person leaves the kerb when the base origin is this near.
        speed_mps: Walking speed.
        from_left: From which pavement the person comes.
        stops_in_lane_s: How long the person stands still in the middle of the vehicle's lane.
        who: One of ``WHO``. Who lies does so in the middle of the vehicle's lane from when others
            leave the kerb, for ``stops_in_lane_s``, and then gets up and walks on.
    """

    at_m: float
    trigger_distance_m: float = 30.0
    speed_mps: float = 1.4
    from_left: bool = False
    stops_in_lane_s: float = 0.0
    who: str = 'adult'


@dataclass(frozen=True)
class SceneConfig:
    """Everything that decides what a drive looks like.

    Attributes:
        seed: The same seed gives the same drive, byte for byte.
        size_wh: Image size in pixels.
        rate_hz: Frames per second of a ``SimDrive``.
        weather: One of ``WEATHERS``.
        wet: Wet road and rain in any weather; ``rain`` is wet by itself.
        surroundings: One of ``SURROUNDINGS``.
        lanes_per_direction: One or two or more; traffic keeps right.
        lane_width_m: Between the middles of the two lines of a lane.
        max_curvature_per_m: Of the tightest bend; 0.02 is a radius of 50 m.
        straight: No bends at all.
        car_density: Moving and parked cars; 0 none, 1 usual.
        people_density: People on foot; 0 none, 1 usual.
        cyclist_density: Cyclists; 0 none, 1 usual.
        crossings_per_km: Zebra crossings, at places drawn from the seed.
        crossings_at_m: More zebra crossings, at these places.
        crossing_events: People who cross whatever comes.
        barrier_share: Of the sides of the road that have a guard rail or a concrete barrier.
        mount: Camera body in the base frame.
        horizontal_fov_deg: Of the camera.
        speed_mps: What the built-in driver drives on a free road.
        lane_wander_m: How far the built-in driver strays from the middle of the lane.
        stop_for_people: The built-in driver brakes for people in front. It stops for cars always.

    Raises:
        ConfigurationError: On construction, for a value that cannot be drawn or driven.
    """

    seed: int = 1
    size_wh: tuple[int, int] = (640, 360)
    rate_hz: float = 20.0
    weather: str = 'sunny'
    wet: bool = False
    surroundings: str = 'city'
    lanes_per_direction: int = 1
    lane_width_m: float = 3.5
    max_curvature_per_m: float = 0.012
    straight: bool = False
    car_density: float = 1.0
    people_density: float = 1.0
    cyclist_density: float = 1.0
    crossings_per_km: float = 6.0
    crossings_at_m: tuple[float, ...] = ()
    crossing_events: tuple[CrossingEvent, ...] = ()
    barrier_share: float = 0.0
    mount: Mount = DEFAULT_MOUNT
    horizontal_fov_deg: float = 62.0
    speed_mps: float = 8.0
    lane_wander_m: float = 0.1
    stop_for_people: bool = True

    def __post_init__(self) -> None:
        _check_choice('weather', self.weather, WEATHERS)
        _check_choice('surroundings', self.surroundings, SURROUNDINGS)
        for event in self.crossing_events:
            _check_choice('who', event.who, WHO)
        width, height = self.size_wh
        if width < 32 or height < 32:
            msg = f'An image of at least 32x32 is needed, size_wh {self.size_wh} was asked for.'
            raise ConfigurationError(msg)
        _check_range('seed', self.seed, 0, 2**63)
        _check_range('rate_hz', self.rate_hz, 0.1, 1000.0)
        _check_range('lanes_per_direction', self.lanes_per_direction, 1, 4)
        _check_range('lane_width_m', self.lane_width_m, 2.2, 6.0)
        _check_range('max_curvature_per_m', self.max_curvature_per_m, 0.0, 0.025)
        _check_range('horizontal_fov_deg', self.horizontal_fov_deg, 20.0, 130.0)
        _check_range('speed_mps', self.speed_mps, 0.0, 40.0)
        _check_range('lane_wander_m', self.lane_wander_m, 0.0, 1.0)
        _check_range('mount.z', self.mount.z, 0.3, 5.0)
        _check_range('mount.pitch', self.mount.pitch, -0.3, 0.7)
        _check_range('mount.roll', self.mount.roll, -0.3, 0.3)
        for name in ('car_density', 'people_density', 'cyclist_density'):
            _check_range(name, float(getattr(self, name)), 0.0, 5.0)
        _check_range('barrier_share', self.barrier_share, 0.0, 1.0)
        _check_range('crossings_per_km', self.crossings_per_km, 0.0, 20.0)


def random_scene(seed: int, size_wh: tuple[int, int] = (640, 360)) -> SceneConfig:
    """A scene drawn at random, for training data that covers what the package can show."""
    generator = np.random.default_rng([seed, 8721])
    surroundings = str(generator.choice(SURROUNDINGS, p=[0.5, 0.25, 0.25]))
    weather = str(generator.choice(WEATHERS, p=[0.32, 0.26, 0.12, 0.1, 0.1, 0.1]))
    return SceneConfig(
        seed=seed,
        size_wh=size_wh,
        weather=weather,
        wet=bool(generator.random() < 0.15),
        surroundings=surroundings,
        lanes_per_direction=int(generator.choice([1, 2], p=[0.7, 0.3])),
        lane_width_m=float(generator.uniform(2.9, 3.8)),
        max_curvature_per_m=float(generator.uniform(0.002, 0.02)),
        straight=bool(generator.random() < 0.1),
        car_density=float(generator.uniform(0.0, 1.8)),
        people_density=float(generator.uniform(0.3, 3.0)),
        cyclist_density=float(generator.uniform(0.2, 3.0)),
        crossings_per_km=float(generator.uniform(2.0, 14.0)),
        mount=Mount(
            x=float(generator.uniform(0.0, 2.4)),
            y=float(generator.uniform(-0.4, 0.4)),
            z=float(generator.uniform(0.7, 2.3)),
            roll=float(generator.normal(0.0, 0.012)),
            pitch=float(generator.uniform(-0.01, 0.16)),
            yaw=float(generator.normal(0.0, 0.04)),
        ),
        horizontal_fov_deg=float(generator.uniform(45.0, 95.0)),
        speed_mps=float(generator.uniform(5.0, 13.0)),
        lane_wander_m=float(generator.uniform(0.0, 0.5)),
    )


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        msg = f'{name} {value!r} is not known. Use one of {", ".join(choices)}.'
        raise ConfigurationError(msg)


def _check_range(name: str, value: float, low: float, high: float) -> None:
    if not (math.isfinite(value) and low <= value <= high):
        msg = f'{name} must be between {low} and {high}, {value} was asked for.'
        raise ConfigurationError(msg)


_CITY = SceneConfig()

SCENARIOS: Mapping[str, SceneConfig] = {
    'city': _CITY,
    'avenue': replace(_CITY, lanes_per_direction=2, lane_width_m=3.25, speed_mps=11.0, seed=2),
    'busy': replace(_CITY, people_density=2.5, car_density=1.4, crossings_per_km=12.0, seed=3),
    'suburb': replace(_CITY, surroundings='suburb', weather='overcast', seed=4),
    'country': replace(
        _CITY, surroundings='country', max_curvature_per_m=0.015, speed_mps=12.0, seed=5
    ),
    'dusk': replace(_CITY, weather='dusk', seed=6),
    'night': replace(_CITY, weather='night', seed=7),
    'night_rain': replace(_CITY, weather='night', wet=True, seed=8),
    'rain': replace(_CITY, weather='rain', seed=9),
    'fog': replace(_CITY, surroundings='suburb', weather='fog', seed=10),
    'empty': replace(
        _CITY,
        car_density=0.0,
        people_density=0.0,
        cyclist_density=0.0,
        weather='overcast',
        seed=11,
    ),
    'straight': replace(_CITY, straight=True, lane_wander_m=0.0, seed=12),
    'crossing': replace(
        _CITY,
        people_density=0.5,
        car_density=0.5,
        crossings_per_km=0.0,
        crossings_at_m=tuple(float(at_m) for at_m in range(60, 2000, 120)),
        crossing_events=tuple(
            CrossingEvent(at_m=float(at_m), trigger_distance_m=34.0, from_left=bool(i % 2))
            for i, at_m in enumerate(range(60, 2000, 120))
        ),
        seed=13,
    ),
}

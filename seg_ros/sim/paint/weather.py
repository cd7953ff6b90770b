# SPDX-License-Identifier: Apache-2.0
"""Light and air: what a weather and its lamps do to every colour in the picture."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seg_ros.sim.config import SceneConfig
from seg_ros.sim.scenery import LAMP_PHASES, LAMP_SPACING_M

__all__ = [
    'HEADLIGHT_COLOUR',
    'LAMP_COLOUR',
    'LAMP_OVERHANG_M',
    'Light',
    'headlight_at',
    'headlights',
    'lamp_share',
    'lamp_share_at',
    'lamp_strength',
    'light_for',
]

LAMP_COLOUR = (1.0, 0.80, 0.52)
HEADLIGHT_COLOUR = (1.0, 0.97, 0.90)
HEADLIGHT_AT_M = 3.5  # in front of the base origin
HEADLIGHT_Y_M = (-0.65, 0.65)
HEADLIGHT_STRENGTH = 0.7
LAMP_REACH_M = 7.5
LAMP_OVERHANG_M = 1.3  # over the road, from the pole

Float64Array = NDArray[np.float64]
Rgb = tuple[float, float, float]


@dataclass(frozen=True)
class Light:
    """Colours are 0 to 255, factors multiply the colour of a surface.

    Attributes:
        ambient: Factor of the light from the whole sky.
        sun: Factor of the direct light on a surface that faces it; zero without sun.
        sun_elevation_rad: Above the horizon.
        sun_azimuth_rad: In the world frame.
        haze: Colour of the air far away.
        haze_m: Distance at which haze hides 63 % of the contrast.
        sky_top: Colour of the sky overhead.
        sky_bottom: Colour of the sky at the horizon.
        clouds: How much of the sky they cover, 0 to 1.
        lamps_lit: Head lamps and some windows are on.
        street_lamps: Street lamps are on, where there are any.
        wet: The road mirrors.
        rain: Strength of rain in the air, 0 to 1.
        contact_shade: How dark it is under cars, 0 to 1.
        noise: Standard deviation of the camera's noise.
    """

    ambient: Rgb
    sun: Rgb
    sun_elevation_rad: float
    sun_azimuth_rad: float
    haze: Rgb
    haze_m: float
    sky_top: Rgb
    sky_bottom: Rgb
    clouds: float
    lamps_lit: bool
    street_lamps: bool
    wet: bool
    rain: float
    contact_shade: float
    noise: float

    @property
    def has_sun(self) -> bool:
        return max(self.sun) > 0.0

    @property
    def towards_sun(self) -> NDArray[np.float64]:
        """Unit vector, world frame."""
        horizontal = math.cos(self.sun_elevation_rad)
        return np.array(
            [
                horizontal * math.cos(self.sun_azimuth_rad),
                horizontal * math.sin(self.sun_azimuth_rad),
                math.sin(self.sun_elevation_rad),
            ]
        )

    def clearness(self, distance_m: float) -> float:
        """Share of a colour that comes through the air, 0 to 1."""
        return math.exp(-distance_m / self.haze_m)


@dataclass(frozen=True)
class _Weather:
    ambient: Rgb
    sun: Rgb
    elevation_deg: tuple[float, float]
    haze: Rgb
    haze_m: float
    sky_top: Rgb
    sky_bottom: Rgb
    clouds: tuple[float, float]
    lamps_lit: bool = False
    rain: float = 0.0
    contact_shade: float = 0.5
    noise: float = 2.0


_WEATHERS: Mapping[str, _Weather] = {
    'sunny': _Weather(
        ambient=(0.52, 0.56, 0.64),
        sun=(0.68, 0.63, 0.53),
        elevation_deg=(32.0, 58.0),
        haze=(196, 210, 226),
        haze_m=650.0,
        sky_top=(84, 138, 205),
        sky_bottom=(188, 212, 234),
        clouds=(0.1, 0.5),
        noise=1.5,
    ),
    'overcast': _Weather(
        ambient=(0.86, 0.88, 0.90),
        sun=(0.0, 0.0, 0.0),
        elevation_deg=(45.0, 45.0),
        haze=(196, 201, 206),
        haze_m=380.0,
        sky_top=(168, 175, 184),
        sky_bottom=(208, 212, 216),
        clouds=(0.9, 1.0),
        contact_shade=0.6,
    ),
    'dusk': _Weather(
        ambient=(0.44, 0.40, 0.46),
        sun=(0.42, 0.25, 0.10),
        elevation_deg=(7.0, 13.0),
        haze=(206, 152, 122),
        haze_m=420.0,
        sky_top=(72, 80, 122),
        sky_bottom=(238, 168, 112),
        clouds=(0.3, 0.6),
        lamps_lit=True,
        noise=3.0,
    ),
    'night': _Weather(
        ambient=(0.15, 0.155, 0.20),
        sun=(0.0, 0.0, 0.0),
        elevation_deg=(45.0, 45.0),
        haze=(24, 25, 34),
        haze_m=320.0,
        sky_top=(10, 12, 22),
        sky_bottom=(38, 36, 44),
        clouds=(0.2, 0.8),
        lamps_lit=True,
        contact_shade=0.4,
        noise=5.0,
    ),
    'rain': _Weather(
        ambient=(0.64, 0.66, 0.70),
        sun=(0.0, 0.0, 0.0),
        elevation_deg=(45.0, 45.0),
        haze=(160, 166, 173),
        haze_m=190.0,
        sky_top=(132, 139, 148),
        sky_bottom=(170, 176, 183),
        clouds=(1.0, 1.0),
        rain=1.0,
        contact_shade=0.4,
        noise=2.5,
    ),
    'fog': _Weather(
        ambient=(0.80, 0.81, 0.83),
        sun=(0.0, 0.0, 0.0),
        elevation_deg=(45.0, 45.0),
        haze=(200, 203, 206),
        haze_m=48.0,
        sky_top=(196, 199, 203),
        sky_bottom=(204, 207, 210),
        clouds=(0.0, 0.0),
        contact_shade=0.4,
        noise=2.0,
    ),
}


def light_for(config: SceneConfig) -> Light:
    """The light of a drive; sun and clouds are drawn from the seed."""
    weather = _WEATHERS[config.weather]
    generator = np.random.default_rng([config.seed, 5])
    wet = config.wet or weather.rain > 0.0
    return Light(
        ambient=weather.ambient,
        sun=weather.sun,
        sun_elevation_rad=math.radians(float(generator.uniform(*weather.elevation_deg))),
        sun_azimuth_rad=float(generator.uniform(-math.pi, math.pi)),
        haze=weather.haze,
        haze_m=weather.haze_m * (0.6 if wet and weather.rain == 0.0 else 1.0),
        sky_top=weather.sky_top,
        sky_bottom=weather.sky_bottom,
        clouds=float(generator.uniform(*weather.clouds)),
        lamps_lit=weather.lamps_lit,
        street_lamps=weather.lamps_lit and config.surroundings != 'country',
        wet=wet,
        rain=max(weather.rain, 0.8 if config.wet else 0.0),
        contact_shade=weather.contact_shade,
        noise=weather.noise,
    )


def headlights(x_m: Float64Array, y_m: Float64Array) -> Float64Array:
    """Factor that the vehicle's own low beams add, by base frame coordinates."""
    ahead = x_m - HEADLIGHT_AT_M
    total = np.zeros_like(ahead)
    for lamp_y in HEADLIGHT_Y_M:
        side = y_m - lamp_y
        distance = np.hypot(np.maximum(ahead, 0.0), side) + 0.5
        bearing = np.arctan2(side, np.maximum(ahead, 0.01))
        beam = np.exp(-((bearing / 0.42) ** 2)) + 0.12 * np.exp(-((bearing / 0.9) ** 2))
        fall = np.clip(1.2 - distance / 75.0, 0.0, 1.0) / (1.0 + (distance / 15.0) ** 2)
        total = total + np.where(ahead > 0.0, beam * fall, 0.0)
    return np.asarray(HEADLIGHT_STRENGTH * total)


def headlight_at(x_m: float, y_m: float) -> float:
    """``headlights`` of one point, without the cost of arrays."""
    ahead = x_m - HEADLIGHT_AT_M
    if ahead <= 0.0:
        return 0.0
    total = 0.0
    for lamp_y in HEADLIGHT_Y_M:
        side = y_m - lamp_y
        distance = math.hypot(ahead, side) + 0.5
        bearing = math.atan2(side, max(ahead, 0.01))
        beam = math.exp(-((bearing / 0.42) ** 2)) + 0.12 * math.exp(-((bearing / 0.9) ** 2))
        fall = min(max(1.2 - distance / 75.0, 0.0), 1.0) / (1.0 + (distance / 15.0) ** 2)
        total += beam * fall
    return HEADLIGHT_STRENGTH * total


def lamp_share(s_m: Float64Array, d_m: Float64Array, lamp_d_m: float) -> Float64Array:
    """Light of the street lamps on both sides, which repeat along the road; 1 below a lamp."""
    total = np.zeros(np.broadcast(s_m, d_m).shape)
    for sign, at in LAMP_PHASES:
        turns = s_m / LAMP_SPACING_M - at
        along = (turns - np.rint(turns)) * LAMP_SPACING_M
        across = d_m - sign * (lamp_d_m - LAMP_OVERHANG_M)
        square = (along**2 + across**2) / LAMP_REACH_M**2
        total = total + 1.0 / (1.0 + square) ** 2
    return np.asarray(total)


def lamp_share_at(s_m: float, d_m: float, lamp_d_m: float) -> float:
    """``lamp_share`` of one point, without the cost of arrays."""
    total = 0.0
    for sign, at in LAMP_PHASES:
        turns = s_m / LAMP_SPACING_M - at
        along = (turns - round(turns)) * LAMP_SPACING_M
        across = d_m - sign * (lamp_d_m - LAMP_OVERHANG_M)
        total += 1.0 / (1.0 + (along**2 + across**2) / LAMP_REACH_M**2) ** 2
    return total


def lamp_strength(light: Light) -> float:
    """How much the street lamps matter against the daylight that is left."""
    if not light.street_lamps:
        return 0.0
    return 0.12 if light.has_sun else 0.5

"""Light and air: what a weather does to every colour in the picture."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seg_ros.sim.config import SceneConfig

__all__ = ['Light', 'light_for']

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

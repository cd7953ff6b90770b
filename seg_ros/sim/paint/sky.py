# SPDX-License-Identifier: Apache-2.0
"""The sky and the horizon: one picture all around the vehicle, read by bearing and elevation."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from seg_ros.core.geometry.camera import Camera
from seg_ros.sim import classes
from seg_ros.sim.config import SceneConfig
from seg_ros.sim.paint.textures import noise
from seg_ros.sim.paint.weather import Light

__all__ = ['Sky']

TEXELS_PER_PIXEL = 0.8
LOWEST_RAD = -0.03
HIGHEST_RAD = 0.95

FloatImage = NDArray[np.float32]


class Sky:
    """Fills the rows of the image that are not ground."""

    def __init__(self, config: SceneConfig, camera: Camera, light: Light) -> None:
        width, height = config.size_wh
        columns, rows = np.meshgrid(np.arange(width), np.arange(height))
        pixels = np.column_stack([columns.reshape(-1), rows.reshape(-1)])
        rays = camera.rays(pixels).reshape(height, width, 3)
        elevation = np.arcsin(np.clip(rays[..., 2], -1.0, 1.0))
        azimuth = np.arctan2(rays[..., 1], rays[..., 0])
        seen = (rays[..., 2] > 0.0).any(axis=1)
        self.rows = int(np.flatnonzero(seen)[-1]) + 1 if seen.any() else 0
        per_rad = TEXELS_PER_PIXEL * float(camera.intrinsics.k[0, 0])
        self._per_rad = per_rad
        self._azimuth = (azimuth[: self.rows] * per_rad).astype(np.float32)
        top = round((HIGHEST_RAD - LOWEST_RAD) * per_rad)
        self._map_y = ((HIGHEST_RAD - elevation[: self.rows]) * per_rad).astype(np.float32)
        self._map_y = np.clip(self._map_y, 0, top - 1)
        self._picture, self._codes = _panorama(config, light, top, per_rad)
        self._turn = round(2 * math.pi * per_rad)

    def paint(self, image: NDArray[np.uint8], codes: NDArray[np.uint8], yaw_rad: float) -> None:
        """Writes the rows above the lowest one with sky in it."""
        if not self.rows:
            return
        map_x = np.mod(self._azimuth + np.float32(yaw_rad * self._per_rad), np.float32(self._turn))
        cv2.remap(
            self._picture,
            map_x,
            self._map_y,
            cv2.INTER_LINEAR,
            image[: self.rows],
            cv2.BORDER_REPLICATE,
        )
        cv2.remap(
            self._codes,
            map_x,
            self._map_y,
            cv2.INTER_NEAREST,
            codes[: self.rows],
            cv2.BORDER_REPLICATE,
        )


def _panorama(
    config: SceneConfig, light: Light, rows: int, per_rad: float
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    generator = np.random.default_rng([config.seed, 91])
    columns = round(2 * math.pi * per_rad)
    elevation = np.asarray(HIGHEST_RAD - np.arange(rows)[:, None] / per_rad, dtype=np.float32)
    azimuth = np.asarray(np.arange(columns)[None, :] / per_rad, dtype=np.float32)
    part = np.clip(elevation / 0.6, 0.0, 1.0) ** 0.6
    top = np.array(light.sky_top, dtype=np.float32)
    bottom = np.array(light.sky_bottom, dtype=np.float32)
    sky: FloatImage = np.empty((rows, columns, 3), dtype=np.float32)
    sky[:] = bottom + (top - bottom) * part[..., None]
    if light.has_sun:
        _add_sun(sky, elevation, azimuth, light)
    _add_clouds(sky, elevation, light, generator)
    codes: NDArray[np.uint8] = np.full((rows, columns), classes.SKY, dtype=np.uint8)
    _add_horizon(sky, codes, elevation, config, light, generator)
    # One more column, so that reading between the last and the first needs no wrapping.
    sky = np.concatenate([sky, sky[:, :1]], axis=1)
    codes = np.concatenate([codes, codes[:, :1]], axis=1)
    return np.clip(sky, 0, 255).astype(np.uint8), codes


def _add_sun(sky: FloatImage, elevation: FloatImage, azimuth: FloatImage, light: Light) -> None:
    across = np.angle(np.exp(1j * (azimuth - light.sun_azimuth_rad))).astype(np.float32)
    distance = np.hypot(across * np.cos(elevation), elevation - light.sun_elevation_rad)
    glow = np.exp(-distance / 0.16)[..., None] * np.array([90.0, 80.0, 56.0], dtype=np.float32)
    sky += glow
    sky += (distance < 0.016)[..., None] * np.float32(120.0)


def _add_clouds(
    sky: FloatImage, elevation: FloatImage, light: Light, generator: np.random.Generator
) -> None:
    if light.clouds <= 0.0:
        return
    shape = sky.shape[0], sky.shape[1]
    total = np.zeros(shape, dtype=np.float32)
    for cells, share in ((5, 1.0), (11, 0.6), (26, 0.4), (60, 0.25), (120, 0.15)):
        total += share * noise(shape, (cells, cells * 3), generator)
    # Clouds lie flat: towards the horizon they are seen from the side.
    cover = np.clip((total + 2.6 * light.clouds - 1.3) * 0.8, 0.0, 1.0)
    cover *= np.clip(elevation / 0.08, 0.0, 1.0)
    body = np.clip(0.75 + 0.22 * total, 0.45, 1.05)
    white = np.array(light.sky_bottom, dtype=np.float32) * 1.06
    if light.has_sun and light.sky_bottom[2] > light.sky_bottom[0]:
        white = np.array([246.0, 247.0, 250.0], dtype=np.float32)
    cloud = body[..., None] * white
    sky += (cloud - sky) * (0.9 * cover)[..., None]


def _add_horizon(
    sky: FloatImage,
    codes: NDArray[np.uint8],
    elevation: FloatImage,
    config: SceneConfig,
    light: Light,
    generator: np.random.Generator,
) -> None:
    """Hills, a line of trees, in the city also roofs, all far away."""
    columns = sky.shape[1]
    haze = np.array(light.haze, dtype=np.float32)
    ambient = np.array(light.ambient, dtype=np.float32) + 0.5 * np.array(light.sun)
    layers = [(classes.TREE, 0.016, 0.012, 0.42, (74.0, 96.0, 66.0), 14, 120)]
    if config.surroundings == 'country':
        layers.insert(0, (classes.TREE, 0.05, 0.03, 0.68, (84.0, 104.0, 88.0), 5, 9))
    else:
        layers.insert(0, (classes.BUILDING, 0.03, 0.02, 0.6, (128.0, 118.0, 112.0), 0, 90))
    for code, mean, spread, air, colour, broad, fine in layers:
        ragged = noise((1, columns), (1, fine), generator)[0]
        if broad:
            height = mean + spread * noise((1, columns), (1, broad), generator)[0]
            height += 0.15 * spread * ragged
        else:
            steps = generator.uniform(0.4, 2.2, fine)
            height = mean * steps[np.arange(columns) * fine // columns]
        below = elevation < np.maximum(height, 0.004)[None, :]
        clear = (1.0 - air) * min(1.0, light.haze_m / 400.0)
        lit = np.minimum(np.array(colour, dtype=np.float32) * ambient, 255.0)
        sky[below] = lit * clear + haze * (1.0 - clear)
        codes[below] = code

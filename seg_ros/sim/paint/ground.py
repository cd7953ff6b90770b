# SPDX-License-Identifier: Apache-2.0
"""The ground: every pixel below the horizon is looked up in road coordinates.

The camera does not move on the vehicle, so the ground point of a pixel never changes; only the
road under it does. Road coordinates are smooth over the image, so they are computed at every
sixteenth column and interpolated.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from seg_ros.core.errors import ConfigurationError
from seg_ros.core.geometry.camera import Camera
from seg_ros.sim import classes
from seg_ros.sim.config import SceneConfig
from seg_ros.sim.ground_points import Float32Image, column_nodes, interpolation, within_reach
from seg_ros.sim.paint.canvas import Canvas
from seg_ros.sim.paint.textures import (
    STRIP_HALF_WIDTH_M,
    STRIP_LENGTH_M,
    STRIP_STEP_M,
    noise,
    road_strip_level,
)
from seg_ros.sim.paint.weather import (
    HEADLIGHT_COLOUR,
    LAMP_COLOUR,
    Light,
    headlights,
    lamp_share,
    lamp_strength,
)
from seg_ros.sim.profile import (
    CENTRE,
    DASHED,
    SOLID,
    TABLE_HALF_WIDTH_M,
    TABLE_STEP_M,
    RoadProfile,
)
from seg_ros.sim.road import Road
from seg_ros.sim.scenery import Scenery
from seg_ros.sim.vehicle import VehicleState

__all__ = ['Ground']

FAR_M = 450.0
LEAST_ROWS = 4
COLUMN_STEP = 16
DASH_STEP_M = 0.02
DASH_BEHIND_M = 20.0
DASH_AHEAD_M = 260.0  # a dash farther away is thinner than a pixel
SOLID_BEFORE_CROSSING_M = 16.0
LINE_STEP_M = 0.01
LINE_HALF_WIDTH_M = 20.0
LEVELS_PER_OCTAVE = 3.0
LINE_LEVELS = 30
LINE_FINEST_M = 0.01
ZEBRA_HALF_LENGTH_M = 1.7
ZEBRA_PERIOD_M = 1.0
GROUND_FACES_SUN = 0.85
PAINT = (228.0, 228.0, 224.0)
PAINT_BRIGHTNESS = (0.84, 1.0)  # old to fresh
GRAIN_SIDE = 512
GRAIN_STEP_M = 0.01
GRAIN_REACH_M = 16.0
MAX_RIP_LEVEL = 6
STRIPS = 4  # so many roads and pavements there are
FIRST_LINE_CODE = 100  # above every class of the ground


@dataclass(frozen=True)
class _Band:
    """Rows of the image that read the strip at the same resolution."""

    rows: slice
    texture: NDArray[np.uint8]
    along: float  # texels per metre
    across: float


class Ground:
    """Paints the ground plane with its labels."""

    def __init__(
        self,
        config: SceneConfig,
        camera: Camera,
        road: Road,
        profile: RoadProfile,
        scenery: Scenery,
        light: Light,
    ) -> None:
        self._road = road
        self._profile = profile
        self._scenery = scenery
        self._light = light
        table = camera.ground_table().astype(np.float64)
        seen = np.isfinite(table[..., 0])
        seen_rows = np.flatnonzero(seen.any(axis=1))
        width = seen.shape[1]
        if seen_rows.size < LEAST_ROWS:
            msg = (
                f'A camera that sees the road is needed, only {seen_rows.size} rows of the image '
                f'are below the horizon with pitch {camera.mount.pitch} rad. Let it look further '
                'down (a positive pitch) or give it a wider view.'
            )
            raise ConfigurationError(msg)
        self.first_row = int(seen_rows[0])
        self._is_ground = seen[self.first_row :]
        self._is_complete = bool(self._is_ground.all())
        self._points = within_reach(table[self.first_row :], camera, FAR_M)
        eye = np.array([camera.mount.x, camera.mount.y])
        self.distance_m = np.hypot(*np.moveaxis(self._points - eye, -1, 0))
        nodes = column_nodes(width, COLUMN_STEP)
        self._node_points = self._points[:, nodes]
        self._spread = interpolation(nodes, width)
        self._node_gap = np.diff(nodes).astype(np.float32)
        clear = np.exp(-self.distance_m / light.haze_m).astype(np.float32)
        self._clear = _three(clear)
        self._haze = (1.0 - self._clear) * np.array(light.haze, dtype=np.float32)
        self._bands = self._make_bands(config)
        generator = np.random.default_rng([config.seed, 31])
        fresh = float(generator.uniform(*PAINT_BRIGHTNESS))
        self._paint = np.array(PAINT, dtype=np.float32) * np.float32(fresh)
        self._lamp_d_m = profile.right.asphalt_m + 0.5
        beams = headlights(self._points[..., 0], self._points[..., 1]).astype(np.float32)
        self._headlights = _three(beams) * np.array(HEADLIGHT_COLOUR, dtype=np.float32)
        self._line_table = _line_table(profile)
        self._any_line_table = np.ascontiguousarray(self._line_table.sum(axis=-1))
        self._label_table = _label_table(profile)
        self._make_grain()

    def paint(
        self,
        state: VehicleState,
        shade: NDArray[np.uint8],
        contact: NDArray[np.uint8],
        canvas: Canvas,
    ) -> None:
        """The ground from where the vehicle is now.

        Args:
            state: Of the vehicle.
            shade: ``(rows, W)``, how much of the sun is taken away, 255 all.
            contact: ``(rows, W)``, how much of all light is taken away.
            canvas: Gets image and labels.
        """
        nodes = self._node_coordinates(state)
        s, d, log_along, log_across = self._coordinates(state, *nodes)
        crossings_m = [
            at_m - state.s_m
            for at_m in self._scenery.crossings_m(state.s_m - DASH_BEHIND_M, state.s_m + FAR_M)
        ]
        painted = self._painted(state.s_m, crossings_m)
        labels = self._labels(s, d, painted)
        colour = self._surface(s + state.s_m % STRIP_LENGTH_M, d)
        lines = self._lines(s, d, log_along, log_across, painted)
        _paint_over(colour, self._paint, *lines)
        for at_m in crossings_m:
            zebra = _zebra(s, d, log_along, log_across, at_m, self._profile)
            if zebra is not None:
                _paint_over(colour, self._paint, *zebra)
        colour *= self._lighting(shade, contact, *nodes)
        colour *= self._clear
        image = cv2.add(colour, self._haze, dtype=cv2.CV_8U)
        rows = slice(self.first_row, None)
        if self._is_complete:
            canvas.image[rows] = image
            canvas.codes[rows] = labels
        else:
            np.copyto(canvas.image[rows], image, where=self._is_ground[..., None])
            np.copyto(canvas.codes[rows], labels, where=self._is_ground)

    def _node_coordinates(
        self, state: VehicleState
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """``s`` and ``d`` at every ``COLUMN_STEP``-th column."""
        cos, sin = np.cos(state.yaw_rad), np.sin(state.yaw_rad)
        x, y = self._node_points[..., 0], self._node_points[..., 1]
        return self._road.coordinates(state.x_m + cos * x - sin * y, state.y_m + sin * x + cos * y)

    def _coordinates(
        self, state: VehicleState, node_s: NDArray[np.float64], node_d: NDArray[np.float64]
    ) -> tuple[Float32Image, Float32Image, Float32Image, Float32Image]:
        """``s`` from the vehicle, ``d``, and log2 of the pixel's size along both, metres."""
        s_near = (node_s - state.s_m).astype(np.float32)
        d_near = node_d.astype(np.float32)
        return (
            s_near @ self._spread,
            d_near @ self._spread,
            np.log2(self._footprint(s_near)) @ self._spread,
            np.log2(self._footprint(d_near)) @ self._spread,
        )

    def _footprint(self, values: Float32Image) -> Float32Image:
        """How much a value changes over one pixel."""
        down = np.abs(np.diff(values, axis=0))
        down = np.concatenate([down, down[-1:]])
        right = np.abs(np.diff(values, axis=1)) / self._node_gap
        right = np.concatenate([right, right[:, -1:]], axis=1)
        return np.asarray(np.clip(np.hypot(down, right), 0.004, 60.0), dtype=np.float32)

    def _painted(self, s_m: float, crossings_m: list[float]) -> Float32Image:
        """Where along the road the lines of each kind are painted, 0 or 1.

        Returns:
            ``(count, 4)``: a row every ``DASH_STEP_M`` from ``DASH_BEHIND_M`` behind the
            vehicle, a column for each kind of line (the first means no line).
        """
        count = round((DASH_AHEAD_M + DASH_BEHIND_M) / DASH_STEP_M)
        s = (np.arange(count) + 0.5) * DASH_STEP_M + (s_m - DASH_BEHIND_M)
        period_m = self._profile.dash_m + self._profile.gap_m
        painted = np.zeros((count, 4), dtype=np.float32)
        painted[:, SOLID] = 1.0
        painted[:, DASHED] = np.mod(s, period_m) < self._profile.dash_m
        painted[:, CENTRE] = painted[:, DASHED]
        for at_m in crossings_m:
            painted[_stretch(at_m, SOLID_BEFORE_CROSSING_M), CENTRE] = 1.0
        for at_m in crossings_m:
            painted[_stretch(at_m, ZEBRA_HALF_LENGTH_M + 0.3)] = 0.0
        return painted

    def _labels(
        self, s: Float32Image, d: Float32Image, painted: Float32Image
    ) -> NDArray[np.uint8]:
        place = (d + (TABLE_HALF_WIDTH_M + 0.5 * TABLE_STEP_M)) * (1.0 / TABLE_STEP_M)
        index = np.clip(place, 0, len(self._label_table) - 1).astype(np.int32)
        labels = np.asarray(self._label_table.take(index), dtype=np.uint8)
        flat = labels.reshape(-1)
        on_line = np.flatnonzero(flat >= FIRST_LINE_CODE)
        along = (s.reshape(-1)[on_line] + DASH_BEHIND_M) * (1.0 / DASH_STEP_M)
        row = np.clip(along, 0, len(painted) - 1).astype(np.int32)
        is_painted = painted[row, flat[on_line] - FIRST_LINE_CODE] > 0.0
        flat[on_line] = np.where(is_painted, classes.LANE_MARKING, classes.ROAD)
        return labels

    def _surface(self, s: Float32Image, d: Float32Image) -> Float32Image:
        """Colour of the ground without markings, ``(rows, W, 3)``."""
        turns = s * np.float32(1.0 / STRIP_LENGTH_M)
        turns -= np.floor(turns)
        strip = np.empty((*s.shape, 3), dtype=np.uint8)
        for band in self._bands:
            map_y = turns[band.rows] * (band.along * STRIP_LENGTH_M) + 0.5
            map_x = np.clip(
                (d[band.rows] + STRIP_HALF_WIDTH_M) * band.across - 0.5,
                0.0,
                band.texture.shape[1] - 1.0,
            )
            cv2.remap(
                band.texture,
                map_x,
                map_y,
                cv2.INTER_LINEAR,
                strip[band.rows],
                cv2.BORDER_REPLICATE,
            )
        colour = strip.astype(np.float32)
        near = self._grain_rows
        map_x = _tiled(d[near] * np.float32(1.0 / GRAIN_STEP_M), GRAIN_SIDE - 1)
        map_y = _tiled(s[near] * np.float32(1.0 / GRAIN_STEP_M), GRAIN_SIDE - 1)
        grain = cv2.remap(self._grain, map_x, map_y, cv2.INTER_LINEAR)
        grain *= self._grain_weight
        grain += 1.0
        colour[near] *= _three(grain)
        return colour

    def _lines(
        self,
        s: Float32Image,
        d: Float32Image,
        log_along: Float32Image,
        log_across: Float32Image,
        painted: Float32Image,
    ) -> tuple[NDArray[np.int64], Float32Image]:
        """Pixels that the lines along the road touch, and the share of each that they cover."""
        level = log_across - np.float32(np.log2(LINE_FINEST_M))
        level *= np.float32(LEVELS_PER_OCTAVE)
        place = d + np.float32(LINE_HALF_WIDTH_M)
        place *= np.float32(1.0 / LINE_STEP_M)
        any_line = cv2.remap(self._any_line_table, place, level, cv2.INTER_LINEAR)
        near = np.flatnonzero(any_line.reshape(-1) > 0.002)
        if not near.size:
            return near, np.zeros(0, dtype=np.float32)
        across = cv2.remap(
            self._line_table,
            place.reshape(-1)[near][:, None],
            level.reshape(-1)[near][:, None],
            cv2.INTER_LINEAR,
        ).reshape(-1, 3)
        half = np.exp2(log_along.reshape(-1)[near]) * (0.5 / DASH_STEP_M)
        half = np.maximum(half, 0.5)
        middle = (s.reshape(-1)[near] + DASH_BEHIND_M) * (1.0 / DASH_STEP_M)
        last = len(painted)
        total = np.zeros((last + 1, 3))
        np.cumsum(painted[:, 1:], axis=0, dtype=np.float64, out=total[1:])
        low = np.clip(np.rint(middle - half), 0, last).astype(np.int64)
        high = np.clip(np.rint(middle + half), 0, last).astype(np.int64)
        along = (total[high] - total[low]) / np.maximum(high - low, 1)[:, None]
        share = np.minimum((along * across).sum(axis=1), 1.0)
        return near, share.astype(np.float32)

    def _lighting(
        self,
        shade: NDArray[np.uint8],
        contact: NDArray[np.uint8],
        node_s: NDArray[np.float64],
        node_d: NDArray[np.float64],
    ) -> Float32Image:
        """Factor of the ground's colour, ``(rows, W, 3)``."""
        light = self._light
        ambient = np.array(light.ambient, dtype=np.float32)
        left = 1.0 - np.arange(256, dtype=np.float32) / 255.0
        open_to_sky = _three(cv2.LUT(contact, left))
        if light.has_sun:
            sun = np.array(light.sun, dtype=np.float32) * GROUND_FACES_SUN
            table = (ambient + left[:, None] * sun).reshape(256, 1, 3)
            lighting = np.asarray(cv2.LUT(_three(shade), table), dtype=np.float32)
        else:
            lighting = np.broadcast_to(ambient, open_to_sky.shape)
        if light.lamps_lit:
            lamps = lamp_share(node_s, node_d, self._lamp_d_m).astype(np.float32) @ self._spread
            lamps *= np.float32(lamp_strength(light))
            warm = _three(lamps) * np.array(LAMP_COLOUR, dtype=np.float32)
            lighting = lighting + warm + self._headlights
        return np.asarray(lighting * open_to_sky, dtype=np.float32)

    def _make_bands(self, config: SceneConfig) -> list[_Band]:
        """Groups rows by the resolution at which they see the strip, for a road straight ahead."""
        middle = self._node_points.shape[1] // 2
        points = self._node_points[:, middle]
        along = np.abs(np.gradient(points[:, 0]))
        across = np.abs(np.diff(self._points[:, :, 1], axis=1)).mean(axis=1)
        level_along = _rip_level(along)
        level_across = _rip_level(across)
        keys = level_along * (MAX_RIP_LEVEL + 1) + level_across
        starts = np.flatnonzero(np.diff(keys, prepend=-1))
        ends = np.append(starts[1:], len(keys))
        bands = []
        for start, end in zip(starts, ends, strict=True):
            texture = road_strip_level(
                self._profile,
                country=config.surroundings == 'country',
                seed=config.seed % STRIPS,
                along=int(level_along[start]),
                across=int(level_across[start]),
            )
            bands.append(
                _Band(
                    rows=slice(int(start), int(end)),
                    texture=texture,
                    along=(texture.shape[0] - 2) / STRIP_LENGTH_M,
                    across=texture.shape[1] / (2 * STRIP_HALF_WIDTH_M),
                )
            )
        return bands

    def _make_grain(self) -> None:
        """Where the stones in the asphalt are seen, and how well."""
        self._grain = _grain()
        distance = self.distance_m.min(axis=1)
        rows = np.flatnonzero(distance < GRAIN_REACH_M)
        first = int(rows[0]) if rows.size else len(distance)
        self._grain_rows = slice(first, len(distance))
        weight = 0.1 * np.clip(1.0 - self.distance_m[first:] / GRAIN_REACH_M, 0.0, 1.0)
        self._grain_weight = weight.astype(np.float32)


@lru_cache(maxsize=1)
def _grain() -> Float32Image:
    """Stones in the asphalt."""
    generator = np.random.default_rng(77)
    shape = (GRAIN_SIDE, GRAIN_SIDE)
    grain = 0.6 * noise(shape, shape, generator)
    grain += 0.6 * noise(shape, (GRAIN_SIDE // 3, GRAIN_SIDE // 3), generator)
    return np.asarray(np.clip(grain, -2.0, 2.0), dtype=np.float32)


def _three(channel: NDArray[np.float32] | NDArray[np.uint8]) -> Float32Image:
    return np.asarray(cv2.cvtColor(channel, cv2.COLOR_GRAY2RGB))


def _stretch(at_m: float, reach_m: float) -> slice:
    first = round((at_m - reach_m + DASH_BEHIND_M) / DASH_STEP_M)
    last = round((at_m + reach_m + DASH_BEHIND_M) / DASH_STEP_M)
    return slice(max(first, 0), max(last, 0))


def _rip_level(size_m: NDArray[np.float64]) -> NDArray[np.int64]:
    level = np.round(np.log2(np.maximum(size_m, 1e-4) / STRIP_STEP_M))
    return np.clip(level, 0, MAX_RIP_LEVEL).astype(np.int64)


@lru_cache(maxsize=8)
def _label_table(profile: RoadProfile) -> NDArray[np.uint8]:
    table = profile.surface_table.copy()
    kinds = profile.line_table
    table[kinds > 0] = FIRST_LINE_CODE + kinds[kinds > 0]
    return table


@lru_cache(maxsize=8)
def _line_table(profile: RoadProfile) -> Float32Image:
    """``(levels, d, kinds)``: share of a pixel covered by lines, for a pixel of growing width."""
    count = round(2 * LINE_HALF_WIDTH_M / LINE_STEP_M) + 1
    d = np.arange(count) * LINE_STEP_M - LINE_HALF_WIDTH_M
    table = np.zeros((LINE_LEVELS, count, 3), dtype=np.float32)
    for level in range(LINE_LEVELS):
        width_m = LINE_FINEST_M * 2.0 ** (level / LEVELS_PER_OCTAVE)
        for line in profile.lines:
            inner = np.minimum(d + 0.5 * width_m, line.d_m + 0.5 * line.width_m)
            outer = np.maximum(d - 0.5 * width_m, line.d_m - 0.5 * line.width_m)
            table[level, :, line.kind - 1] += np.maximum(inner - outer, 0.0) / width_m
    return table


def _paint_over(
    colour: Float32Image, paint: Float32Image, pixels: NDArray[np.int64], share: Float32Image
) -> None:
    """Paint on the asphalt, thinner where the asphalt is dark."""
    flat = colour.reshape(-1, 3)
    under = flat[pixels]
    wear = np.clip(0.9 + 0.004 * (under[:, 1] - 112.0), 0.5, 1.0)
    flat[pixels] = under + (paint - under) * (share * wear)[:, None]


def _zebra(
    s: Float32Image,
    d: Float32Image,
    log_along: Float32Image,
    log_across: Float32Image,
    at_m: float,
    profile: RoadProfile,
) -> tuple[NDArray[np.int64], Float32Image] | None:
    """Stripes along the road in a band across it: pixels, and the share of each they cover."""
    half_m = ZEBRA_HALF_LENGTH_M
    near = np.flatnonzero((np.abs(s - np.float32(at_m)) < half_m + 6.0).reshape(-1))
    if not near.size:
        return None
    d_near = d.reshape(-1)[near]
    # Whole stripes only.
    left_m = np.floor(profile.left.asphalt_m - 0.8) + 0.5 * ZEBRA_PERIOD_M
    right_m = -np.floor(profile.right.asphalt_m - 0.3)
    inside = (d_near < left_m) & (d_near > right_m)
    near, d_near = near[inside], d_near[inside]
    along = np.exp2(log_along.reshape(-1)[near])
    across = np.exp2(log_across.reshape(-1)[near])
    offset = s.reshape(-1)[near] - np.float32(at_m)
    from_m = np.maximum(offset - 0.5 * along, -half_m)
    to_m = np.minimum(offset + 0.5 * along, half_m)
    share = np.maximum(to_m - from_m, 0.0) / along
    share *= (
        _stripes_before(d_near + 0.5 * across) - _stripes_before(d_near - 0.5 * across)
    ) / across
    return near, share.astype(np.float32)


def _tiled(values: Float32Image, period: float) -> Float32Image:
    turns = values * np.float32(1.0 / period)
    turns -= np.floor(turns)
    turns *= np.float32(period)
    return turns


def _stripes_before(d: Float32Image) -> Float32Image:
    """Total width of the stripes to the right of ``d``, up to a constant."""
    turns = d * np.float32(1.0 / ZEBRA_PERIOD_M)
    whole = np.floor(turns)
    inside = np.minimum((turns - whole) * np.float32(ZEBRA_PERIOD_M), 0.5 * ZEBRA_PERIOD_M)
    return np.asarray(whole * np.float32(0.5 * ZEBRA_PERIOD_M) + inside, dtype=np.float32)

# SPDX-License-Identifier: Apache-2.0
"""Families of blindness that no check was made for, and no limit was chosen with.

What checks do about the families that their authors knew is no forecast for the next one. These
are asked in ``evaluate --task sight`` only, and ``calibrate-engine`` never measures with them. Who
makes a check for one of them moves it to ``FAMILIES``, and writes another one here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import cv2
import numpy as np

from seg_ros.commands.evaluate.sight.blindness import (
    KIND,
    Family,
    FloatImage,
    Random,
    smooth_noise,
)

__all__ = ['KEPT']


def _without_chroma(image: FloatImage, share: float, random: Random) -> FloatImage:  # noqa: ARG001
    """A decoder that got this share of the rows; the rest of its buffer is still zero: green."""
    changed = image.copy()
    changed[int(share * len(image)) :] = (0.0, 135.0, 0.0)
    return changed


def _squashed(image: FloatImage, times: float, random: Random) -> FloatImage:  # noqa: ARG001
    """One byte a pixel read as three: the picture stands there three times, and then nothing."""
    count = int(times)
    height, width = image.shape[:2]
    grey = cv2.resize(image.mean(axis=2), (width // count, height // count))
    row = np.tile(grey, (1, count))
    changed = np.zeros_like(image)
    changed[: row.shape[0], : row.shape[1]] = row[..., None]
    return changed


def _infrared(image: FloatImage, peak: float, random: Random) -> FloatImage:  # noqa: ARG001
    """A lamp of its own at night: what is near is bleached, what is far is black."""
    height, width = image.shape[:2]
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    near = np.exp(-(((x / width - 0.5) / 0.35) ** 2) - ((y / height - 0.9) / 0.3) ** 2)
    grey = image.mean(axis=2) / 255.0
    return np.asarray((6.0 + 255.0 * peak * near * (0.5 + grey))[..., None] * np.ones(3))


def _doubled(image: FloatImage, share: float, random: Random) -> FloatImage:
    """Two pictures in one: a window mirrors what is behind the camera, or frames are blended."""
    off = int(random.uniform(0.1, 0.4) * image.shape[1])
    other = np.roll(image[:, ::-1], off, axis=1)
    return np.asarray(image * (1.0 - share) + other * share)


def _striped(image: FloatImage, deviation: float, random: Random) -> FloatImage:
    """A sensor whose columns have lost their calibration."""
    columns = random.normal(0.0, deviation, (1, image.shape[1], 1)).astype(np.float32)
    return np.asarray(image * 0.6 + 50.0 + columns)


def _overflown(image: FloatImage, gain: float, random: Random) -> FloatImage:  # noqa: ARG001
    """Values beyond the largest begin again at 0."""
    return np.asarray(np.mod(image * gain, 256.0))


def _crushed(image: FloatImage, above: float, random: Random) -> FloatImage:  # noqa: ARG001
    """All but the brightest is black."""
    least = np.quantile(image.mean(axis=2), above)
    return np.asarray((image - least) * 3.0)


def _through_a_hole(image: FloatImage, radius: float, random: Random) -> FloatImage:
    """A hood or an iris that has slipped: of the upper half a hole is left."""
    height, width = image.shape[:2]
    mask = np.zeros((height, width), np.float32)
    centre = int(random.uniform(0.3, 0.7) * width), int(random.uniform(0.2, 0.45) * height)
    cv2.circle(mask, centre, int(radius * width), 1.0, -1)
    mask = cv2.GaussianBlur(mask, (0, 0), width / 60.0)[..., None]
    return np.asarray(image * mask + 8.0 * (1.0 - mask))


def _cracked(image: FloatImage, bend_px: float, random: Random) -> FloatImage:
    """Glass that is cracked or melted: every piece of it looks elsewhere."""
    height, width = image.shape[:2]
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    bent = [np.round(smooth_noise(image, random, 9)[..., 0] * 3.0) * bend_px for _ in range(2)]
    return np.asarray(
        cv2.remap(image, x + bent[0], y + bent[1], cv2.INTER_LINEAR,
                  borderMode=cv2.BORDER_REFLECT)
    )  # fmt: skip


def _loose(image: FloatImage, degrees: float, random: Random) -> FloatImage:
    """A mount that came loose: the camera hangs on one side."""
    height, width = image.shape[:2]
    angle = degrees * float(random.choice([-1.0, 1.0]))
    turn = cv2.getRotationMatrix2D((width / 2.0, height / 2.0), angle, 1.0)
    return np.asarray(cv2.warpAffine(image, turn, (width, height), borderMode=cv2.BORDER_REFLECT))


def _solarised(image: FloatImage, above: float, random: Random) -> FloatImage:  # noqa: ARG001
    """What is brighter than a limit is inverted, as by a sign bit that is read wrong."""
    return np.asarray(np.where(image > above, 255.0 - image, image) * min(255.0 / above, 2.0))


def _smeared(image: FloatImage, length_px: float, random: Random) -> FloatImage:
    """A wiper with oil on it: what it went over is drawn out in its direction."""
    size = int(length_px) | 1
    middle, angle = size // 2, random.uniform(-1.2, 1.2)
    aside, down = round(middle * math.cos(angle)), round(middle * math.sin(angle))
    kernel = np.zeros((size, size), np.float32)
    cv2.line(kernel, (middle - aside, middle - down), (middle + aside, middle + down), 1.0)
    drawn_out = cv2.filter2D(image, -1, kernel / kernel.sum())
    mask = np.clip(2.0 * smooth_noise(image, random, 8) + 1.2, 0.0, 1.0)
    return np.asarray(image * (1.0 - mask) + mask * (0.8 * drawn_out + 0.2 * drawn_out.mean()))


def _in_shards(image: FloatImage, count: float, random: Random) -> FloatImage:
    """Glass that is broken into straight pieces, each of which looks elsewhere."""
    height, width = image.shape[:2]
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    nearest, piece = np.full((height, width), np.inf, np.float32), np.zeros(image.shape[:2], int)
    for index in range(int(count)):
        away = np.hypot(x - random.uniform(0, width), y - random.uniform(0, height))
        piece[away < nearest] = index
        nearest = np.minimum(nearest, away)
    off = (0.12 * width * random.uniform(-1.0, 1.0, (int(count), 2))).astype(np.float32)
    return np.asarray(
        cv2.remap(image, x + off[piece, 0], y + off[piece, 1], cv2.INTER_LINEAR,
                  borderMode=cv2.BORDER_REFLECT)
    )  # fmt: skip


def _in_strips(image: FloatImage, parts: float, random: Random) -> FloatImage:
    """Slices of a decoder that were put together in wrong order."""
    rows = np.array_split(np.arange(image.shape[0]), int(parts))
    order = random.permutation(len(rows))
    if (np.diff(order) == 1).all():
        order = order[::-1]
    return np.ascontiguousarray(image[np.concatenate([rows[part] for part in order])])


def _beaded(image: FloatImage, bend_px: float, random: Random) -> FloatImage:
    """Fine drops all over the glass, each of which bends the light its own way."""
    height, width = image.shape[:2]
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    bent = [smooth_noise(image, random, 70)[..., 0] * bend_px * width / 640 for _ in range(2)]
    return np.asarray(
        cv2.remap(image, x + bent[0], y + bent[1], cv2.INTER_LINEAR,
                  borderMode=cv2.BORDER_REFLECT)
    )  # fmt: skip


def _bleached_bands(image: FloatImage, share: float, random: Random) -> FloatImage:
    """Light that flickers, too much of it: this share of the rows is bleached."""
    rows = np.arange(image.shape[0]) / image.shape[0] * float(random.uniform(3.0, 8.0))
    is_lit = (rows + float(random.random())) % 1.0 < share
    return np.asarray(np.where(is_lit[:, None, None], 3.5 * image + 90.0, image))


def _exchanged(image: FloatImage, kind: float, random: Random) -> FloatImage:  # noqa: ARG001
    """An encoding that has the colours in another order. 0: BGR, 1: GBR, 2: BRG."""
    order = ([2, 1, 0], [1, 2, 0], [2, 0, 1])[int(kind)]
    return np.ascontiguousarray(image[..., order])


def _read_as_grey(image: FloatImage, kind: float, random: Random) -> FloatImage:  # noqa: ARG001
    """0: Bayer's mosaic, 1: I420 with its colours below it, 2: the same, each plane by itself."""
    height, width = image.shape[:2]
    if kind == 0.0:
        # Linear, and before any white balance
        grey = 255.0 * (image[..., 1] / 255.0) ** 1.6
        grey[::2, ::2] = 140.0 * (image[::2, ::2, 0] / 255.0) ** 1.6
        grey[1::2, 1::2] = 165.0 * (image[1::2, 1::2, 2] / 255.0) ** 1.6
    else:
        even = np.clip(image[: height // 2 * 2, : width // 2 * 2], 0.0, 255.0).astype(np.uint8)
        planes = cv2.cvtColor(even, cv2.COLOR_RGB2YUV_I420)
        if kind == 2.0:
            below = planes[even.shape[0] :].reshape(2, -1, even.shape[1] // 2)
            planes = np.vstack((planes[: even.shape[0]], np.hstack(list(below))))
        grey = np.asarray(cv2.resize(planes, (width, height), interpolation=cv2.INTER_AREA))
    return np.asarray(np.repeat(grey[..., None], 3, axis=2), np.float32)


def _dropping(image: FloatImage, radius: float, random: Random) -> FloatImage:
    """A bird's dropping on the lens, where the way ahead is."""
    height, width = image.shape[:2]
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    away = np.hypot(1.15 * (x / width - 0.5), 1.25 * (y / height - 0.8))
    inside = radius + 0.08 * smooth_noise(image, random, 10)[..., 0] - away
    mask = np.clip(inside / 0.03 + 0.5, 0.0, 1.0)
    mask = cv2.GaussianBlur(mask, (0, 0), 0.008 * width)[..., None]
    shade = 0.9 + 0.1 * smooth_noise(image, random, 40)
    white = np.array([222.0, 220.0, 208.0], np.float32)
    return np.asarray(image * (1.0 - mask) + shade * white * mask)


def _leaf(image: FloatImage, length: float, random: Random) -> FloatImage:
    """A leaf sticks to the pane before the lens, where the way ahead is; its rib can be seen."""
    height, width = image.shape[:2]
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    angle = random.uniform(-0.5, 0.5)
    off_x, off_y = (x - 0.5 * width) / height, y / height - 0.78
    along = off_x * math.cos(angle) + off_y * math.sin(angle)
    across = off_y * math.cos(angle) - off_x * math.sin(angle)
    half_wide = 0.47 * length * np.sqrt(np.clip(1.0 - (along / length) ** 2, 0.0, 1.0))
    mask = np.clip((half_wide - np.abs(across)) / 0.03 + 0.5, 0.0, 1.0)
    mask = cv2.GaussianBlur(mask, (0, 0), 0.008 * width)[..., None]
    rib = np.exp(-((across / 0.01) ** 2))[..., None]
    shade = 0.9 + 0.15 * smooth_noise(image, random, 40) - 0.4 * rib
    return np.asarray(image * (1.0 - mask) + shade * np.array([120.0, 96.0, 30.0]) * mask)


KEPT: Mapping[str, Family] = {
    'half decoded': Family(_without_chroma, (0.6, 0.45, 0.3), 'share of the height'),
    'squashed': Family(_squashed, (2.0, 3.0, 4.0), KIND),
    'infrared': Family(_infrared, (2.0, 4.0, 8.0), 'times white'),
    'doubled': Family(_doubled, (0.5, 0.6, 0.7), 'share'),
    'striped': Family(_striped, (50.0, 70.0, 100.0), 'grey levels'),
    'overflow': Family(_overflown, (2.0, 3.0, 6.0), 'times'),
    'crushed': Family(_crushed, (0.8, 0.9, 0.97), 'share of the picture'),
    'through a hole': Family(_through_a_hole, (0.2, 0.15, 0.1), 'radius of the width'),
    'cracked glass': Family(_cracked, (20.0, 30.0, 45.0), 'px'),
    'loose': Family(_loose, (35.0, 45.0, 60.0), 'degrees'),
    'solarised': Family(_solarised, (110.0, 90.0, 70.0), 'grey levels from which on'),
    'smeared': Family(_smeared, (61.0, 91.0, 121.0), 'px'),
    'in shards': Family(_in_shards, (12.0, 20.0, 30.0), 'pieces'),
    'in strips': Family(_in_strips, (4.0, 6.0, 8.0), 'parts'),
    'beads': Family(_beaded, (14.0, 20.0, 30.0), 'px'),
    'bleached bands': Family(_bleached_bands, (0.4, 0.5, 0.6), 'share of the rows'),
    'exchanged colours': Family(_exchanged, (0.0, 1.0, 2.0), KIND),
    'read as grey': Family(_read_as_grey, (0.0, 1.0, 2.0), KIND),
    'dropping': Family(_dropping, (0.3, 0.36, 0.42), 'radius of the picture'),
    'leaf': Family(_leaf, (0.45, 0.55, 0.65), 'half its length, of the height'),
}
"""By name."""

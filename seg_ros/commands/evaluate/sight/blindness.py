# SPDX-License-Identifier: Apache-2.0
"""Families of blindness: what can come between a lens and a road, each in several strengths.

Every member changes a clean picture so far that nobody could drive by it. Strengths are written
at the family, the weakest first. The same seed gives the same picture.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from seg_ros.core.types import RgbImage

__all__ = ['FAMILIES', 'KIND', 'Family', 'FloatImage', 'Random', 'smooth_noise']

FloatImage = NDArray[np.float32]
Random = np.random.Generator
Change = Callable[[FloatImage, float, Random], FloatImage]

SENSOR_NOISE = 1.5  # grey levels, on top of every change: a real camera has it in the dark, too


class Family(NamedTuple):
    """One kind of blindness.

    Attributes:
        change: Takes a picture of floats from 0 to 255, a strength and a source of randomness.
        strengths: What it is called with, the weakest first; or the numbers of its kinds.
        unit: Of the strengths, for people.
    """

    change: Change
    strengths: tuple[float, ...]
    unit: str

    @property
    def has_kinds(self) -> bool:
        """Whether its strengths are kinds, which have nothing between them."""
        return self.unit == KIND

    def spoil(self, picture: RgbImage, strength: float, random: Random) -> RgbImage:
        """Returns ``(H, W, 3)``, the picture as such a camera would give it."""
        changed = self.change(picture.astype(np.float32), strength, random)
        noise = random.normal(0.0, SENSOR_NOISE, changed.shape).astype(np.float32)
        return np.clip(changed + noise, 0.0, 255.0).astype(np.uint8)


def _covered(image: FloatImage, grey: float, random: Random) -> FloatImage:
    """A finger or a cloth on the lens: one soft shade."""
    shade = smooth_noise(image, random, 4) * 8.0 + grey
    return np.asarray(shade * np.array([1.1, 0.9, 0.85], np.float32))


def _light_leak(image: FloatImage, peak: float, random: Random) -> FloatImage:
    """A cap on the lens with light coming in at a side."""
    height, width = image.shape[:2]
    angle = random.uniform(0.0, 2.0 * math.pi)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    off_x = x / width - 0.5 - 0.6 * math.cos(angle)
    off_y = y / height - 0.5 - 0.6 * math.sin(angle)
    return np.asarray((6.0 + peak * np.exp(-6.0 * (off_x**2 + off_y**2)))[..., None] * ONES)


def _glare(image: FloatImage, gain: float, random: Random) -> FloatImage:
    """The sun low above the road: all of it is bleached."""
    height, width = image.shape[:2]
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    u = random.uniform(0.4, 0.6) * width
    radius = np.hypot(x - u, y - 0.45 * height) / width
    veil = 255.0 * gain * np.exp(-1.6 * radius)
    return np.asarray(image * max(0.0, 1.0 - 0.3 * gain) + veil[..., None])


def _over_exposed(image: FloatImage, gain: float, random: Random) -> FloatImage:  # noqa: ARG001
    """So many times too much light; at night a picture would only become a good one before."""
    to_daylight = max(1.0, DAYLIGHT / max(1.0, float(image.mean())))
    return np.asarray(image * to_daylight * gain + 60.0)


def _dark_noise(image: FloatImage, share: float, random: Random) -> FloatImage:
    """A night without light: the sensor's noise, amplified, over a rest of the picture."""
    return np.asarray(20.0 + image * share + random.normal(0.0, 14.0, image.shape))


def _white_noise(image: FloatImage, deviation: float, random: Random) -> FloatImage:
    return np.asarray(image * 0.1 + 115.0 + random.normal(0.0, deviation, image.shape))


def _defocused(image: FloatImage, sigma_px: float, random: Random) -> FloatImage:  # noqa: ARG001
    return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma_px))


def _motion_blur(image: FloatImage, length_px: float, random: Random) -> FloatImage:
    angle = random.uniform(-0.4, 0.4)
    size = int(length_px) | 1
    kernel = np.zeros((size, size), np.float32)
    half = 0.5 * (size - 1)
    ends = [(round(half + s * half * math.cos(angle)), round(half + s * half * math.sin(angle)))
            for s in (-1, 1)]  # fmt: skip
    cv2.line(kernel, ends[0], ends[1], 1.0)
    return np.asarray(cv2.filter2D(image, -1, kernel / kernel.sum()))


def _fog(image: FloatImage, share: float, random: Random) -> FloatImage:  # noqa: ARG001
    return np.asarray(image * (1.0 - share) + 190.0 * share)


def _frost(image: FloatImage, share: float, random: Random) -> FloatImage:
    """Ice on the glass: bright crystals over a blurred picture."""
    crystals = np.maximum(smooth_noise(image, random, 24), smooth_noise(image, random, 60))
    blurred = cv2.GaussianBlur(image, (0, 0), 6.0)
    return np.asarray(blurred * (1.0 - share) + share * (150.0 + 70.0 * crystals))


def _mud(image: FloatImage, share: float, random: Random) -> FloatImage:
    """Splashes on the lens over the whole picture, out of focus."""
    cloud = smooth_noise(image, random, 12)[..., 0]
    height = np.quantile(cloud, 1.0 - share)
    mask = cv2.GaussianBlur((cloud > height).astype(np.float32), (0, 0), 5.0)[..., None]
    return np.asarray(image * (1.0 - mask) + mask * np.array([74.0, 60.0, 46.0], np.float32))


def _zone_covered(image: FloatImage, from_row: float, random: Random) -> FloatImage:
    """Something hangs over the lower part of the picture."""
    changed = image.copy()
    top = int(from_row * image.shape[0])
    changed[top:] = 45.0 + 10.0 * smooth_noise(image, random, 3)[top:]
    edge = slice(max(0, top - 8), top + 8)
    changed[edge] = cv2.GaussianBlur(changed, (0, 0), 4.0)[edge]
    return changed


def _torn(image: FloatImage, most_px: float, random: Random) -> FloatImage:
    """Rows that begin at the wrong pixel, in bands of any height."""
    changed = image.copy()
    top = 0
    while top < len(image):
        bottom = top + int(random.integers(4, 24))
        shift = int(random.integers(-most_px, most_px + 1))
        changed[top:bottom] = np.roll(image[top:bottom], shift, axis=1)
        top = bottom
    return changed


def _wrong_stride(image: FloatImage, off_px: float, random: Random) -> FloatImage:  # noqa: ARG001
    """Every row begins so many pixels later than the one above."""
    rows = [np.roll(row, -int(off_px * index), axis=0) for index, row in enumerate(image)]
    return np.stack(rows)


def _rolled(image: FloatImage, share: float, random: Random) -> FloatImage:
    """The picture begins somewhere in the middle of the buffer, and goes on at its start."""
    across = int(random.uniform(0.2, 0.8) * image.shape[1])
    return np.roll(image, (int(share * image.shape[0]), across), axis=(0, 1))


def _broken_blocks(image: FloatImage, share: float, random: Random) -> FloatImage:
    """A decoder that lost data: blocks of 16 pixels that belong elsewhere, or to nothing."""
    changed = image.copy()
    size = 16
    rows, columns = image.shape[0] // size, image.shape[1] // size
    for row in range(rows):
        for column in np.flatnonzero(random.random(columns) < share).tolist():
            from_row, from_column = int(random.integers(rows)), int(random.integers(columns))
            block = image[from_row * size :, from_column * size :][:size, :size]
            if random.random() < 0.3:
                block = block.mean(axis=(0, 1), keepdims=True) + np.zeros_like(block)
            changed[row * size :, column * size :][:size, :size] = block
    return changed


def _water(image: FloatImage, bend_px: float, random: Random) -> FloatImage:
    """Water runs down the glass: everything is bent, and nothing is sharp."""
    height, width = image.shape[:2]
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    bent = [smooth_noise(image, random, 28)[..., 0] * bend_px for _ in range(2)]
    soft = cv2.GaussianBlur(image, (0, 0), 0.15 * bend_px)
    return np.asarray(
        cv2.remap(soft, x + bent[0], y + bent[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    )


def _wrong_channels(image: FloatImage, kind: float, random: Random) -> FloatImage:  # noqa: ARG001
    """0: chroma read as grey, 1: the negative, 2: bytes of the wrong half of 16-bit values."""
    if kind == 0.0:
        grey = image.mean(axis=2)
        mixed = np.stack([grey[:, ::2].repeat(2, 1)[:, : grey.shape[1]], 255.0 - grey, grey], 2)
        return np.asarray(mixed[::-1] * 0.5 + mixed * 0.5)
    if kind == 1.0:
        return np.asarray(255.0 - image)
    return np.asarray(np.mod(image * 16.0, 256.0))


def _posterised(image: FloatImage, levels: float, random: Random) -> FloatImage:  # noqa: ARG001
    """A decoder that keeps the highest bits only."""
    step = 256.0 / levels
    return np.asarray(np.floor(image / step) * 255.0 / (levels - 1.0))


def _ghost(image: FloatImage, share: float, random: Random) -> FloatImage:
    """The picture a second time beside itself: a pane mirrors, or a decoder blends two frames."""
    height, width = image.shape[:2]
    across = int(random.uniform(0.1, 0.4) * width) * int(random.choice([-1, 1]))
    down = int(random.uniform(-0.05, 0.05) * height)
    return image * (1.0 - share) + np.roll(image, (down, across), axis=(0, 1)) * share


def _combed(image: FloatImage, shift: float, random: Random) -> FloatImage:
    """Two fields that do not belong together: every other two rows are of another moment."""
    changed = image.copy()
    off = int(shift * image.shape[1]) * int(random.choice([-1, 1]))
    other = np.roll(image, off, axis=1)
    for row in (2, 3):
        changed[row::4] = other[row::4]
    return changed


def _tiled(image: FloatImage, times: float, random: Random) -> FloatImage:  # noqa: ARG001
    """A recorder's view of all cameras at once."""
    count, (height, width) = int(times), image.shape[:2]
    small = cv2.resize(image, (-(-width // count), -(-height // count)))
    return np.asarray(np.tile(small, (count, count, 1))[:height, :width])


def _starved(image: FloatImage, blocks: float, random: Random) -> FloatImage:  # noqa: ARG001
    """A stream without bandwidth: of each block of a compressed picture its mean is left."""
    height, width = image.shape[:2]
    size_wh = int(blocks), max(2, int(blocks) * height // width)
    mean = cv2.resize(image, size_wh, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(mean, (width, height), interpolation=cv2.INTER_NEAREST))


def _upside_down(image: FloatImage, kind: float, random: Random) -> FloatImage:  # noqa: ARG001
    """0: turned by 180 degrees, 1: by 90 to the left, 2: by 90 to the right."""
    if kind == 0.0:
        return np.ascontiguousarray(image[::-1, ::-1])
    size_wh = image.shape[1], image.shape[0]
    return np.asarray(cv2.resize(np.rot90(image, 1 if kind == 1.0 else 3).copy(), size_wh))


def _flare(image: FloatImage, share: float, random: Random) -> FloatImage:
    """A lamp shines into the lens from beside: a warm veil, and its ghosts in a line."""
    height, width = image.shape[:2]
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    side = random.choice([-0.1, 1.1]) * width
    veil = 0.75 + 0.25 * np.exp(-np.hypot(x - side, y - 0.2 * height) / (0.6 * width))
    ghosts = np.zeros((height, width), np.float32)
    for step in (0.25, 0.5, 0.65, 0.8):
        centre = (int(side + step * (width - 2.0 * side)), int((0.2 + 0.6 * step) * height))
        cv2.circle(ghosts, centre, int(width * random.uniform(0.04, 0.15)), 35.0, -1)
    ghosts = cv2.GaussianBlur(ghosts, (0, 0), width / 100.0)
    light = (210.0 * veil + ghosts)[..., None] * np.array([1.05, 0.98, 0.85], np.float32)
    return np.asarray(image * (1.0 - share) + share * light)


def _cobweb(image: FloatImage, threads: float, random: Random) -> FloatImage:
    """Threads and scratches before the lens, in the light and out of focus."""
    height, width = image.shape[:2]
    mask = np.zeros((height, width), np.float32)
    for _ in range(int(threads)):
        ends = [
            (int(random.integers(-width // 4, width * 5 // 4)), int(random.integers(height)))
            for _ in range(2)
        ]
        cv2.line(mask, ends[0], ends[1], 1.0, max(1, width // 160))
    mask = np.minimum(cv2.GaussianBlur(mask, (0, 0), width / 320.0), 1.0)[..., None]
    return np.asarray(image * (1.0 - mask) + 205.0 * mask)


def _dewed(image: FloatImage, drops: float, random: Random) -> FloatImage:
    """Dew: the glass is full of drops, and each shows the whole scene, upside down and small."""
    height, width = image.shape[:2]
    across = int(drops)
    size = width / across
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    down = int(np.ceil(height / size)) + 1
    jitter = random.uniform(-0.3, 0.3, (down, across + 1, 2)).astype(np.float32)
    row, column = (y / size).astype(np.intp), np.minimum((x / size).astype(np.intp), across)
    off_x = (x / size - column - 0.5 + jitter[row, column, 0]).astype(np.float32)
    off_y = (y / size - row - 0.5 + jitter[row, column, 1]).astype(np.float32)
    bent = cv2.remap(
        image, x - 3.0 * size * off_x, y - 3.0 * size * off_y, cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REFLECT,
    )  # fmt: skip
    rim = np.clip(1.3 - np.hypot(off_x, off_y), 0.4, 1.0)[..., None]
    return np.asarray(bent * rim)


def _banded(image: FloatImage, dark: float, random: Random) -> FloatImage:
    """Light that flickers faster than the rows are read: in this share of them it is off."""
    rows = np.arange(image.shape[0]) / image.shape[0] * float(random.uniform(3.0, 9.0))
    phase = (rows + float(random.random())) % 1.0
    lit = np.clip((phase - dark) / 0.06, 0.0, 1.0) * np.clip((1.0 - phase) / 0.06, 0.0, 1.0)
    return np.asarray(image * (0.03 + 0.97 * lit[:, None, None].astype(np.float32)))


def _shuffled(image: FloatImage, parts: float, random: Random) -> FloatImage:
    """A sensor that is read by several channels, whose parts are put together in wrong order."""
    columns = np.array_split(np.arange(image.shape[1]), int(parts))
    order = random.permutation(len(columns))
    if (np.diff(order) == 1).all():
        order = order[::-1]
    return np.ascontiguousarray(image[:, np.concatenate([columns[part] for part in order])])


def smooth_noise(image: FloatImage, random: Random, cells: int) -> FloatImage:
    """``(H, W, 1)`` smooth noise from -1 to 1, so many cells across."""
    height, width = image.shape[:2]
    coarse = random.uniform(-1.0, 1.0, (max(2, cells * height // width), cells))
    smooth = cv2.resize(coarse.astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    return np.asarray(np.clip(smooth, -1.0, 1.0)[..., None])


ONES = np.ones(3, np.float32)
KIND = 'kind'
DAYLIGHT = 90.0  # grey levels, the mean of a picture by day

FAMILIES: Mapping[str, Family] = {
    'cover': Family(_covered, (90.0, 55.0, 25.0), 'grey level'),
    'light leak': Family(_light_leak, (240.0, 140.0, 70.0), 'grey levels at the leak'),
    'glare': Family(_glare, (1.1, 1.4, 2.0), 'veil as a share of white'),
    'over-exposure': Family(_over_exposed, (3.0, 5.0, 9.0), 'times'),
    'dark noise': Family(_dark_noise, (0.05, 0.02, 0.0), 'share of the picture left'),
    'white noise': Family(_white_noise, (40.0, 60.0, 90.0), 'grey levels'),
    'defocus': Family(_defocused, (12.0, 18.0, 30.0), 'px'),
    'motion blur': Family(_motion_blur, (61.0, 91.0, 141.0), 'px'),
    'fog': Family(_fog, (0.92, 0.95, 0.975), 'share'),
    'frost': Family(_frost, (0.6, 0.75, 0.9), 'share'),
    'mud': Family(_mud, (0.7, 0.8, 0.95), 'share of the picture'),
    'zone covered': Family(_zone_covered, (0.5, 0.4, 0.25), 'share of the height'),
    'torn rows': Family(_torn, (120.0, 200.0, 320.0), 'px'),
    'wrong stride': Family(_wrong_stride, (3.0, 17.0, 101.0), 'px a row'),
    'wrong channels': Family(_wrong_channels, (0.0, 1.0, 2.0), KIND),
    'upside down': Family(_upside_down, (0.0, 1.0, 2.0), KIND),
    'rolled': Family(_rolled, (0.35, 0.5, 0.65), 'share of the height'),
    'broken blocks': Family(_broken_blocks, (0.4, 0.6, 0.9), 'share of the blocks'),
    'water': Family(_water, (24.0, 36.0, 60.0), 'px'),
    'posterised': Family(_posterised, (3.0, 2.5, 2.0), 'levels'),
    'ghost': Family(_ghost, (0.4, 0.45, 0.5), 'share'),
    'combed': Family(_combed, (0.06, 0.12, 0.25), 'share of the width'),
    'starved stream': Family(_starved, (32.0, 24.0, 16.0), 'blocks across'),
    'tiled': Family(_tiled, (2.0, 3.0, 4.0), 'times across'),
    'flare': Family(_flare, (0.9, 0.93, 0.96), 'share'),
    'cobweb': Family(_cobweb, (100.0, 150.0, 200.0), 'threads'),
    'dew': Family(_dewed, (16.0, 24.0, 40.0), 'drops across'),
    'banded': Family(_banded, (0.6, 0.7, 0.8), 'share of the rows that is dark'),
    'shuffled': Family(_shuffled, (4.0, 6.0, 8.0), 'parts'),
}  # fmt: skip

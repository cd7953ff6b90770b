# SPDX-License-Identifier: Apache-2.0
"""What a training image goes through: pasted people, a crop at a random scale, new colours."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from training.classes import UNLABELLED, ClassTable
from training.labelled_set import Image, LabelledSet
from training.outside import fisheye, put_beacons, rain_on_glass, yellow_lines

__all__ = ['Augmentation', 'Sampler']

MIN_PASTE_PX = 120
MIN_RARE_PX = 60


@dataclass(frozen=True)
class Augmentation:
    """One row of the config; scales are relative to the stored image.

    Attributes:
        crop_wh: What the network trains on; multiples of 32.
        scale: Range, log-uniform.
        aspect: Range of width against height, log-uniform; a 4:3 camera stretched to 16:9 is 1.33.
        rotation_deg: Either way.
        rare_share: Share of the crops that are taken around a pixel of a rare class.
        rare: Those classes; names that the class table lacks are skipped.
        paste_share: Share of the images into which instances of other images are pasted.
        paste: Of these classes.
        pasted_on: An instance is pasted only where its foot is on one of these.
        colour: Strength of the colour changes; 0 leaves colours alone.
        bonnet_share: Share of the crops with an own vehicle at the bottom, of which is known only
            that it is `bonnet`.
        bonnet: A class or a union.
        fisheye_share: Share of the crops that a fisheye sees.
        rain_share: Share of the crops with drops on the glass.
        yellow_share: Share of the crops whose lines are yellow.
        beacon_share: Share of the crops with boards, posts and cones of road works on the ground.
        beacon: A class or a union: what these are.
    """

    crop_wh: tuple[int, int] = (448, 352)
    scale: tuple[float, float] = (0.8, 2.1)
    aspect: tuple[float, float] = (0.9, 1.1)
    rotation_deg: float = 3.0
    rare_share: float = 0.5
    rare: tuple[str, ...] = ('pedestrian', 'cyclist', 'sign', 'pole', 'fence')
    paste_share: float = 0.5
    paste: tuple[str, ...] = ('pedestrian', 'cyclist')
    pasted_on: tuple[str, ...] = (
        'road',
        'pavement',
        'building',
        'tree',
        'fence',
        'vehicle',
        'lane_marking',
    )
    colour: float = 1.0
    bonnet_share: float = 0.0
    bonnet: str = 'nobody'
    fisheye_share: float = 0.0
    rain_share: float = 0.0
    yellow_share: float = 0.0
    beacon_share: float = 0.0
    beacon: str = 'nobody'

    @staticmethod
    def from_config(row: dict[str, Any]) -> Augmentation:
        return Augmentation(**{k: tuple(v) if isinstance(v, list) else v for k, v in row.items()})


@dataclass(frozen=True)
class Cutout:
    """An instance cut out of a training image, at its place there."""

    image: Image
    mask: NDArray[np.uint8]
    left: int
    top: int
    class_id: int


class Sampler:
    """Draws augmented crops from one set."""

    def __init__(self, data: LabelledSet, augmentation: Augmentation, classes: ClassTable) -> None:
        self.data = data
        self.augmentation = augmentation
        self.rare_images: list[tuple[int, NDArray[np.int64]]] = []  # class, images that have it
        for label in ids_of(augmentation.rare, classes):
            has = [(labels == label).sum() >= MIN_RARE_PX for labels in data.labels]
            if any(has):
                self.rare_images.append((label, np.flatnonzero(has)))
        self.cutouts: list[Cutout] = []
        if augmentation.paste_share > 0:
            for label in ids_of(augmentation.paste, classes):
                self.cutouts += cut_out(data, label)
        self.pasted_on = ids_of(augmentation.pasted_on, classes)
        self.pasted_on += [
            len(classes) + union
            for union, members in enumerate(classes.members)
            if set(members) <= set(self.pasted_on)
        ]
        self.bonnet = classes.label(augmentation.bonnet) if augmentation.bonnet_share else 0
        lanes = [i for i, row in enumerate(classes.rows) if 'lane' in row.roles]
        self.beacon = classes.label(augmentation.beacon) if augmentation.beacon_share else 0
        self.ground = [
            i for i, row in enumerate(classes.rows) if {*row.roles} & {'drivable', 'walkable'}
        ]
        self.ground += [
            len(classes) + union
            for union, members in enumerate(classes.members)
            if set(members) <= {*self.ground, *lanes}
        ]
        self.lanes = lanes
        self.order: list[int] = []

    def draw(self, random: Generator) -> tuple[Image, Image]:
        """One crop: image [h,w,3] and labels [h,w]."""
        config = self.augmentation
        focus = None
        if self.rare_images and random.random() < config.rare_share:
            focus, images = self.rare_images[random.integers(len(self.rare_images))]
            index = int(random.choice(images))
        else:
            if not self.order:
                self.order = random.permutation(len(self.data)).tolist()
            index = self.order.pop()
        image, labels = np.array(self.data.images[index]), np.array(self.data.labels[index])
        if self.cutouts and random.random() < config.paste_share:
            for _ in range(random.integers(1, 4)):
                cutout = self.cutouts[random.integers(len(self.cutouts))]
                paste(image, labels, cutout, self.pasted_on, random)
        image, labels = crop(image, labels, focus, config, random)
        if config.fisheye_share and random.random() < config.fisheye_share:
            image, labels = fisheye(image, labels, random)
        if config.yellow_share and self.lanes and random.random() < config.yellow_share:
            image = yellow_lines(image, labels, self.lanes[0], random)
        if config.beacon_share and random.random() < config.beacon_share:
            put_beacons(image, labels, self.beacon, self.ground, random)
        if random.random() < config.bonnet_share:
            put_bonnet(image, labels, self.bonnet, random)
        if config.colour > 0:
            image = recolour(image, config.colour, random)
        if config.rain_share and random.random() < config.rain_share:
            image = rain_on_glass(image, random)
        return image, labels


def ids_of(names: Sequence[str], classes: ClassTable) -> list[int]:
    return [classes.id(name) for name in names if name in classes.names]


def cut_out(data: LabelledSet, label: int) -> list[Cutout]:
    found = []
    for image, labels in zip(data.images, data.labels, strict=True):
        count, components, stats, _ = cv2.connectedComponentsWithStats(
            (labels == label).astype(np.uint8)
        )
        for i in range(1, count):
            x, y, w, h, area = (int(v) for v in stats[i])
            whole = x > 0 and x + w < labels.shape[1] and y + h < labels.shape[0]
            if area >= MIN_PASTE_PX and whole and h > w:
                mask = (components[y : y + h, x : x + w] == i).astype(np.uint8)
                found.append(Cutout(np.array(image[y : y + h, x : x + w]), mask, x, y, label))
    return found


def paste(
    image: Image, labels: Image, cutout: Cutout, pasted_on: Sequence[int], random: Generator
) -> None:
    """Put the instance at its old height (so that its size fits) and another place across."""
    height, width = cutout.mask.shape
    if height > labels.shape[0] or width >= labels.shape[1]:
        return
    left = int(random.integers(0, labels.shape[1] - width))
    top = int(np.clip(cutout.top + random.integers(-6, 7), 0, labels.shape[0] - height))
    mask, colours = cutout.mask, cutout.image
    if random.random() < 0.5:
        mask, colours = mask[:, ::-1], colours[:, ::-1]
    area = (slice(top, top + height), slice(left, left + width))
    foot = labels[min(top + height, labels.shape[0] - 1), left + width // 2]
    if foot not in pasted_on:
        return
    gain = random.uniform(0.75, 1.25)
    alpha = cv2.GaussianBlur(mask.astype(np.float32), (3, 3), 0)[..., None]
    mixed = alpha * np.minimum(colours * gain, 255) + (1 - alpha) * image[area]
    image[area] = mixed.astype(np.uint8)
    labels[area][mask > 0] = cutout.class_id


def crop(
    image: Image, labels: Image, focus: int | None, config: Augmentation, random: Generator
) -> tuple[Image, Image]:
    """Scale, turn, mirror and cut in one warp; the part outside the image is unlabelled."""
    height, width = labels.shape
    out_w, out_h = config.crop_wh
    scale = math.exp(random.uniform(math.log(config.scale[0]), math.log(config.scale[1])))
    aspect = math.exp(0.5 * random.uniform(math.log(config.aspect[0]), math.log(config.aspect[1])))
    scale_x, scale_y = scale * aspect, scale / aspect
    centre = None
    if focus is not None:
        ys, xs = np.nonzero(labels == focus)
        if len(ys):
            pick = random.integers(len(ys))
            centre = [
                xs[pick] + random.uniform(-0.35, 0.35) * out_w / scale_x,
                ys[pick] + random.uniform(-0.35, 0.35) * out_h / scale_y,
            ]
    if centre is None:
        centre = [random.uniform(0, width), random.uniform(0, height)]
    for axis, (size, span) in enumerate(((width, out_w / scale_x), (height, out_h / scale_y))):
        margin = min(span / 2, size / 2)
        centre[axis] = float(np.clip(centre[axis], margin, size - margin))
    angle = math.radians(random.uniform(-1, 1) * config.rotation_deg)
    flip = -1.0 if random.random() < 0.5 else 1.0
    cos, sin = math.cos(angle), math.sin(angle)
    linear = np.array(
        [[flip * scale_x * cos, -flip * scale_x * sin], [scale_y * sin, scale_y * cos]]
    )
    # pixel centres: +0.5 before, -0.5 after
    offset = np.array([out_w / 2, out_h / 2]) - linear @ (np.array(centre) - 0.5) - 0.5
    matrix = np.hstack([linear, offset[:, None]])
    if scale < 0.75:
        image = cv2.GaussianBlur(image, (0, 0), 0.45 / scale)
    warped = cv2.warpAffine(
        image, matrix, (out_w, out_h), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
    )
    turned = cv2.warpAffine(
        labels,
        matrix,
        (out_w, out_h),
        flags=cv2.INTER_NEAREST,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=UNLABELLED,
    )
    return warped, turned


def put_bonnet(image: Image, labels: Image, label: int, random: Generator) -> None:
    """Cover the bottom with a bonnet or a dashboard in which the picture is reflected."""
    height, width = labels.shape
    x = np.linspace(-1, 1, width)
    rise = random.uniform(0.0, 0.5) * (1 - np.abs(x - random.uniform(-0.4, 0.4)) ** 2)
    level = random.uniform(0.04, 0.2) * (1 + rise) + random.uniform(-0.04, 0.04) * x
    edge = height - np.clip(level * height, 2, 0.3 * height).astype(int)
    rows = np.arange(height)[:, None]
    covered = rows >= edge[None]
    # the reflection of a row is as far above the edge as the row is below
    source = np.clip(2 * edge[None] - rows, 0, height - 1)
    shine = image[source, np.arange(width)[None]].astype(np.float32)
    strength = random.uniform(0.0, 0.7) ** 2
    shade = np.linspace(random.uniform(0.5, 1.4), random.uniform(0.3, 1.0), height)[:, None, None]
    paint = random.uniform(5, 150) * shade * random.uniform(0.85, 1.15, 3)
    bonnet = cv2.GaussianBlur((1 - strength) * paint + strength * shine, (0, 0), 1.2)
    image[covered] = np.clip(bonnet, 0, 255).astype(np.uint8)[covered]
    labels[covered] = label


def recolour(image: Image, strength: float, random: Generator) -> Image:
    """Light, contrast, gamma, colour temperature, saturation; now and then what lenses do."""
    value = np.arange(256, dtype=np.float32) / 255
    gamma = math.exp(random.normal(0, 0.25 * strength))
    contrast = math.exp(random.normal(0, 0.18 * strength))
    brightness = random.normal(0, 0.07 * strength)
    warmth = random.normal(0, 0.07 * strength)  # red against blue
    balance = np.exp(random.normal([warmth, 0.0, -warmth], 0.05 * strength))
    curve = (value**gamma - 0.5) * contrast + 0.5 + brightness
    lut = np.clip(curve[:, None] * balance[None] * 255, 0, 255).astype(np.uint8)
    image = cv2.LUT(image, lut.reshape(256, 1, 3))
    if random.random() < 0.5:
        grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        amount = float(np.clip(1 + random.normal(0, 0.35 * strength), 0, 1.8))
        image = cv2.addWeighted(image, amount, grey, 1 - amount, 0)
    for change in (vignetted, blurred, coarsened, noisy, compressed):
        if random.random() < 0.12 * strength:
            image = change(image, random)
    return image


def vignetted(image: Image, random: Generator) -> Image:
    """Darker and tinted towards the corners of the picture."""
    height, width = image.shape[:2]
    x = np.linspace(-1, 1, width)[None] - random.uniform(-0.3, 0.3)
    y = np.linspace(-1, 1, height)[:, None] - random.uniform(-0.3, 0.3)
    loss = random.uniform(0.1, 0.45) * random.uniform(0.7, 1.0, 3)
    return (image * (1 - np.minimum((x**2 + y**2) / 2, 1)[..., None] * loss)).astype(np.uint8)


def blurred(image: Image, random: Generator) -> Image:
    return np.asarray(cv2.GaussianBlur(image, (0, 0), random.uniform(0.4, 1.6)))


def coarsened(image: Image, random: Generator) -> Image:
    """As from a camera of fewer pixels."""
    factor = random.uniform(0.4, 0.8)
    small = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, image.shape[1::-1]))


def noisy(image: Image, random: Generator) -> Image:
    noise = np.empty(image.shape, np.int16)
    cv2.randn(noise, 0, random.uniform(2, 14))
    return np.asarray(cv2.add(image, noise, dtype=cv2.CV_8U))


def compressed(image: Image, random: Generator) -> Image:
    quality = int(random.integers(20, 80))
    _, code = cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(code, cv2.IMREAD_COLOR))

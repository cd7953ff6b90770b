# SPDX-License-Identifier: Apache-2.0
"""Slices of a body as a CT scanner writes them: one channel, 16 bits, abnormalities in the tissue.

    python -m training.uses.scan render out/uses/scan

A phantom that we render, no patient: an outline, lungs, spine and ribs, tissue whose brightness
varies more than what is looked for differs from it. `render` writes `train/` and `test/`. The
values are the whole range of 16 bits, from air to bone: whoever has Hounsfield units maps their
window to it first.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from training.uses.picture_set import new_folder, parsers, write_mask, write_picture

__all__ = ['render', 'slice_of']

AIR, TISSUE, BONE, ABNORMALITY = range(4)  # as in training/configs/scan.yaml
SIDE = 256
VALUES = {AIR: 3000, TISSUE: 30000, BONE: 56000}  # of 65535
CONTRAST = 5500  # of an abnormality against the tissue around it
TEXTURE = 1500  # standard deviation of the tissue's brightness
NOISE = 900  # of the scanner


def slice_of(random: Generator) -> tuple[NDArray[np.uint16], NDArray[np.uint8]]:
    """Returns a slice, ``(256, 256)`` uint16, and its labels."""
    labels = np.zeros((SIDE, SIDE), np.uint8)
    middle = np.array([SIDE / 2, SIDE / 2]) + random.normal(0, 5, 2)
    wide, high = random.uniform(88, 112), random.uniform(62, 84)
    _ellipse(labels, middle, (wide, high), TISSUE, random.normal(0, 3))
    for _ in range(16):  # ribs, along the outline
        angle = random.uniform(0, 2 * np.pi)
        at = middle + 0.88 * np.array([wide * np.cos(angle), high * np.sin(angle)])
        _ellipse(labels, at, (random.uniform(5, 9), 3), BONE, np.degrees(angle) + 90)
    for side in (-1, 1):  # lungs
        at = middle + np.array([side * 0.48 * wide, -0.08 * high]) + random.normal(0, 2, 2)
        _ellipse(labels, at, (0.27 * wide, 0.48 * high), AIR, side * 8)
    spine = middle + np.array([0, 0.62 * high])
    _ellipse(labels, spine, (random.uniform(11, 14), random.uniform(10, 13)), BONE, 0)
    image = np.zeros((SIDE, SIDE), np.float32)
    for value, grey in VALUES.items():
        image[labels == value] = grey
    image = cv2.GaussianBlur(image, (0, 0), 0.8)
    rough = cv2.GaussianBlur(random.normal(0, 1, image.shape).astype(np.float32), (0, 0), 6)
    tissue = labels == TISSUE
    image += np.where(tissue, TEXTURE / rough.std() * rough, 0)
    for _ in range(int(random.integers(0, 4))):
        y, x = random.permutation(np.argwhere(tissue))[0]
        spot = np.zeros_like(labels)
        _ellipse(spot, (x, y), tuple(random.uniform(5, 13, 2)), 1, random.uniform(0, 180))
        inside = (spot == 1) & tissue
        soft = cv2.GaussianBlur(inside.astype(np.float32), (0, 0), 1.2)
        image += random.choice([-1, 1]) * CONTRAST * random.uniform(0.8, 1.4) * soft * tissue
        labels[inside] = ABNORMALITY
    image += random.normal(0, NOISE, image.shape)
    return image.clip(0, 65535).astype(np.uint16), labels


def _ellipse(
    canvas: NDArray[np.uint8],
    middle: NDArray[np.float64] | tuple[int, int],
    axes: tuple[float, ...],
    value: int,
    degrees: float,
) -> None:
    at = (int(middle[0]), int(middle[1]))
    cv2.ellipse(canvas, at, (int(axes[0]), int(axes[1])), degrees, 0, 360, value, -1)


def render(folder: Path, pictures: int, seed: int) -> None:
    """Writes `pictures` slices to train on, and a third as many to test."""
    new_folder(folder)
    random = np.random.default_rng(seed)
    for split, count in (('train', pictures), ('test', max(2, pictures // 3))):
        for number in range(count):
            image, labels = slice_of(random)
            write_picture(folder / split, f'{number:04}', image)
            write_mask(folder / split, f'{number:04}', labels)


def main() -> None:
    parser, _ = parsers(__doc__.split('\n')[0])
    asked = parser.parse_args()
    render(asked.folder, asked.pictures, asked.seed)


if __name__ == '__main__':
    main()

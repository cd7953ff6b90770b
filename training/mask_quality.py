# SPDX-License-Identifier: Apache-2.0
"""How good the masks are that were drawn from boxes.

    python -m training.mask_quality CONFIG

Measures the masks of the config's first source of kind `from_boxes` against the full ones.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import NamedTuple

from training.classes import ROAD_SCENE
from training.config import read_config
from training.data import load
from training.labelled_set import Image

__all__ = ['MaskQuality', 'mask_quality']


class MaskQuality(NamedTuple):
    """How the drawn masks of a class compare with the true ones, by pixels."""

    precision: float
    recall: float


def mask_quality(drawn: Sequence[Image], truth: Sequence[Image], class_id: int) -> MaskQuality:
    """Of one class over whole sets of label images."""
    right = drawn_pixels = true_pixels = 0
    for of_boxes, full in zip(drawn, truth, strict=True):
        is_drawn, is_true = of_boxes == class_id, full == class_id
        right += int((is_drawn & is_true).sum())
        drawn_pixels += int(is_drawn.sum())
        true_pixels += int(is_true.sum())
    return MaskQuality(right / max(1, drawn_pixels), right / max(1, true_pixels))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config')
    arguments = parser.parse_args()
    rows = read_config(arguments.config)['sources']
    row = next(r for r in rows if r['kind'] == 'from_boxes')
    drawn, truth = load(row).labels, load(row['of']).labels
    for name in row['classes']:
        quality = mask_quality(drawn, truth, ROAD_SCENE.id(name))
        print(f'{name}: precision {quality.precision:.1%}, recall {quality.recall:.1%}')


if __name__ == '__main__':
    main()

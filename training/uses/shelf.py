# SPDX-License-Identifier: Apache-2.0
"""A shelf in a shop: from full to empty to filled again.

    python -m training.uses.shelf render out/uses/shelf
    python -m training.uses.shelf judge out/uses/shelf out/uses/shelf/bag

`render` writes `train/` and `test/` (pictures and masks of many shelves) and `emptying/`: one
shelf as a camera sees it, `RATE_HZ` pictures a second, with `truth.json`. Goods are taken one by
one, customers stand in front of it twice, and it is filled again. `judge` reads `~/zone/shelf` of
a bag that was made of `emptying/images`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from training.uses.picture_set import (
    messages_of,
    new_folder,
    parsers,
    print_figures,
    write_mask,
    write_picture,
)

__all__ = ['Shelf', 'judge', 'picture_of', 'random_shelf', 'render']

SHELF, PRODUCT, GAP, PERSON = range(4)  # as in training/configs/shelf.yaml
SIZE_WH = (320, 240)
RATE_HZ = 2.0  # of the emptying shelf
LAST_TAKEN_S, FILLED_S, END_S = 120.0, 175.0, 215.0  # of it
CUSTOMERS_S = ((30.0, 44.0), (70.0, 82.0))  # when somebody stands in front of it
ZONE_TOP, ZONE_BOTTOM = 0.2, 0.8  # of the picture's height: config/zones/shelf.yaml
MIN_SHARE = 0.3  # of it that goods shall cover, as there
CONFIRM_S = 30.0  # as there


@dataclass(frozen=True)
class Shelf:
    """What one shelf looks like.

    Attributes:
        boards: How many, from the top down.
        places: On each board, from left to right.
        wood: Its colour.
        colours: Of the goods, ``(boards, places, 3)``.
        heights: Of the goods, as shares of the room between two boards, ``(boards, places)``.
        kind: 0 boxes, 1 bottles, ``(boards, places)``.
        light: Brightness at the left and at the right edge.
        seed: Of its noise and its labels.
    """

    boards: int
    places: int
    wood: tuple[float, float, float]
    colours: NDArray[np.float64]
    heights: NDArray[np.float64]
    kind: NDArray[np.int64]
    light: tuple[float, float]
    seed: int


def random_shelf(random: Generator) -> Shelf:
    boards, places = int(random.integers(3, 5)), int(random.integers(6, 12))
    brown = random.uniform(0.6, 1.5)
    return Shelf(
        boards,
        places,
        (150.0 * brown, 120.0 * brown, 95.0 * brown),
        random.uniform(30, 240, (boards, places, 3)),
        random.uniform(0.68, 0.95, (boards, places)),
        random.integers(0, 2, (boards, places)),
        (random.uniform(0.6, 1.15), random.uniform(0.6, 1.15)),
        int(random.integers(1 << 31)),
    )


def picture_of(
    shelf: Shelf, full: NDArray[np.bool_], person_x: float | None = None, noise: int = 0
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Returns RGB and labels of a shelf.

    Args:
        shelf: What it looks like.
        full: Where goods stand, ``(boards, places)``.
        person_x: Where somebody stands in front of it, as a share of the width.
        noise: Seed of the camera's noise.
    """
    width, height = SIZE_WH
    image = np.empty((height, width, 3), np.float64)
    image[:] = np.multiply(shelf.wood, 0.28)  # the back wall, in shadow
    labels = np.full((height, width), GAP, np.uint8)
    room = height / shelf.boards
    board_px = max(5, int(room * 0.1))
    dark = np.linspace(0.55, 1.0, int(room) + 1)[:, None, None]
    for row in range(shelf.boards):
        top, bottom = int(row * room), int((row + 1) * room) - board_px
        image[top:bottom] *= dark[: bottom - top]
        for place in range(shelf.places):
            if full[row, place]:
                _draw_goods(image, labels, shelf, row, place, top, bottom)
        image[bottom : bottom + board_px] = shelf.wood
        labels[bottom : bottom + board_px] = SHELF
        for x in range(6, width - 20, 44):  # price labels
            cv2.rectangle(image, (x, bottom + 1), (x + 15, bottom + board_px - 2), (235,) * 3, -1)
    for left in (0, width - 7):
        image[:, left : left + 7] = np.multiply(shelf.wood, 0.85)
        labels[:, left : left + 7] = SHELF
    if person_x is not None:
        _draw_person(image, labels, int(person_x * width), shelf.seed)
    image *= np.linspace(*shelf.light, width)[:, None]
    image += np.random.default_rng((shelf.seed, noise)).normal(0, 4, image.shape)
    return image.clip(0, 255).astype(np.uint8), labels


def _draw_goods(
    image: NDArray[np.float64],
    labels: NDArray[np.uint8],
    shelf: Shelf,
    row: int,
    place: int,
    top: int,
    bottom: int,
) -> None:
    wide = (SIZE_WH[0] - 14) / shelf.places
    left, right = int(7 + place * wide) + 1, int(7 + (place + 1) * wide) - 1
    high = int((bottom - top) * shelf.heights[row, place])
    colour = shelf.colours[row, place]
    body = bottom - high
    if shelf.kind[row, place]:  # a bottle: a neck, and shoulders below it
        neck, shoulder = max(1, (right - left) // 3), bottom - int(0.68 * high)
        middle = (left + right) // 2
        corners = [(middle - neck // 2, body), (middle + neck // 2, body), (right, shoulder)]
        corners += [(right, bottom - 1), (left, bottom - 1), (left, shoulder)]
    else:
        corners = [(left, body), (right, body), (right, bottom - 1), (left, bottom - 1)]
    mask = np.zeros(labels.shape, np.uint8)
    cv2.fillPoly(mask, [np.array(corners, np.int32)], 1)
    inside = mask.astype(bool)
    image[inside] = colour
    labels[inside] = PRODUCT
    # rounded by light, and a paper label
    columns = np.arange(left, right + 1)
    shade = 0.75 + 0.35 * np.sin(np.pi * (columns - left + 0.5) / len(columns))
    image[body:bottom, left : right + 1] *= np.where(
        inside[body:bottom, left : right + 1, None], shade[None, :, None], 1.0
    )
    label_top = bottom - int(0.5 * high)
    label_rows = slice(label_top, label_top + max(2, high // 4))
    image[label_rows, left + 2 : right - 1] = 255 - 0.6 * colour


def _draw_person(image: NDArray[np.float64], labels: NDArray[np.uint8], x: int, seed: int) -> None:
    random = np.random.default_rng((seed, x))
    coat, hair = random.uniform(20, 200, 3), random.uniform(20, 120, 3)
    height = image.shape[0]
    mask = np.zeros(labels.shape, np.uint8)
    cv2.ellipse(mask, (x, height), (52, int(0.62 * height)), 0, 0, 360, 1, -1)
    cv2.ellipse(mask, (x, int(0.3 * height)), (21, 27), 0, 0, 360, 2, -1)
    for value, colour in ((1, coat), (2, hair)):
        image[mask == value] = colour
    labels[mask > 0] = PERSON


def _random_picture(random: Generator) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    shelf = random_shelf(random)
    full = random.random((shelf.boards, shelf.places)) < random.uniform(0.0, 1.1)
    person = random.uniform(0.1, 0.9) if random.random() < 0.3 else None
    return picture_of(shelf, full, person)


def product_share(labels: NDArray[np.uint8]) -> float:
    """The share of the zone that goods cover."""
    rows = slice(int(ZONE_TOP * labels.shape[0]), int(ZONE_BOTTOM * labels.shape[0]))
    return float((labels[rows] == PRODUCT).mean())


def render(folder: Path, pictures: int, seed: int) -> None:
    """Writes `pictures` to train on, a third as many to test, and the emptying shelf."""
    new_folder(folder)
    random = np.random.default_rng(seed)
    for split, count in (('train', pictures), ('test', max(2, pictures // 3))):
        for number in range(count):
            picture, labels = _random_picture(random)
            write_picture(folder / split, f'{number:04}', picture)
            write_mask(folder / split, f'{number:04}', labels)
    shelf = replace(random_shelf(random), boards=3)
    places = [(row, place) for row in range(shelf.boards) for place in range(shelf.places)]
    random.shuffle(places)
    shares = []
    for number in range(int(END_S * RATE_HZ)):
        at_s = number / RATE_HZ
        taken = 0 if at_s >= FILLED_S else int(len(places) * min(1.0, at_s / LAST_TAKEN_S))
        full = np.ones((shelf.boards, shelf.places), bool)
        for row, place in places[:taken]:
            full[row, place] = False
        there = [0.5 for begin, end in CUSTOMERS_S if begin <= at_s < end]
        picture, _ = picture_of(shelf, full, there[0] if there else None, number)
        shares.append(round(product_share(picture_of(shelf, full)[1]), 4))
        write_picture(folder / 'emptying', f'{number:04}', picture)
    truth = {'rate_hz': RATE_HZ, 'product_share': shares}
    (folder / 'emptying' / 'truth.json').write_text(json.dumps(truth))


def judge(folder: Path, bag: Path) -> dict[str, Any]:
    """Returns when the alarm was due and when it came, false alarms, and when it ended.

    Due is the moment at which goods have covered too little for `CONFIRM_S`, whoever stands in
    front of them. The alarm with which a zone begins, until it has been seen without one for
    `hold_s`, is none. All in seconds from the first picture.
    """
    truth = json.loads((folder / 'emptying' / 'truth.json').read_text())
    low = np.array(truth['product_share']) < MIN_SHARE
    times = np.arange(len(low)) / truth['rate_hz']
    due_s = float(times[low][0]) + CONFIRM_S
    filled_s = float(times[low][-1])
    states = [(at_s, m.data) for at_s, m in messages_of(bag, '/segmentation/zone/shelf')]
    rises = [
        at_s
        for (at_s, now), (_, before) in zip(states, states[:1] + states, strict=False)
        if now and not before
    ]
    false = [at_s for at_s in rises if not due_s - CONFIRM_S <= at_s <= filled_s + 1.0]
    right = [at_s for at_s in rises if at_s not in false]
    ends = [at_s for at_s, now in states if right and at_s > right[0] and not now]
    return {
        'goods_below_the_limit_s': round(due_s - CONFIRM_S, 2),
        'alarm_due_s': round(due_s, 2),
        'alarm_s': round(right[0], 2) if right else None,
        'late_s': round(right[0] - due_s, 2) if right else None,
        'false_alarms': len(false),
        'filled_s': round(filled_s, 2),
        'alarm_ended_s': round(ends[0], 2) if ends else None,
    }


def main() -> None:
    parser, _ = parsers(__doc__.split('\n')[0], 'print when the alarm came')
    asked = parser.parse_args()
    if asked.word == 'render':
        render(asked.folder, asked.pictures, asked.seed)
    else:
        print_figures(judge(asked.folder, asked.bag))


if __name__ == '__main__':
    main()

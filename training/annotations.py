# SPDX-License-Identifier: Apache-2.0
"""Masks from the files of annotation tools, for the data kind `folder`.

    python -m training.annotations labelme|coco|cvat SOURCE MASKS --classes floor,crate,person
        [--sparse] [--images FOLDER]

`SOURCE` is a folder of labelme JSON files, a COCO `instances.json`, or a CVAT `annotations.xml`
("CVAT for images 1.1"). `MASKS` receives one PNG for each image; its pixels are the classes'
positions in the list. What nobody has drawn is the first class, or unlabelled with `--sparse`. A
box is the object, whole; with `--images` it only holds the object, which GrabCut then looks for.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias
from xml.etree import ElementTree  # our user's own export, not a stranger's

import cv2
import numpy as np
from numpy.typing import NDArray

from seg_ros.recordings.image_file import is_image, rgb_of_file
from training.classes import UNLABELLED
from training.weak import Box, draw_from_box

__all__ = ['Drawing', 'coco', 'cvat', 'labelme', 'mask_of', 'write_masks']

Polygon = NDArray[np.float64]
"""Corners `[N,2]`."""

Painted = NDArray[np.bool_]
"""The pixels themselves, `[height,width]` of the image."""


class Corners(NamedTuple):
    """A box."""

    left: float
    top: float
    right: float
    bottom: float


Shape: TypeAlias = 'Polygon | Painted | Corners'


class Drawing(NamedTuple):
    """What was drawn into one image: (class name, shape) from back to front."""

    image: str
    width: int
    height: int
    shapes: list[tuple[str, Shape]]


def painted(runs: Sequence[int], size: int) -> Painted:
    """`[size]` from the lengths of its runs, the first of which is not painted.

    Raises:
        ValueError: The runs are not as long as the whole.
    """
    if sum(runs) != size:
        raise ValueError(f'A mask of {size} pixels has runs of {sum(runs)}. Export it again.')
    return np.repeat(np.arange(len(runs)) % 2 == 1, runs)


def labelme(folder: Path) -> Iterator[Drawing]:
    for path in sorted(folder.glob('*.json')):
        file = json.loads(path.read_text())
        shapes: list[tuple[str, Shape]] = []
        for row in file['shapes']:
            points = np.array(row['points'], np.float64)
            kind = row.get('shape_type', 'polygon')
            if kind not in ('polygon', 'rectangle'):
                raise ValueError(f'{path} has a {kind}; polygons and rectangles can be read.')
            is_box = kind == 'rectangle'
            shape: Shape = Corners(*points.min(0), *points.max(0)) if is_box else points
            shapes.append((row['label'], shape))
        yield Drawing(path.stem, file['imageWidth'], file['imageHeight'], shapes)


def coco(path: Path) -> Iterator[Drawing]:
    file = json.loads(path.read_text())
    names = {row['id']: row['name'] for row in file['categories']}
    sizes = {row['id']: (row['height'], row['width']) for row in file['images']}
    shapes: dict[int, list[tuple[str, Shape]]] = {name: [] for name in sizes}
    # large ones first: what is small is mostly in front
    for row in sorted(file['annotations'], key=lambda row: -row.get('area', 0)):
        drawn = shapes[row['image_id']]
        name, segmentation = names[row['category_id']], row.get('segmentation')
        if not segmentation:
            x, y, width, height = row['bbox']
            drawn.append((name, Corners(x, y, x + width, y + height)))
        elif isinstance(segmentation, list):
            drawn += [(name, np.array(s, np.float64).reshape(-1, 2)) for s in segmentation]
        elif isinstance(segmentation['counts'], list):
            height, width = sizes[row['image_id']]
            runs = painted(segmentation['counts'], height * width)
            drawn.append((name, runs.reshape(width, height).T))  # COCO goes down the columns
        else:
            raise ValueError(
                f'Annotation {row["id"]} in {path} is compressed. Export polygons or plain '
                'run lengths instead.'
            )
    for row in file['images']:
        stem = Path(row['file_name']).stem
        yield Drawing(stem, row['width'], row['height'], shapes[row['id']])


def cvat(path: Path) -> Iterator[Drawing]:
    for image in ElementTree.parse(path).iterfind('image'):  # noqa: S314
        width, height = int(image.get('width', 0)), int(image.get('height', 0))
        drawn: list[tuple[int, str, Shape]] = []
        for row in image:
            if row.tag == 'tag':  # says something of the whole image
                continue
            shape = cvat_shape(row, (height, width), path)
            drawn.append((int(row.get('z_order', 0)), row.get('label', ''), shape))
        drawn.sort(key=lambda row: row[0])
        shapes = [(label, shape) for _, label, shape in drawn]
        yield Drawing(Path(image.get('name', '')).stem, width, height, shapes)


def cvat_shape(row: ElementTree.Element, shape_hw: tuple[int, int], path: Path) -> Shape:
    """One element of an image.

    Raises:
        ValueError: It encloses no pixels (a point, a line), or is not known.
    """
    if row.tag == 'polygon':
        points = [pair.split(',') for pair in row.get('points', '').split(';')]
        return np.array(points, np.float64)
    if row.tag == 'box':
        return Corners(*(float(row.get(k, 'nan')) for k in ('xtl', 'ytl', 'xbr', 'ybr')))
    if row.tag == 'mask':
        left, top, width, height = (int(row.get(k, 0)) for k in ('left', 'top', 'width', 'height'))
        runs = [int(value) for value in row.get('rle', '').split(',')]
        whole = np.zeros(shape_hw, np.bool_)
        part = painted(runs, width * height).reshape(height, width)
        whole[top : top + height, left : left + width] = part
        return whole
    raise ValueError(f'{path} has a {row.tag}; polygons, boxes and masks can be read.')


READERS: dict[str, Callable[[Path], Iterator[Drawing]]] = {
    'labelme': labelme,
    'coco': coco,
    'cvat': cvat,
}


def mask_of(
    drawing: Drawing,
    names: Sequence[str],
    background: int,
    image: NDArray[np.uint8] | None = None,
) -> NDArray[np.uint8]:
    """The drawing as a mask; names that are not in the list are unlabelled.

    With the RGB image, boxes become what GrabCut finds in them.
    """
    mask = np.full((drawing.height, drawing.width), background, np.uint8)
    for name, shape in drawing.shapes:
        value = names.index(name) if name in names else UNLABELLED
        if isinstance(shape, Corners):
            box = box_of(shape, value, drawing)
            if image is None:
                mask[box.top : box.bottom, box.left : box.right] = value
            else:
                draw_from_box(image, mask, box)
        elif shape.dtype == np.bool_:
            mask[shape] = value
        else:
            cv2.fillPoly(mask, [np.round(shape).astype(np.int32)], value)
    return mask


def box_of(corners: Corners, value: int, drawing: Drawing) -> Box:
    """The pixels of a box that are inside the image."""
    left, right = (int(np.clip(round(x), 0, drawing.width)) for x in corners[::2])
    top, bottom = (int(np.clip(round(y), 0, drawing.height)) for y in corners[1::2])
    return Box(left, top, right, bottom, value)


def write_masks(
    drawings: Iterator[Drawing],
    folder: Path,
    names: Sequence[str],
    sparse: bool = False,
    images: Path | None = None,
) -> int:
    """Write `folder/IMAGE.png` for each drawing; returns how many.

    Args:
        drawings: What was drawn.
        folder: Of the masks.
        names: Classes in the order of their ids.
        sparse: Leave open what nobody has drawn.
        images: Folder of the images, if GrabCut is to look for the objects in their boxes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    count = 0
    for drawing in drawings:
        image = None if images is None else read_image(images, drawing)
        mask = mask_of(drawing, names, UNLABELLED if sparse else 0, image)
        cv2.imwrite(str(folder / f'{drawing.image}.png'), mask)
        count += 1
    return count


def read_image(folder: Path, drawing: Drawing) -> NDArray[np.uint8]:
    """The RGB image of a drawing.

    Raises:
        FileNotFoundError: There is none of its name and size.
    """
    for path in filter(is_image, sorted(folder.glob(f'{drawing.image}.*'))):
        image = rgb_of_file(path)
        if image.shape[:2] == (drawing.height, drawing.width):
            return image
    raise FileNotFoundError(
        f'{folder} has no image {drawing.image} of {drawing.width}x{drawing.height}.'
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('kind', choices=sorted(READERS))
    parser.add_argument('source', type=Path)
    parser.add_argument('masks', type=Path)
    parser.add_argument('--classes', required=True, help='names in the order of their ids')
    parser.add_argument('--sparse', action='store_true', help='leave open what nobody has drawn')
    parser.add_argument(
        '--images', type=Path, help='look for each object inside its box, in these images'
    )
    arguments = parser.parse_args()
    names = arguments.classes.split(',')
    drawings = READERS[arguments.kind](arguments.source)
    count = write_masks(drawings, arguments.masks, names, arguments.sparse, arguments.images)
    print(f'{count} masks in {arguments.masks}')


if __name__ == '__main__':
    main()

"""Masks from the files of annotation tools, for the data kind `folder`.

    python -m training.annotations labelme|coco|cvat SOURCE MASKS --classes floor,crate,person

`SOURCE` is a folder of labelme JSON files, a COCO `instances.json`, or a CVAT `annotations.xml`
("CVAT for images 1.1"). `MASKS` receives one PNG for each image; its pixels are the classes'
positions in the list. What nobody has drawn is the first class, or unlabelled with `--sparse`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree  # our user's own export, not a stranger's

import cv2
import numpy as np
from numpy.typing import NDArray

from training.classes import UNLABELLED

__all__ = ['Drawing', 'coco', 'cvat', 'labelme', 'mask_of', 'write_masks']

Polygon = NDArray[np.float64]
"""Corners `[N,2]`."""

Painted = NDArray[np.bool_]
"""The pixels themselves, `[height,width]` of the image."""


class Drawing(NamedTuple):
    """What was drawn into one image: (class name, shape) from back to front."""

    image: str
    width: int
    height: int
    shapes: list[tuple[str, Polygon | Painted]]


def rectangle(left: float, top: float, right: float, bottom: float) -> Polygon:
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]])


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
        shapes = []
        for shape in file['shapes']:
            points = np.array(shape['points'], np.float64)
            kind = shape.get('shape_type', 'polygon')
            if kind == 'rectangle':
                points = rectangle(*points.min(0), *points.max(0))
            elif kind != 'polygon':
                raise ValueError(f'{path} has a {kind}; polygons and rectangles can be read.')
            shapes.append((shape['label'], points))
        yield Drawing(path.stem, file['imageWidth'], file['imageHeight'], shapes)


def coco(path: Path) -> Iterator[Drawing]:
    file = json.loads(path.read_text())
    names = {row['id']: row['name'] for row in file['categories']}
    sizes = {row['id']: (row['height'], row['width']) for row in file['images']}
    shapes: dict[int, list[tuple[str, Polygon | Painted]]] = {name: [] for name in sizes}
    # large ones first: what is small is mostly in front
    for row in sorted(file['annotations'], key=lambda row: -row.get('area', 0)):
        drawn = shapes[row['image_id']]
        name, segmentation = names[row['category_id']], row['segmentation']
        if isinstance(segmentation, list):
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
        drawn: list[tuple[int, str, Polygon | Painted]] = []
        for row in image:
            if row.tag == 'tag':  # says something of the whole image
                continue
            shape = cvat_shape(row, (height, width), path)
            drawn.append((int(row.get('z_order', 0)), row.get('label', ''), shape))
        drawn.sort(key=lambda row: row[0])
        shapes = [(label, shape) for _, label, shape in drawn]
        yield Drawing(Path(image.get('name', '')).stem, width, height, shapes)


def cvat_shape(
    row: ElementTree.Element, shape_hw: tuple[int, int], path: Path
) -> Polygon | Painted:
    """One element of an image.

    Raises:
        ValueError: It encloses no pixels (a point, a line), or is not known.
    """
    if row.tag == 'polygon':
        points = [pair.split(',') for pair in row.get('points', '').split(';')]
        return np.array(points, np.float64)
    if row.tag == 'box':
        return rectangle(*(float(row.get(k, 'nan')) for k in ('xtl', 'ytl', 'xbr', 'ybr')))
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


def mask_of(drawing: Drawing, names: Sequence[str], background: int) -> NDArray[np.uint8]:
    """The drawing as a mask; names that are not in the list are unlabelled."""
    mask = np.full((drawing.height, drawing.width), background, np.uint8)
    for name, shape in drawing.shapes:
        value = names.index(name) if name in names else UNLABELLED
        if shape.dtype == np.bool_:
            mask[shape] = value
        else:
            cv2.fillPoly(mask, [np.round(shape).astype(np.int32)], value)
    return mask


def write_masks(
    drawings: Iterator[Drawing], folder: Path, names: Sequence[str], sparse: bool = False
) -> int:
    """Write `folder/IMAGE.png` for each drawing; returns how many."""
    folder.mkdir(parents=True, exist_ok=True)
    count = 0
    for drawing in drawings:
        mask = mask_of(drawing, names, UNLABELLED if sparse else 0)
        cv2.imwrite(str(folder / f'{drawing.image}.png'), mask)
        count += 1
    return count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('kind', choices=sorted(READERS))
    parser.add_argument('source', type=Path)
    parser.add_argument('masks', type=Path)
    parser.add_argument('--classes', required=True, help='names in the order of their ids')
    parser.add_argument('--sparse', action='store_true', help='leave open what nobody has drawn')
    arguments = parser.parse_args()
    names = arguments.classes.split(',')
    drawings = READERS[arguments.kind](arguments.source)
    count = write_masks(drawings, arguments.masks, names, arguments.sparse)
    print(f'{count} masks in {arguments.masks}')


if __name__ == '__main__':
    main()

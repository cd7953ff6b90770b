# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from training.annotations import READERS, write_masks

NAMES = ['floor', 'crate']
CRATE_LEFT, CRATE_TOP, CRATE_RIGHT, CRATE_BOTTOM = 4, 6, 12, 10
SIZE_WH = (20, 16)


def source(kind: str, folder: Path, polygon: bool = True) -> Path:
    """The same crate, as each tool writes it."""
    width, height = SIZE_WH
    x0, y0, x1, y1 = CRATE_LEFT, CRATE_TOP, CRATE_RIGHT, CRATE_BOTTOM
    corners = [[x0, y0], [x1, y0], [x1, y1], [x0, y1]]
    if kind == 'labelme':
        kind, points = ('polygon', corners) if polygon else ('rectangle', corners[::2])
        crate = {'label': 'crate', 'points': points, 'shape_type': kind}
        file = {'shapes': [crate], 'imageWidth': width, 'imageHeight': height}
        (folder / 'one.json').write_text(json.dumps(file))
        return folder
    if kind == 'coco':
        outline = [value for corner in corners for value in corner]
        crate = {'id': 1, 'image_id': 7, 'category_id': 3, 'segmentation': [outline]}
        image = {'id': 7, 'file_name': 'a/one.jpg', 'width': width, 'height': height}
        categories = [{'id': 3, 'name': 'crate'}]
        file = {'images': [image], 'annotations': [crate], 'categories': categories}
        (folder / 'instances.json').write_text(json.dumps(file))
        return folder / 'instances.json'
    points = ';'.join(f'{x}.0,{y}.0' for x, y in corners)
    (folder / 'annotations.xml').write_text(
        f'<annotations><image name="one.png" width="{width}" height="{height}">'
        f'<polygon label="crate" points="{points}" z_order="0"/></image></annotations>'
    )
    return folder / 'annotations.xml'


@pytest.mark.parametrize('kind', sorted(READERS))
@pytest.mark.parametrize('sparse', [False, True])
def test_every_tool_gives_the_same_mask(kind: str, sparse: bool, tmp_path: Path) -> None:
    drawings = READERS[kind](source(kind, tmp_path))
    assert write_masks(drawings, tmp_path / 'masks', NAMES, sparse) == 1
    expected = np.full(SIZE_WH[::-1], 255 if sparse else 0, np.uint8)
    expected[CRATE_TOP : CRATE_BOTTOM + 1, CRATE_LEFT : CRATE_RIGHT + 1] = 1
    mask = cv2.imread(str(tmp_path / 'masks' / 'one.png'), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(mask, expected)


def boxes_only(kind: str, path: Path) -> Path:
    """The export with the crate as a box, as in `source` but of the whole of what is seen."""
    if kind == 'coco':
        file = json.loads(path.read_text())
        (row,) = file['annotations']
        row['segmentation'] = []
        row['bbox'] = [CRATE_LEFT, CRATE_TOP, CRATE_RIGHT - CRATE_LEFT, CRATE_BOTTOM - CRATE_TOP]
        path.write_text(json.dumps(file))
    if kind == 'cvat':
        before, _, rest = path.read_text().partition('<polygon')
        _, _, after = rest.partition('/>')
        corners = f'xtl="{CRATE_LEFT}" ytl="{CRATE_TOP}" xbr="{CRATE_RIGHT}" ybr="{CRATE_BOTTOM}"'
        path.write_text(f'{before}<box label="crate" {corners}/>{after}')
    return path


@pytest.mark.parametrize('kind', sorted(READERS))
def test_a_box_is_the_object_or_only_holds_it(kind: str, tmp_path: Path) -> None:
    path = boxes_only(kind, source(kind, tmp_path, polygon=False))
    write_masks(READERS[kind](path), tmp_path / 'whole', NAMES)
    whole = cv2.imread(str(tmp_path / 'whole/one.png'), cv2.IMREAD_UNCHANGED)
    box = slice(CRATE_TOP, CRATE_BOTTOM), slice(CRATE_LEFT, CRATE_RIGHT)
    assert (whole[box] == 1).all()
    assert (whole == 1).sum() == whole[box].size

    (tmp_path / 'images').mkdir()
    cv2.imwrite(str(tmp_path / 'images/one.jpg'), np.zeros((*SIZE_WH[::-1], 3), np.uint8))
    write_masks(READERS[kind](path), tmp_path / 'found', NAMES, images=tmp_path / 'images')
    found = cv2.imread(str(tmp_path / 'found/one.png'), cv2.IMREAD_UNCHANGED)
    assert set(np.unique(found[box])) == {1, 255}  # the object, and what is left open around it
    found[box] = 0
    assert not found.any()


def test_boxes_without_their_image_are_refused(tmp_path: Path) -> None:
    drawings = READERS['labelme'](source('labelme', tmp_path))
    with pytest.raises(FileNotFoundError, match='no image one of 20x16'):
        write_masks(drawings, tmp_path / 'masks', NAMES, images=tmp_path)


def test_a_class_that_is_not_in_the_list_is_left_open(tmp_path: Path) -> None:
    write_masks(READERS['cvat'](source('cvat', tmp_path)), tmp_path, ['floor', 'pallet'])
    mask = cv2.imread(str(tmp_path / 'one.png'), cv2.IMREAD_UNCHANGED)
    assert set(np.unique(mask)) == {0, 255}


def test_the_pixels_that_a_brush_painted_are_read(tmp_path: Path) -> None:
    width, height = SIZE_WH
    expected = np.zeros((height, width), np.uint8)
    expected[3:5, 2] = expected[4, 3] = 1
    down_the_columns = [2 * height + 3, 2, height - 1, 1, width * height - (3 * height + 5)]
    path = source('coco', tmp_path)
    file = json.loads(path.read_text())
    file['annotations'][0]['segmentation'] = {'counts': down_the_columns, 'size': [16, 20]}
    path.write_text(json.dumps(file))
    write_masks(READERS['coco'](path), tmp_path / 'coco', NAMES)
    path = tmp_path / 'cvat.xml'
    path.write_text(
        f'<annotations><image name="one.png" width="{width}" height="{height}"><tag label="day"/>'
        '<mask label="crate" rle="0, 1, 1, 2" left="2" top="3" width="2" height="2" z_order="0"/>'
        '</image></annotations>'
    )
    write_masks(READERS['cvat'](path), tmp_path / 'cvat', NAMES)
    for kind in ('coco', 'cvat'):
        mask = cv2.imread(str(tmp_path / kind / 'one.png'), cv2.IMREAD_UNCHANGED)
        np.testing.assert_array_equal(mask, expected)


def test_compressed_masks_are_refused_with_the_way_out(tmp_path: Path) -> None:
    path = source('coco', tmp_path)
    file = json.loads(path.read_text())
    file['annotations'][0]['segmentation'] = {'counts': 'abc', 'size': [16, 20]}
    path.write_text(json.dumps(file))
    with pytest.raises(ValueError, match='Export polygons or plain run lengths instead'):
        list(READERS['coco'](path))


def test_a_shape_that_encloses_nothing_is_refused(tmp_path: Path) -> None:
    path = source('cvat', tmp_path)
    path.write_text(path.read_text().replace('polygon', 'polyline'))
    with pytest.raises(ValueError, match='has a polyline; polygons, boxes and masks can be read'):
        list(READERS['cvat'](path))

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


def source(kind: str, folder: Path) -> Path:
    """The same crate, as each tool writes it."""
    width, height = SIZE_WH
    x0, y0, x1, y1 = CRATE_LEFT, CRATE_TOP, CRATE_RIGHT, CRATE_BOTTOM
    corners = [[x0, y0], [x1, y0], [x1, y1], [x0, y1]]
    if kind == 'labelme':
        crate = {'label': 'crate', 'points': [corners[0], corners[2]], 'shape_type': 'rectangle'}
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


def test_a_class_that_is_not_in_the_list_is_left_open(tmp_path: Path) -> None:
    write_masks(READERS['cvat'](source('cvat', tmp_path)), tmp_path, ['floor', 'pallet'])
    mask = cv2.imread(str(tmp_path / 'one.png'), cv2.IMREAD_UNCHANGED)
    assert set(np.unique(mask)) == {0, 255}


def test_run_length_codes_are_refused_with_the_way_out(tmp_path: Path) -> None:
    path = source('coco', tmp_path)
    file = json.loads(path.read_text())
    file['annotations'][0]['segmentation'] = {'counts': 'abc', 'size': [16, 20]}
    path.write_text(json.dumps(file))
    with pytest.raises(ValueError, match='Export polygons instead'):
        list(READERS['coco'](path))

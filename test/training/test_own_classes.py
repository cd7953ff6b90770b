# SPDX-License-Identifier: Apache-2.0
"""The walk-through of training/README.md, as a user does it: fifty pictures become an engine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pytest
import yaml
from numpy.typing import NDArray

from seg_ros.commands.evaluate.metrics import ConfusionMatrix
from test.training.training_python import REPOSITORY, needs_training, run_training

IMAGES = 50
TEST_IMAGES = 5
SIZE_WH = (160, 96)
NAMES = ['floor', 'crate', 'person']
FLOOR, CRATE, PERSON = range(3)
COLOURS = {FLOOR: (95, 95, 95), CRATE: (220, 130, 20), PERSON: (30, 40, 190)}
STEPS = 40


class Scene(NamedTuple):
    """What stands in a picture: (class, corners) from back to front."""

    crate: NDArray[np.int32]
    person: NDArray[np.int32]

    @property
    def shapes(self) -> list[tuple[int, NDArray[np.int32]]]:
        return [(CRATE, self.crate), (PERSON, self.person)]


def scene(seed: int) -> Scene:
    """A crate, and a person somewhere before the other half of the picture."""
    random = np.random.default_rng(seed)
    left, top = random.integers(4, 40), random.integers(10, 50)
    x, y = random.integers(90, 140), random.integers(6, 20)
    crate = [(left, top), (left + 36, top), (left + 36, top + 36), (left, top + 36)]
    person = [(x, y), (x + 10, y + 14), (x + 12, y + 66), (x - 12, y + 66), (x - 10, y + 14)]
    return Scene(np.array(crate, np.int32), np.array(person, np.int32))


def labels_of(what: Scene) -> NDArray[np.uint8]:
    labels = np.full(SIZE_WH[::-1], FLOOR, np.uint8)
    for value, corners in what.shapes:
        cv2.fillPoly(labels, [corners], value)
    return labels


def write_picture(path: Path, what: Scene, seed: int) -> None:
    labels = labels_of(what)
    image = np.random.default_rng(seed).normal(0, 12, (*labels.shape, 3))
    for value, colour in COLOURS.items():
        image[labels == value] += colour
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), image.clip(0, 255).astype(np.uint8)[..., ::-1])


def write_labelme(folder: Path, scenes: dict[str, Scene]) -> Path:
    for stem, what in scenes.items():
        shapes = [
            {'label': NAMES[value], 'points': corners.tolist(), 'shape_type': 'polygon'}
            for value, corners in what.shapes
        ]
        file = {'shapes': shapes, 'imageWidth': SIZE_WH[0], 'imageHeight': SIZE_WH[1]}
        (folder / f'{stem}.json').write_text(json.dumps(file))
    return folder


def write_coco(folder: Path, scenes: dict[str, Scene]) -> Path:
    images, annotations = [], []
    for number, (stem, what) in enumerate(scenes.items()):
        size = {'width': SIZE_WH[0], 'height': SIZE_WH[1]}
        images.append({'id': number, 'file_name': f'{stem}.jpg', **size})
        annotations += [
            {
                'id': 2 * number + value,
                'image_id': number,
                'category_id': value,
                'segmentation': [corners.ravel().tolist()],
                'area': float(cv2.contourArea(corners)),
            }
            for value, corners in what.shapes
        ]
    categories = [{'id': value, 'name': NAMES[value]} for value in (CRATE, PERSON)]
    file = {'images': images, 'annotations': annotations, 'categories': categories}
    (folder / 'instances.json').write_text(json.dumps(file))
    return folder / 'instances.json'


def write_cvat(folder: Path, scenes: dict[str, Scene]) -> Path:
    rows = []
    for stem, what in scenes.items():
        shapes = ''.join(
            f'<polygon label="{NAMES[value]}" z_order="{value}" '
            f'points="{";".join(f"{x}.0,{y}.0" for x, y in corners)}"/>'
            for value, corners in what.shapes
        )
        size = f'width="{SIZE_WH[0]}" height="{SIZE_WH[1]}"'
        rows.append(f'<image name="{stem}.jpg" {size}>{shapes}</image>')
    (folder / 'annotations.xml').write_text(f'<annotations>{"".join(rows)}</annotations>')
    return folder / 'annotations.xml'


WRITERS = {'labelme': write_labelme, 'coco': write_coco, 'cvat': write_cvat}


def annotate(kind: str, folder: Path, scenes: dict[str, Scene]) -> Path:
    """Export the scenes as a tool does, and turn that into masks; returns their folder."""
    source = folder / 'annotations'
    source.mkdir()
    words = [kind, WRITERS[kind](source, scenes), folder / 'my' / 'masks']
    subprocess.run(
        [sys.executable, '-m', 'training.annotations', *words, '--classes', ','.join(NAMES)],
        check=True,
        cwd=REPOSITORY,
    )
    return folder / 'my' / 'masks'


@pytest.mark.parametrize('kind', WRITERS)
def test_fifty_annotated_pictures_become_fifty_masks_whatever_the_tool(
    kind: str, tmp_path: Path
) -> None:
    scenes = {f'{seed:03}': scene(seed) for seed in range(IMAGES)}
    masks = annotate(kind, tmp_path, scenes)
    assert len(list(masks.iterdir())) == IMAGES
    for stem, what in scenes.items():
        mask = cv2.imread(str(masks / f'{stem}.png'), cv2.IMREAD_UNCHANGED)
        np.testing.assert_array_equal(mask, labels_of(what))


def own_config() -> dict[str, object]:
    """training/configs/own.yaml with the paths of the test, at a tiny size."""
    config = yaml.safe_load((REPOSITORY / 'training/configs/own.yaml').read_text())
    assert [row['name'] for row in config['classes']] == NAMES
    for row in (*config['sources'], *config['evaluation']):
        row['size_wh'] = list(SIZE_WH)
    config['augmentation']['mine']['crop_wh'] = [128, 96]
    config['steps'], config['warmup'], config['ema'] = STEPS, 4, 0.8
    config['checkpoint_every'] = STEPS
    return dict(config)


def recorded_labels(bag: Path) -> list[NDArray[np.uint8]]:
    rosbags = pytest.importorskip('rosbags.highlevel')
    with rosbags.AnyReader([bag]) as reader:
        topics = [row for row in reader.connections if row.topic == '/segmentation/label']
        messages = [
            reader.deserialize(raw, row.msgtype) for row, _, raw in reader.messages(topics)
        ]
    return [m.data.reshape(m.height, m.step)[:, : m.width] for m in messages]


def run_seg_ros(*words: str, folder: Path) -> str:
    """Run `seg_ros WORDS` in a folder; returns what it printed."""
    done = subprocess.run(
        [sys.executable, '-m', 'seg_ros.cli', *words],
        cwd=folder,
        text=True,
        capture_output=True,
        timeout=240.0,
        env={**os.environ, 'PYTHONPATH': str(REPOSITORY)},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@needs_training
def test_fifty_pictures_and_three_commands_are_an_engine_that_works_in_the_node(
    tmp_path: Path,
) -> None:
    scenes = {f'{seed:03}': scene(seed) for seed in range(IMAGES)}
    for seed, (stem, what) in enumerate(scenes.items()):
        write_picture(tmp_path / f'my/images/{stem}.png', what, seed)
    annotate('labelme', tmp_path, scenes)
    unseen = scene(1000)
    for seed in range(1000, 1000 + TEST_IMAGES):
        write_picture(tmp_path / f'my/test/images/{seed}.png', unseen, seed)
        (tmp_path / 'my/test/masks').mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / f'my/test/masks/{seed}.png'), labels_of(unseen))
    (tmp_path / 'my.yaml').write_text(yaml.safe_dump(own_config()))

    size = 'x'.join(map(str, SIZE_WH))
    run_training('training.train', 'my.yaml', folder=tmp_path)
    exported = ['training.export', 'out/train/mine/last.pt', 'engines/mine', '--size', size]
    run_training(*exported, folder=tmp_path)
    run_seg_ros('demo', '--engine', 'engines/mine', '--images', 'my/test/images', folder=tmp_path)

    labels = recorded_labels(tmp_path / 'out/demo/bag')
    assert len(labels) >= TEST_IMAGES - 2  # a busy machine may lose one or two
    matrix = ConfusionMatrix(len(NAMES))
    for found in labels:
        matrix.add(labels_of(unseen), found)
    assert matrix.iou().min() > 0.6, matrix.iou()

    words = ['--engine', 'engines/mine', '--dataset', 'my', '--split', 'test', '--ids', 'engine']
    figures = json.loads(run_seg_ros('evaluate', *words, '--json', folder=tmp_path))
    assert figures['images'] == TEST_IMAGES
    assert min(figures['iou'].values()) > 0.6, figures
    card = ['training.evaluate', 'engines/mine', '--config', 'my.yaml', '--write']
    run_training(*card, folder=tmp_path)
    assert '| mine-test | 5 | 160x96 |' in (tmp_path / 'engines/mine/MODEL_CARD.md').read_text()

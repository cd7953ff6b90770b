# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

torch = pytest.importorskip('torch', reason='training needs torch: training/install.sh')

from training import compare  # noqa: E402

ROAD, PEDESTRIAN, VEHICLE = 3, 9, 8
SIZE_WH = (64, 48)


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A DeepLab with and without CRF, and one from boxes, on a red figure beside a blue car."""
    monkeypatch.chdir(tmp_path)
    for name in ('images', 'masks'):
        Path(name).mkdir()
    for seed in range(4):
        labels = np.full(SIZE_WH[::-1], ROAD, np.uint8)
        labels[10:40, 12 + seed : 24 + seed] = PEDESTRIAN
        labels[24:40, 38:58] = VEHICLE
        image = np.random.default_rng(seed).integers(80, 120, (*labels.shape, 3)).astype(np.uint8)
        image[labels == PEDESTRIAN] = (40, 40, 220)  # BGR
        image[labels == VEHICLE] = (220, 40, 40)
        cv2.imwrite(f'images/{seed}.png', image)
        cv2.imwrite(f'masks/{seed}.png', labels)
    source = {
        'name': 'street', 'kind': 'folder', 'images': 'images', 'masks': 'masks',
        'size_wh': list(SIZE_WH), 'share': 1.0,
    }  # fmt: skip
    weak = {
        'name': 'boxes', 'kind': 'from_boxes', 'classes': ['pedestrian', 'vehicle'], 'share': 1.0,
        'of': {key: value for key, value in source.items() if key != 'share'},
    }  # fmt: skip
    crops = {'crop_wh': [64, 32], 'paste_share': 0.0}
    deeplab = {
        'name': 'deeplab', 'buys': 'atrous', 'run': 'tiny/deeplab',
        'model': {'kind': 'deeplab', 'pretrained': False, 'width': 16},
    }  # fmt: skip
    shared = {
        'seed': 1, 'sources': [source], 'augmentation': {'street': crops, 'boxes': crops},
        'batch': 2, 'steps': 2, 'rate': 1e-3, 'encoder_rate': 1.0, 'decay': 0.0, 'warmup': 1,
        'hard_share': 1.0, 'ema': 0.5, 'checkpoint_every': 1,
    }  # fmt: skip
    return {
        'network_size': list(SIZE_WH),
        'shared': shared,
        'validation': source,
        'architectures': [deeplab, {**deeplab, 'name': 'with CRF', 'refine': {'crf_steps': 1}}],
        'supervision': [
            {**deeplab, 'name': 'masks'},
            {**deeplab, 'name': 'boxes', 'run': 'tiny/boxes', 'sources': [weak]},
        ],
    }


def measured(row: dict[str, Any], config: dict[str, Any]) -> compare.Figures:
    compare.trained(compare.config_of(row, config['shared']), 'cpu')
    return compare.measured(row, config, every=1)


def test_the_tables_have_a_row_for_each_network_and_each_kind_of_labels(
    config: dict[str, Any],
) -> None:
    found = {
        kind: [measured(row, config) for row in config[kind]]
        for kind in ('architectures', 'supervision')
    }
    text = compare.report(config, found['architectures'], [12.0, 34.0], found['supervision'])
    assert 'after 2 steps of 2 crops of 64x32 from street' in text
    assert '(4 images, 64x48' in text
    plain, refined = found['architectures']
    assert plain.macs == refined.macs  # the CRF has no convolution
    assert f'| deeplab | atrous | none | {plain.parameters / 1e6:.2f} |' in text
    assert '| 34 |' in next(line for line in text.splitlines() if line.startswith('| with CRF'))
    masks, boxes = text.splitlines()[-2:]
    assert masks.startswith('| masks | 100.0, 100.0 | 100.0, 100.0 |')
    assert not boxes.startswith('| boxes | 100.0, 100.0')
    assert 'Not trained' not in text
    seed = config['shared']['seed']
    assert f'(seed {seed}):' in text
    two = [plain, refined._replace(row={**refined.row, 'seed': seed + 1})]
    assert f'(seeds {seed}, {seed + 1}):' in compare.report(config, two, [12.0, 34.0], [])
    partly = compare.report(config, found['architectures'][:1], [12.0], found['supervision'])
    assert 'Not trained to the end yet: with CRF.' in partly


def test_a_finished_run_is_not_trained_again(config: dict[str, Any]) -> None:
    row = config['architectures'][0]
    assert not compare.is_finished(row)
    first = compare.trained(compare.config_of(row, config['shared']), 'cpu')
    assert compare.is_finished(row)
    made = first.stat().st_mtime_ns
    assert compare.trained(compare.config_of(row, config['shared']), 'cpu') == first
    assert first.stat().st_mtime_ns == made


def test_a_run_of_another_config_is_refused(config: dict[str, Any]) -> None:
    run = compare.config_of(config['architectures'][0], config['shared'])
    compare.trained(run, 'cpu')
    with pytest.raises(ValueError, match='trained by another config'):
        compare.trained({**run, 'rate': 1e-4}, 'cpu')


def test_every_further_validation_set_has_a_column(config: dict[str, Any]) -> None:
    street = config['validation']
    config = {**config, 'validation': [street, {**street, 'name': 'elsewhere'}]}
    del config['supervision']
    found = [measured(config['architectures'][0], config)]
    head, _, row = compare.report(config, found, [12.0], []).splitlines()[-3:]
    assert head.endswith('| lane marking | mIoU elsewhere |')
    assert row.endswith(f'| {100 * found[0].scores[0]["miou"]:.1f} |')


def test_multiplications_are_counted_where_they_happen() -> None:
    layers = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3, stride=2, padding=1),
        torch.nn.Conv2d(8, 8, 3, padding=1, groups=8),
    )
    assert compare.macs(layers, (16, 12)) == 8 * 6 * (8 * 3 * 9 + 8 * 9)


def test_only_what_is_between_the_markers_is_replaced(tmp_path: Path) -> None:
    page = tmp_path / 'README.md'
    begin, end = '<!-- here begins -->', '<!-- here ends -->'
    page.write_text(f'before\n{begin}\nold\n{end}\nafter\n')
    compare.write_between(page, 'new', 'here')
    assert page.read_text() == f'before\n{begin}\n\nnew\n\n{end}\nafter\n'
    page.write_text('no marker')
    with pytest.raises(ValueError, match='must have the lines'):
        compare.write_between(page, 'new')

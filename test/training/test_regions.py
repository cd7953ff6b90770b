# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

torch = pytest.importorskip('torch', reason='training needs torch: training/install.sh')
pytest.importorskip('sklearn', reason='regions need scikit-learn: training/install.sh')
if not hasattr(cv2, 'ximgproc'):
    pytest.skip(
        "regions need OpenCV's contrib modules: training/install.sh", allow_module_level=True
    )

from training.classes import ROAD_SCENE  # noqa: E402
from training.regions import compare, labelling, mask_rcnn, sds  # noqa: E402
from training.regions.baseline import Svms  # noqa: E402
from training.regions.proposals import Regions, proposed  # noqa: E402

ROAD, VEHICLE, PEDESTRIAN, UNKNOWN = 3, 8, 9, 255
SIZE_WH = (96, 64)


def street(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A red figure beside a blue car on a grey road: RGB and labels."""
    labels = np.full(SIZE_WH[::-1], ROAD, np.uint8)
    labels[10:50, 12 + seed : 26 + seed] = PEDESTRIAN
    labels[30:54, 50:86] = VEHICLE
    image = np.random.default_rng(seed).integers(90, 110, (*labels.shape, 3)).astype(np.uint8)
    image[labels == PEDESTRIAN] = (220, 40, 40)
    image[labels == VEHICLE] = (40, 40, 220)
    return image, labels


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Every kind of row at a tiny size, on pictures as `street` draws them."""
    monkeypatch.chdir(tmp_path)
    for name in ('images', 'masks'):
        Path(name).mkdir()
    for seed in range(4):
        image, labels = street(seed)
        cv2.imwrite(f'images/{seed}.png', cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        cv2.imwrite(f'masks/{seed}.png', labels)
    source = {
        'name': 'street', 'kind': 'folder', 'images': 'images', 'masks': 'masks',
        'size_wh': list(SIZE_WH), 'share': 1.0,
    }  # fmt: skip
    shared = {
        'sources': [source], 'augmentation': {'street': {'crop_wh': [96, 64], 'paste_share': 0.0}},
        'batch': 2, 'steps': 2, 'rate': 1e-3, 'encoder_rate': 1.0, 'decay': 0.0, 'warmup': 1,
        'hard_share': 1.0, 'ema': 0.5, 'checkpoint_every': 1,
    }  # fmt: skip
    regions = {
        'encoder': 0, 'pretrained': False, 'size_wh': list(SIZE_WH), 'pictures': 3, 'regions': 30,
    }  # fmt: skip
    network = {
        'name': 'hypercolumns', 'idea': 'columns', 'run': 'tiny/hypercolumns',
        'model': {'kind': 'hypercolumns', 'pretrained': False, 'width': 16},
    }  # fmt: skip
    return {
        'seeds': [1, 2],
        'network_size': list(SIZE_WH),
        'shared': shared,
        'validation': source,
        'methods': [
            {
                'kind': 'regions', 'name': 'regions', 'idea': 'SVMs', 'run': 'tiny/regions',
                'lines': ['full', 'both'], 'features': [['full'], ['full', 'foreground']],
                **regions,
            },
            {
                'kind': 'sds', 'name': 'SDS', 'idea': ['joint', 'better'], 'run': 'tiny/sds',
                'lines': ['SDS', 'SDS, refined'], 'refined_on': 2, **regions, 'batch': 8,
            },
            {
                'kind': 'mask_rcnn', 'name': 'masks', 'idea': ['masks', 'logits'],
                'run': 'tiny/masks', 'lines': ['masks', 'logits'], 'encoder': 0,
                'pretrained': False, 'size_wh': list(SIZE_WH),
            },
            network,
        ],
        'curve': [
            {**network, 'real': 1.0, 'synthetic': False},
            {**network, 'real': 0.0, 'synthetic': True, 'run': 'tiny/synthetic'},
        ],
    }  # fmt: skip


def finished(config: dict[str, Any]) -> dict[str, list[Any]]:
    """Train and score all methods; the figures of each line by seed."""
    found: dict[str, list[Any]] = {}
    for row, run in compare.in_order({**config, 'curve': []}):
        compare.method_of(row).train(run)
        for line, figures in compare.figures_of(row, run, config).items():
            found.setdefault(line, []).append(figures)
    return found


def test_every_method_has_a_row_and_region_methods_say_where_their_time_goes(
    config: dict[str, Any],
) -> None:
    found = finished(config)
    assert list(found) == [
        'full', 'both', 'SDS', 'SDS, refined', 'masks', 'logits', 'hypercolumns',
    ]  # fmt: skip
    rows = {line: row for row in config['methods'] for line in row.get('lines', [row['name']])}
    times_ms = compare.cpu_times_ms(found, rows, config)
    text = compare.report(found, rows, times_ms, config, left_out=['U-Net'])
    assert 'after 2 steps of 2 crops of 96x64 from street' in text
    assert 'the mean of 2 seeds' in text
    assert 'Not trained to the end yet: U-Net.' in text
    lines = text.splitlines()
    assert next(x for x in lines if x.startswith('| SDS, refined |')).count(' ± ') >= 4
    for name in ('full', 'both', 'SDS', 'SDS, refined'):
        proposals, *_, share = next(
            x for x in reversed(lines) if x.startswith(f'| {name} |')
        ).split(' | ')[1:]
        assert float(proposals) > 0
        assert 0 < float(share.rstrip(' |')) < 100
    assert 'Of fewer seeds' not in text
    partly = {**found, 'SDS': found['SDS'][:1]}
    assert 'Of fewer seeds yet, without a ±: SDS.' in compare.report(
        partly, rows, times_ms, config
    )
    assert lines[-6].startswith('| 1 | 100.0 | 100.0 | 100.0 |')
    assert lines[-1].startswith('| 32 |')


def test_what_is_trained_and_scored_is_neither_trained_nor_scored_again(
    config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = finished(config)
    for method in compare.METHODS.values():
        monkeypatch.setattr(type(method), 'measure', None)
    made = {path: path.stat().st_mtime_ns for path in Path('out/train').rglob('*.pt')}
    assert len(made) == 2 * 3
    assert finished(config) == found
    assert made == {path: path.stat().st_mtime_ns for path in made}


def test_before_anything_is_trained_the_text_says_so_and_what_a_grid_leaves_of_the_truth(
    config: dict[str, Any],
) -> None:
    text = compare.report({}, {}, {}, config, left_out=['regions', 'SDS'])
    assert 'Not trained to the end yet: regions, SDS.' in text
    assert '(4 images' in text
    assert text.splitlines()[-1].startswith('| 32 |')


@pytest.mark.parametrize('kind', ['sds', 'mask_rcnn', 'network'])
def test_a_run_of_another_config_is_refused(config: dict[str, Any], kind: str) -> None:
    row = next(r for r in config['methods'] if r.get('kind', 'network') == kind)
    run = compare.config_of(row, config['shared'], 1)
    compare.method_of(row).train(run)
    with pytest.raises(ValueError, match='trained by another config'):
        compare.method_of(row).train({**run, 'rate': 1e-4})


def test_regions_that_were_kept_for_another_config_are_refused(config: dict[str, Any]) -> None:
    row = config['methods'][0]
    run = compare.config_of(row, config['shared'], 1)
    compare.method_of(row).train(run)
    with pytest.raises(ValueError, match='is of another config'):
        compare.method_of(row).train({**run, 'pictures': 2})


def test_the_curve_has_a_cell_for_each_share_alone_and_with_synthetic_pictures(
    config: dict[str, Any], tmp_path: Path
) -> None:
    assert list(compare.curve_points(config)) == []  # nothing is trained yet
    for row in config['curve']:
        for seed in config['seeds']:
            compare.method_of(row).train(compare.config_of(row, config['shared'], seed))
    points = list(compare.curve_points(config))
    assert [(share, added) for share, added, _ in points] == [(0.0, True), (1.0, False)]
    head, _, none, all_of_them = compare.curve_table(points).splitlines()
    assert head.startswith('| real pictures, % | mIoU, alone | mIoU, with |')
    assert none.startswith('| 0 | – |')
    assert all_of_them.split(' | ')[2] == '–'
    drawn = tmp_path / 'curve.svg'
    compare.draw_curve(points, drawn)
    first = drawn.read_text()
    assert 'with synthetic ones' in first
    compare.draw_curve(points, drawn)
    assert drawn.read_text() == first  # no date, no chance: a figure is committed


def test_proposals_have_the_pixels_of_each_thing_and_nest_like_a_tree() -> None:
    image, labels = street()
    regions = proposed(image)
    segments = regions.members.shape[1]
    assert (regions.members[:segments] == np.eye(segments, dtype=bool)).all()
    for one in regions.members:
        for other in regions.members:
            assert not (one & other).any() or not (one & ~other).any() or not (other & ~one).any()
    for label in (PEDESTRIAN, VEHICLE):
        mask = labels == label
        overlaps = [
            (whole & mask).sum() / (whole | mask).sum()
            for whole in (member[regions.segments] for member in regions.members)
        ]
        assert max(overlaps) > 0.9
    for index in range(len(regions)):
        left, top, right, bottom = regions.boxes[index]
        whole = regions.members[index][regions.segments]
        assert whole.sum() == regions.mask(index).sum()
        assert whole[:, left].any()
        assert whole[:, right - 1].any()
        assert whole[top].any()
        assert whole[bottom - 1].any()


def quarters() -> Regions:
    """Four segments of 8x8 px, the two on the left as one more region, and all."""
    segments = np.zeros((16, 16), np.int32)
    segments[:8, 8:], segments[8:, :8], segments[8:, 8:] = 1, 2, 3
    members = np.zeros((6, 4), bool)
    members[:4] = np.eye(4, dtype=bool)
    members[4, [0, 2]] = True
    members[5] = True
    boxes = np.array(
        [
            [0, 0, 8, 8],
            [8, 0, 16, 8],
            [0, 8, 8, 16],
            [8, 8, 16, 16],
            [0, 0, 8, 16],
            [0, 0, 16, 16],
        ],
        np.int32,
    )
    return Regions(segments, members, boxes)


def test_a_pixel_is_labelled_by_the_highest_scoring_region_that_has_it() -> None:
    regions = quarters()
    scores = np.array(
        [[0.5, 0.1], [0.4, 0.1], [0.0, 0.7], [0.1, 0.2], [0.1, 0.6], [0.3, 0.0]], np.float32
    )
    labels = labelling.labels_of_regions(regions.segments, regions.members, scores)
    assert labels[0, 0] == 1  # the left half beats the quarter
    assert labels[0, 15] == 0  # its own 0.4 beats the whole's 0.3
    assert labels[15, 0] == 1
    assert labels[15, 15] == 0  # the whole's 0.3 beats its own 0.2


def test_shares_are_of_what_is_known() -> None:
    regions = quarters()
    labels = np.zeros((16, 16), np.uint8)
    labels[:4, :8] = 1
    labels[8:, :8] = UNKNOWN
    shares = regions.class_shares(labels, 2)
    assert shares[0].tolist() == [0.5, 0.5]
    assert shares[2].tolist() == [0.0, 0.0]  # nothing is known of it
    assert shares[4].tolist() == [0.5, 0.5]
    assert shares[5].tolist() == pytest.approx([5 / 6, 1 / 6])


def test_svms_tell_classes_apart_and_never_see_one_without_examples() -> None:
    random = np.random.default_rng(0)
    kind = np.repeat([0, 1], 40)
    features = {'full': (random.normal(0, 1, (80, 4)) + 4 * kind[:, None]).astype(np.float32)}
    shares = np.zeros((80, 3))
    shares[np.arange(80), kind] = 1.0
    svms = Svms.fit(('full',), features, shares, seed=0)
    scores = svms.scores(features)
    assert (scores.argmax(1) == kind).mean() > 0.95
    assert np.isneginf(scores[:, 2]).all()


def test_blobs_are_things_that_are_connected() -> None:
    _, labels = street()
    blobs = labelling.blobs_of(labels, labelling.things_of(ROAD_SCENE))
    assert {(blob.class_id, blob.box) for blob in blobs} == {
        (PEDESTRIAN, (12, 10, 26, 50)), (VEHICLE, (50, 30, 86, 54)),
    }  # fmt: skip
    assert all(blob.mask.all() for blob in blobs)


def test_joint_training_leaves_out_parts_of_things_and_takes_whole_ones_as_they_are() -> None:
    image, labels = street()
    regions = proposed(image)
    # a region that is the upper third of the person, and nothing else
    third = np.full(labels.shape, 1, np.int32)
    third[10:22, 12:26] = 0
    part = Regions(third, np.eye(2, dtype=bool)[:1], np.array([[12, 10, 26, 22]], np.int32))
    random = np.random.default_rng(0)
    alone = sds.examples_of([(image, labels, part)], 10, ROAD_SCENE, random)
    assert sorted(alone.labels.tolist()) == [VEHICLE, PEDESTRIAN]  # the blobs, not the part
    assert alone.grids.min() > 0.999
    some = sds.examples_of([(image, labels, regions)], 50, ROAD_SCENE, random)
    assert set(some.labels.tolist()) >= {ROAD, VEHICLE, PEDESTRIAN}
    assert len(some.labels) == len(some.cuts.crops) == len(some.cuts.masks) == len(some.own)


def test_refinement_drops_and_adds_segments_by_the_coarse_mask() -> None:
    regions = quarters()
    drawn = np.zeros((6, 4))
    drawn[4] = [0.9, 0.8, 0.1, 0.1]  # the region has 0 and 2; the mask says 0 and 1
    by_mask = sds.Refinement(np.array([10.0, 0.0, 0.0]), -5.0)
    refined = by_mask.members(drawn, regions.members)
    assert (refined[4] > 0).tolist() == [True, True, False, False]
    assert refined[4, 0] > refined[4, 1] > 0.9
    assert ((refined[:4] > 0) == np.eye(4, dtype=bool)).all()  # every pixel stays in some region


def test_a_region_that_may_have_a_pixel_yields_to_one_that_has_it() -> None:
    regions = quarters()
    scores = np.tile(np.array([[0.0, 0.1]], np.float32), (6, 1))
    scores[1], scores[4] = [0.7, 0.0], [0.0, 0.9]
    members = regions.members.astype(np.float64)
    members[4, 1] = 0.6  # 0.9 times 0.6 is less than 0.7
    labels = labelling.labels_of_regions(regions.segments, members, scores)
    assert labels[0, 15] == 0
    assert labels[0, 0] == 1


def test_a_coarse_mask_is_zero_outside_its_box() -> None:
    grids = np.ones((6, sds.GRID, sds.GRID), np.float32)
    assert sds.on_segments(grids, quarters())[4].tolist() == [1.0, 0.0, 1.0, 0.0]


def test_roi_align_reads_between_the_cells() -> None:
    ramp = torch.arange(8.0).expand(1, 1, 6, 8)  # cell i holds i and covers 4i to 4i + 4 px
    boxes = torch.tensor([[6.0, 4.0, 14.0, 12.0]])
    found = mask_rcnn.roi_align(ramp, boxes, stride=4, cells=2)
    # the middles of the two cells of the box lie at 8 and 12 px: between cells 1|2 and 2|3
    assert found[0, 0].tolist() == [[1.5, 2.5], [1.5, 2.5]]


def test_a_box_is_found_where_its_cells_point_to_and_only_once() -> None:
    things = labelling.things_of(ROAD_SCENE)
    _, labels = street()
    targets = mask_rcnn.targets_of(labelling.blobs_of(labels, things), things, (8, 12))
    truth = mask_rcnn.Dense(
        torch.zeros(1, 1, 16, 24),
        torch.zeros(1, 1, 16, 24),
        torch.from_numpy(20 * targets.objects - 10)[None],
        torch.from_numpy(targets.sides)[None],
    )
    found = mask_rcnn.boxes_of(truth)
    assert sorted(np.rint(found).astype(int).tolist()) == [[12, 10, 26, 50], [50, 30, 86, 54]]


def test_a_mask_that_was_cut_out_is_laid_where_it_came_from() -> None:
    _, labels = street()
    ellipse = np.zeros(labels.shape, np.uint8)
    cv2.ellipse(ellipse, (40, 30), (14, 20), 20, 0, 360, PEDESTRIAN, -1)
    (blob,) = labelling.blobs_of(ellipse, [PEDESTRIAN])
    box = np.array(blob.box, np.float32) + np.array([-3, 2, 4, -1], np.float32)
    laid = np.zeros(labels.shape, np.uint8)
    mask_rcnn.lay(laid, mask_rcnn.mask_in(blob, box), box, PEDESTRIAN)
    left, top, right, bottom = box.astype(int)
    seen = np.zeros(labels.shape, bool)
    seen[top:bottom, left:right] = True
    mine, its = laid > 0, (ellipse > 0) & seen
    assert (mine & its).sum() / (mine | its).sum() > 0.93


def test_boxes_to_learn_from_are_things_and_places_without_one() -> None:
    things = labelling.things_of(ROAD_SCENE)
    _, labels = street()
    blobs = labelling.blobs_of(labels, things)
    for seed in range(5):
        rois = mask_rcnn.rois_of(blobs, things, labels.shape, np.random.default_rng(seed))
        for box, label, mask in zip(*rois, strict=True):
            best = max(mask_rcnn.overlap(box, np.array(blob.box)) for blob in blobs)
            assert (best > 0.5) if label < len(things) else (best < 0.3)
            assert mask.any() == (label < len(things))
    empty = mask_rcnn.rois_of([], things, labels.shape, np.random.default_rng(0))
    assert empty.labels.tolist() == [len(things)]

# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
import yaml

torch = pytest.importorskip('torch', reason='training needs torch: training/install.sh')

from seg_ros.inference.cpu_backend import bf16_instructions  # noqa: E402
from training import data, train  # noqa: E402
from training.augment import Augmentation, Sampler  # noqa: E402
from training.blend import blended, blended_runs  # noqa: E402
from training.classes import ROAD_SCENE, UNLABELLED, ClassRow, ClassTable  # noqa: E402
from training.config import read_config  # noqa: E402
from training.evaluate import OnnxLabels, evaluate, of_another_run, ways_through  # noqa: E402
from training.export import export_onnx, load_checkpoint, unweight, write_spec  # noqa: E402
from training.labelled_set import LabelledSet  # noqa: E402
from training.model_card import write_card, write_metrics  # noqa: E402
from training.models import create  # noqa: E402
from training.quantize import quantize, quantize_for_cpu  # noqa: E402
from training.slim import slim  # noqa: E402

SIZE_WH = (64, 48)
FLOOR, CRATE = 0, 1
CLASSES = ClassTable((ClassRow('floor', (90, 90, 90)), ClassRow('crate', (200, 120, 20))))


def warehouse(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """An orange crate somewhere on a grey floor."""
    random = np.random.default_rng(seed)
    image = random.integers(70, 110, (SIZE_WH[1], SIZE_WH[0], 3)).astype(np.uint8)
    labels = np.full(image.shape[:2], FLOOR, np.uint8)
    x, y = random.integers(4, 36), random.integers(4, 24)
    labels[y : y + 20, x : x + 24] = CRATE
    image[labels == CRATE] = (220, 130, 20)
    return image, labels


@pytest.fixture
def own_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """The README's walk-through: a folder of images, one of masks, one config."""
    monkeypatch.chdir(tmp_path)  # runs and caches lie below
    (tmp_path / 'images').mkdir()
    (tmp_path / 'masks').mkdir()
    for seed in range(8):
        image, labels = warehouse(seed)
        cv2.imwrite(str(tmp_path / 'images' / f'{seed}.png'), image[..., ::-1])
        cv2.imwrite(str(tmp_path / 'masks' / f'{seed}.png'), labels)
    source = {
        'name': 'warehouse',
        'kind': 'folder',
        'images': str(tmp_path / 'images'),
        'masks': str(tmp_path / 'masks'),
        'size_wh': list(SIZE_WH),
        'share': 1.0,
    }
    return {
        'seed': 1,
        'run': 'own',
        'classes': [
            {'name': 'floor', 'colour': [90, 90, 90], 'roles': ['drivable']},
            {'name': 'crate', 'colour': [200, 120, 20], 'roles': ['obstacle']},
        ],
        'model': {'kind': 'fast_scnn'},
        'sources': [source],
        'validation': source,
        'evaluation': [source],
        'validation_wh': list(SIZE_WH),
        'augmentation': {'warehouse': {'crop_wh': [64, 32], 'colour': 0.3}},
        'batch': 4,
        'steps': 12,
        'rate': 3e-3,
        'encoder_rate': 1.0,
        'decay': 0.01,
        'warmup': 2,
        'hard_share': 1.0,
        'ema': 0.5,
        'validate_every': 100,
        'checkpoint_every': 4,
    }


def test_own_images_and_masks_become_an_engine_that_finds_the_crate(
    own_config: dict[str, object], tmp_path: Path
) -> None:
    run = train.train({**own_config, 'steps': 60, 'checkpoint_every': 60})
    network, config = load_checkpoint(run / 'last.pt')
    engine = tmp_path / 'engine'
    export_onnx(network, engine / 'model.onnx', SIZE_WH)
    write_spec(engine, 'warehouse', SIZE_WH, config)
    spec = yaml.safe_load((engine / 'spec.yaml').read_text())
    assert [row['name'] for row in spec['classes']] == ['floor', 'crate']

    images, labels = zip(*(warehouse(seed) for seed in range(100, 106)), strict=True)
    unseen = LabelledSet('unseen', tuple('abcdef'), np.stack(images), np.stack(labels))
    plain = evaluate(OnnxLabels(engine / 'model.onnx'), unseen, CLASSES)
    assert plain['iou']['crate'] > 0.6
    assert of_another_run(run, SIZE_WH, every=1)['warehouse of own']['iou']['crate'] > 0.6

    quantize(engine, list(images))
    small = evaluate(OnnxLabels(engine / 'model.int8.onnx'), unseen, CLASSES)
    assert small['iou']['crate'] > plain['iou']['crate'] - 0.1

    quantize_for_cpu(engine, list(images))
    nodes = onnx.load(engine / 'model.int8-cpu.onnx').graph.node
    assert 'QuantizeLinear' in {node.op_type for node in nodes}
    on_cpu = evaluate(OnnxLabels(engine / 'model.int8-cpu.onnx'), unseen, CLASSES)
    assert on_cpu['iou']['crate'] > plain['iou']['crate'] - 0.05

    ways = dict(ways_through(engine))
    bf16 = [' openvino bf16'] if bf16_instructions() else []
    assert list(ways) == ['', ' int8', ' openvino int8', *bf16]
    for way, labels_of in ways.items():
        expected = {' int8': small, ' openvino int8': on_cpu}.get(way, plain)
        iou = evaluate(labels_of, unseen, CLASSES)['iou']['crate']
        assert iou == pytest.approx(expected['iou']['crate'], abs=0.02)


def test_a_stopped_run_goes_on_where_it_was(own_config: dict[str, object]) -> None:
    run = train.train({**own_config, 'steps': 4})
    train.train({**own_config, 'steps': 8})
    assert torch.load(run / 'last.pt', weights_only=False)['step'] == 8
    assert json.loads((run / 'val-8.json').read_text())['images'] == 8
    steps = [line.split(',')[0] for line in (run / 'log.csv').read_text().split()]
    assert steps == ['step', '4', '8']


def test_another_number_of_classes_starts_from_all_that_an_older_run_has_learned() -> None:
    old, new = (
        create({'kind': 'roadseg', 'classes': n, 'pretrained': False, 'widths': [16, 16, 16, 32]})
        for n in (3, 5)
    )
    left_out = train.load_what_fits(new, old.state_dict())
    assert {name.split('.')[0] for name in left_out} == {'classify', 'auxiliary'}
    for name, value in new.state_dict().items():
        assert (name in left_out) or torch.equal(value, old.state_dict()[name])


def road_set(seed: int = 0) -> LabelledSet:
    random = np.random.default_rng(seed)
    labels = np.full((1, 60, 80), 3, np.uint8)
    labels[0, 20:50, 30:40] = ROAD_SCENE.id('pedestrian')
    images = random.integers(0, 255, (1, 60, 80, 3), dtype=np.uint8)
    return LabelledSet('road', ('a',), images, labels)


def test_crops_have_the_asked_size_and_only_known_labels() -> None:
    sampler = Sampler(road_set(), Augmentation(crop_wh=(64, 32)), ROAD_SCENE)
    random = np.random.default_rng(0)
    for _ in range(20):
        image, labels = sampler.draw(random)
        assert image.shape == (32, 64, 3)
        assert labels.shape == (32, 64)
        assert set(np.unique(labels)) <= {3, ROAD_SCENE.id('pedestrian'), UNLABELLED}


def test_image_and_labels_stay_together_in_the_warp() -> None:
    plain = road_set()
    painted = np.repeat(plain.labels[..., None] * 20, 3, axis=-1)
    together = LabelledSet('road', ('a',), painted, plain.labels)
    sampler = Sampler(
        together, Augmentation(crop_wh=(64, 32), colour=0.0, paste_share=0.0), ROAD_SCENE
    )
    random = np.random.default_rng(0)
    for _ in range(20):
        image, labels = sampler.draw(random)
        known = labels != UNLABELLED
        agree = np.abs(image[..., 0][known].astype(int) - labels[known].astype(int) * 20) < 60
        assert agree.mean() > 0.97


def test_a_lane_marking_beside_the_pavement_is_a_kerb() -> None:
    labels = np.full((40, 40), ROAD_SCENE.id('road'), np.uint8)
    labels[:, 30:] = ROAD_SCENE.id('pavement')
    soft = np.zeros((40, 40), np.uint8)
    soft[:, 10] = soft[:, 28] = soft[:, 35] = 255
    found = np.flatnonzero(data.lane_target(soft, labels).all(axis=0))
    assert found.tolist() == [10]


def test_of_drives_every_nth_picture_can_be_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / 'train').mkdir()
    for index in range(5):
        (tmp_path / 'train' / f'{index}.avif').touch()
    monkeypatch.setattr(data, 'rgb_of_file', lambda _: np.zeros((4, 4, 3), np.uint8))
    monkeypatch.setattr(data, 'labels_of_file', lambda _: np.zeros((4, 4), np.uint8))
    pictures = data.camvid(str(tmp_path), ['train'], lanes=False, every=2)
    assert [name for name, *_ in pictures] == ['0', '2', '4']


def test_a_missing_mask_is_named(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / 'one.png'), np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(FileNotFoundError, match=r'one\.png has no mask'):
        list(data.folder(str(tmp_path), str(tmp_path / 'masks'), [8, 8]))


def test_the_schedule_goes_by_steps_or_ends_by_the_clock() -> None:
    config = {'steps': 100, 'warmup': 10}
    by_steps = train.Schedule(config, 0, 0.0, None)
    assert [by_steps.progress(step) for step in (0, 50, 100)] == [0.0, 0.5, 1.0]
    assert by_steps.rate(0, 0.0) == 0.1
    assert by_steps.rate(10, 0.1) == 1.0
    assert by_steps.rate(100, 1.0) == 0.0

    by_clock = train.Schedule(config, 60, 0.6, minutes=1e-9)
    assert by_clock.progress(60) == 1.0
    assert train.Schedule(config, 60, 0.6, minutes=1e9).progress(60) == pytest.approx(0.6)


def test_two_runs_that_decode_one_set_at_once_both_have_it_whole(
    own_config: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = own_config['sources'][0]
    others = []
    save = np.save

    def save_after_the_other_run(path: Path, pixels: np.ndarray) -> None:
        if not others:
            others.append(None)
            others[0] = data.load(source)  # begins and ends while this one writes
            others.append(Path(others[0].images[0].base.filename).stat())
        save(path, pixels)

    monkeypatch.setattr(data.np, 'save', save_after_the_other_run)
    own = data.load(source)
    other, then = others
    mapped = Path(other.images[0].base.filename)
    now = mapped.stat()
    assert (now.st_ino, now.st_mtime_ns) == (then.st_ino, then.st_mtime_ns)  # never written again
    for a, b in zip(own.images, other.images, strict=True):
        np.testing.assert_array_equal(a, b)
    assert [folder.name for folder in data.CACHE.iterdir()] == [mapped.parent.name]


def test_a_picture_more_in_a_folder_is_seen_by_the_next_run(
    own_config: dict[str, object], tmp_path: Path
) -> None:
    source = own_config['sources'][0]
    before = len(data.load(source))
    image, labels = warehouse(99)
    cv2.imwrite(str(tmp_path / 'images' / '99.png'), image)
    cv2.imwrite(str(tmp_path / 'masks' / '99.png'), labels)
    assert len(data.load(source)) == before + 1


def test_a_set_of_boxes_is_another_when_the_masks_below_it_change(
    own_config: dict[str, object], tmp_path: Path
) -> None:
    row = {'of': own_config['sources'][0], 'classes': ['vehicle']}
    before = data.fingerprint('from_boxes', row)
    cv2.imwrite(str(tmp_path / 'masks' / '0.png'), warehouse(98)[1])
    assert data.fingerprint('from_boxes', row) != before


def test_the_sets_to_select_and_test_on_are_decoded_before_the_runs_begin() -> None:
    rows = {'sources': [{'name': 'a'}], 'validation': {'name': 'b'}, 'evaluation': [{'name': 'c'}]}
    assert [row['name'] for row in data.all_sets(rows)] == ['a', 'b', 'c']


def test_two_sets_of_synthetic_drives_with_other_seeds_share_no_picture() -> None:
    first, second = (
        list(data.synthetic(scenes=1, first_seed=seed, frames=1, size_wh=(96, 54)))
        for seed in (1, 2)
    )
    name, image, labels = first[0]
    assert name == '1-0'
    assert image.shape == (54, 96, 3)
    assert set(np.unique(labels)) <= {*range(len(ROAD_SCENE)), UNLABELLED}
    assert (image != second[0][1]).any()


def test_the_model_card_holds_what_was_measured(tmp_path: Path) -> None:
    config = {
        'seed': 4, 'batch': 8, 'sources': [{'name': 'road'}], 'step': 30,
        'description': 'For robots.', 'licence': 'free for robots',
    }  # fmt: skip
    write_spec(tmp_path, 'tiny', (64, 48), config)
    (tmp_path / 'config.yaml').write_text(yaml.safe_dump({**config, 'notes': 'A toy.'}))
    rows = [f'{step},0.5,1e-3,1.0' for step in range(20, 2020, 20)]
    (tmp_path / 'log.csv').write_text('\n'.join(['step,loss,rate,seconds_per_step', *rows]))
    row = {'images': 3, 'miou': 0.5, 'pixel_accuracy': 0.75, 'network_size': [64, 48]}
    people = {'people_found': {'40_px_and_more': 0.9}, 'phantoms_per_picture': 0.25}
    results = {'unseen': {**row, **people, 'iou': {'road': 0.625}}}
    spec = yaml.safe_load((tmp_path / 'spec.yaml').read_text())
    spec['training']['offsets'] = {'nats': {'road': -0.35, 'sky': 0.1}, 'found_on': ['halls']}
    (tmp_path / 'spec.yaml').write_text(yaml.safe_dump(spec))
    write_metrics(tmp_path, 'my.yaml', results)
    write_card(tmp_path, str(tmp_path / 'config.yaml'), results, run=tmp_path, beside=tmp_path)
    assert yaml.safe_load((tmp_path / 'spec.yaml').read_text())['metrics']['unseen']['miou'] == 0.5
    card = (tmp_path / 'MODEL_CARD.md').read_text()
    assert '| unseen | 3 | 64x48 | 50.00 | 75.00 |' in card
    assert '62.5' in card
    assert '| 90.0 |  | 0.25 |  |' in card
    assert 'moved by road -0.35, sky +0.10 (`training.prior`, on halls).' in card
    assert 'Licence: free for robots. Training data: road; pretraining: none.' in card
    assert 'A toy.' in card
    assert f'Rows "of {tmp_path.name}": For robots.' in card
    assert '2000,0.5' in card  # the log's last row


def test_a_config_takes_the_sets_of_its_mixture_but_what_it_leaves_out(tmp_path: Path) -> None:
    mixture, own = tmp_path / 'mixture.yaml', tmp_path / 'own.yaml'
    rows = [{'name': name, 'share': 1.0} for name in ('street', 'lanes', 'other')]
    augmentation = {'street': {'colour': 1.0}, 'lanes': {'colour': 1.0}}
    mixture.write_text(yaml.safe_dump({'sources': rows, 'augmentation': augmentation, 'steps': 9}))
    changes = {
        'without': ['other'],
        'changes': {'lanes': {'share': 0.5}},
        'beacons': {'street': 0.4},
    }
    own.write_text(yaml.safe_dump({'mixture': str(mixture), 'steps': 1, **changes}))
    config = read_config(str(own), ['rate=0.5'])
    shares = {row['name']: row['share'] for row in config['sources']}
    assert shares == {'street': 1.0, 'lanes': 0.5}
    asked = {'street': {'colour': 1.0, 'beacon_share': 0.4}, 'lanes': {'colour': 1.0}}
    assert (config['augmentation'], config['steps'], config['rate']) == (asked, 1, 0.5)


def test_a_student_learns_the_answers_of_its_teacher_where_no_label_is(
    own_config: dict[str, object],
) -> None:
    teacher = train.train({**own_config, 'run': 'teacher', 'steps': 60, 'checkpoint_every': 60})
    for path in Path('masks').iterdir():  # from now on nobody knows
        cv2.imwrite(str(path), np.full(SIZE_WH[::-1], UNLABELLED, np.uint8))
    source = {**own_config['sources'][0], 'name': 'unknown'}
    config = {**own_config, 'run': 'student', 'sources': [source], 'class_power': 0.0,
              'teacher': str(teacher / 'last.pt'), 'augmentation': {}, 'steps': 80,
              'checkpoint_every': 80, 'validation': None}  # fmt: skip
    config['augmentation'] = {'unknown': own_config['augmentation']['warehouse']}
    network, _ = load_checkpoint(train.train(config) / 'last.pt')
    images, labels = zip(*(warehouse(seed) for seed in range(100, 104)), strict=True)
    unseen = LabelledSet('unseen', tuple('abcd'), np.stack(images), np.stack(labels))
    assert train.evaluate(network, unseen, CLASSES, SIZE_WH, 'cpu')['iou']['crate'] > 0.5


def test_a_teacher_is_not_believed_where_it_sees_people_whom_the_label_excludes() -> None:
    person, road = ROAD_SCENE.id('pedestrian'), ROAD_SCENE.id('road')
    rules = train.LabelRules.of(ROAD_SCENE, torch.ones(len(ROAD_SCENE)))
    answers = torch.full((1, len(ROAD_SCENE), 1, 2), -9.0)
    answers[0, person] = 0.0
    pupil = torch.zeros(1, len(ROAD_SCENE), 1, 2, requires_grad=True)
    labels = torch.tensor([[[road, UNLABELLED]]], dtype=torch.uint8)
    train.distillation_loss(pupil, answers.log_softmax(1), labels, rules).backward()
    assert not pupil.grad[..., 0].any()
    assert pupil.grad[0, person, 0, 1] < 0.0


def test_several_teachers_answer_with_the_mean_of_their_probabilities() -> None:
    def says(logit: float) -> torch.nn.Module:
        network = torch.nn.Conv2d(3, 2, 4, 4)
        torch.nn.init.zeros_(network.weight)
        network.bias.data = torch.tensor([logit, 0.0])
        return network

    images = torch.zeros(1, 64, 96, 3, dtype=torch.uint8)
    sure, unsure = says(8.0), says(0.0)
    answers = train.answers_of([sure, unsure], images, 'cpu')
    assert answers.shape == (1, 2, 16, 24)
    assert float(answers.exp()[0, 0].mean()) == pytest.approx(0.75, abs=0.01)
    smaller = train.answers_of([sure, unsure], images, 'cpu', scale=0.5)
    assert smaller.shape[2:] == (8, 16)  # sides are multiples of 32
    assert float(smaller.exp().sum(1).mean()) == pytest.approx(1.0, abs=0.01)


def test_a_blend_lies_between_two_networks_and_keeps_the_heads_of_the_second() -> None:
    first = {'a': torch.tensor([0.0, 4.0]), 'count': torch.tensor(3)}
    second = {'a': torch.tensor([4.0, 0.0]), 'count': torch.tensor(5), 'head': torch.ones(1)}
    mixed = blended(first, second, 0.25)
    assert mixed['a'].tolist() == [1.0, 3.0]
    assert (int(mixed['count']), float(mixed['head'])) == (5, 1.0)


def test_a_blend_of_two_rounds_exports_as_the_first_does_and_needs_one_architecture() -> None:
    def run(value: float, dtype: torch.dtype, kind: str = 'roadseg') -> dict[str, object]:
        average = {'a': torch.tensor([value], dtype=dtype), 'count': torch.tensor(3)}
        config = {'model': {'kind': kind}, 'run': str(value)}
        return {'step': int(value), 'config': config, 'class_weights': [value], 'average': average}

    mixed = blended_runs(run(1.0, torch.float16), run(3.0, torch.float32), 0.25)
    assert mixed['average']['a'].tolist() == [1.5]
    assert (mixed['step'], mixed['class_weights']) == (1, [1.0])
    assert mixed['config'] == {'model': {'kind': 'roadseg'}, 'run': '1.0', 'blend': 0.25}
    with pytest.raises(ValueError, match='have nothing between them'):
        blended_runs(run(1.0, torch.float32), run(3.0, torch.float32, 'fcn'), 0.25)


def test_batches_that_worker_processes_draw_train_as_well(own_config: dict[str, object]) -> None:
    config = {**own_config, 'steps': 60, 'checkpoint_every': 60, 'validation': None}
    network, _ = load_checkpoint(train.train(config, workers=2) / 'last.pt')
    images, labels = zip(*(warehouse(seed) for seed in range(100, 104)), strict=True)
    unseen = LabelledSet('unseen', tuple('abcd'), np.stack(images), np.stack(labels))
    assert train.evaluate(network, unseen, CLASSES, SIZE_WH, 'cpu')['iou']['crate'] > 0.5


def test_a_slim_checkpoint_is_a_fraction_and_gives_the_same_network(
    own_config: dict[str, object],
) -> None:
    last = train.train({**own_config, 'steps': 4, 'validation': None}) / 'last.pt'
    small = last.with_name('slim.pt')
    torch.save(slim(torch.load(last, weights_only=False)), small)
    assert small.stat().st_size < last.stat().st_size / 5
    whole, carried = (load_checkpoint(path)[0] for path in (last, small))
    for name, value in whole.state_dict().items():
        assert torch.allclose(value.float(), carried.state_dict()[name].float(), atol=1e-2), name


def test_the_weights_of_the_loss_are_taken_back_but_of_what_keeps_them() -> None:
    network = create({'kind': 'fast_scnn', 'classes': 3}).eval()
    image = torch.rand(1, 3, 32, 64)
    with torch.no_grad():
        before = network(image)
        unweight(network, [0.5, 2.0, 4.0], share=0.5, but=[2])
        after = network(image)
    expected = 0.5 * torch.tensor([0.5, 2.0, 1.0]).log()
    assert torch.allclose(before - after, expected.view(1, 3, 1, 1), atol=1e-5)


def test_another_network_size_scales_the_crops_of_its_mixture(tmp_path: Path) -> None:
    mixture, own = tmp_path / 'mixture.yaml', tmp_path / 'own.yaml'
    crops = {'street': {'crop_wh': [64, 32], 'scale': [0.5, 2.0]}}
    mixture.write_text(yaml.safe_dump({'sources': [{'name': 'street'}], 'augmentation': crops}))
    own.write_text(yaml.safe_dump({'mixture': str(mixture), 'scaled': 1.5}))
    scaled = read_config(str(own))['augmentation']
    assert scaled == {'street': {'crop_wh': [64, 32], 'scale': [0.75, 3.0]}}

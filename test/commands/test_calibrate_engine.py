# SPDX-License-Identifier: Apache-2.0
"""An engine's domain is measured from pictures and stands in its spec."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml

from seg_ros.cli import main
from seg_ros.commands.calibrate_engine import (
    KNOWN_SLACK,
    Measured,
    _Shown,
    figures_of,
    measured_domain,
    simulated_scenes,
    statistics_of,
    with_domain,
)
from seg_ros.commands.evaluate.sight.pictures import clean_pictures
from seg_ros.core.errors import ConfigurationError, EngineError
from seg_ros.core.stop.picture_statistics import STATISTICS
from seg_ros.core.types import RgbImage
from seg_ros.inference.engine import load_engine
from seg_ros.inference.registry import create_backend
from test.tiny_onnx import write_engine

RANDOM = np.random.default_rng(3)


def rows_of(*kinds: str, datasets: int = 4, count: int = 50) -> list[Measured]:
    """Clean pictures of some data sets, and blind ones that differ in a tenth of statistics."""
    rows = []
    for index in range(datasets * count):
        values = RANDOM.normal(0.0, 1.0, len(STATISTICS))
        dataset = f'set {index % datasets}'
        rows.append(Measured(values, dataset, f'{dataset}/{index % (2 * datasets)}'))
    for place, kind in enumerate(kinds):
        for index in range(datasets * count // 4):
            values = RANDOM.normal(0.0, 1.0, len(STATISTICS))
            values[place::10] += 2.5
            rows.append(Measured(values, f'set {index % datasets}', '', kind, kind))
    return rows


KINDS = ('fog', 'frost')
ROWS = rows_of(*KINDS)


def figures(rows: list[Measured], refused: float = 0.05) -> dict[str, Any]:
    return figures_of(rows, *measured_domain(rows, refused), refused)


def write_pictures(folder: Path, count: int) -> Path:
    folder.mkdir()
    for index in range(count):
        picture = RANDOM.integers(0, 255, (64, 128, 3), dtype=np.uint8)
        cv2.imwrite(str(folder / f'drive{index % 3}_{index:03}.png'), picture)
        cv2.imwrite(str(folder / f'drive{index % 3}_{index:03}.label.png'), picture[..., 0])
    return folder


def test_as_many_pictures_of_data_sets_left_out_are_refused_as_was_asked() -> None:
    refused = figures(ROWS)['clean_refused_share_left_out']
    assert set(refused) == {f'set {index}' for index in range(4)}
    assert np.mean([row['share'] for row in refused.values()]) == pytest.approx(0.05, abs=0.015)
    low, high = refused['set 0']['interval_95']
    assert low <= refused['set 0']['share'] <= high


def test_no_clean_picture_that_was_measured_is_refused_and_a_little_more_is_none_either() -> None:
    # One of them is half like fog
    odd = next(index for index, row in enumerate(ROWS) if not row.kind)
    values = ROWS[odd].values.copy()
    values[::10] += 5.0
    rows = [*ROWS[:odd], ROWS[odd]._replace(values=values), *ROWS[odd + 1 :]]
    domain, _ = measured_domain(rows, 0.05)
    clean = np.array([row.values for row in rows if not row.kind])
    assert domain.scores(clean).max() == pytest.approx(1.0 / KNOWN_SLACK)
    # For it fog gives way, and frost does not
    before, _ = measured_domain(ROWS, 0.05)
    fog, frost = (np.array([row.values for row in ROWS if row.kind == k]) for k in KINDS)
    places = {kind: list(domain.weights).index(kind) for kind in KINDS}
    loss = {
        kind: float((domain.scores(blind) / before.scores(blind))[:, places[kind]].mean())
        for kind, blind in zip(KINDS, (fog, frost), strict=True)
    }
    assert loss['fog'] < 0.9 * loss['frost']


def test_refusals_of_left_out_pictures_are_counted_by_cameras_and_by_pictures() -> None:
    # All of one camera's many pictures are odd: by the roots of their number they count for less
    many = [row._replace(camera='one') if row.dataset == 'set 0' else row for row in ROWS]
    _, left_out = measured_domain(many, 0.05)
    is_clean = np.array([not row.kind for row in many])
    assert (left_out[is_clean] > 1.0).mean() <= 0.05


def test_blind_pictures_of_a_data_set_that_was_left_out_are_found() -> None:
    assert figures(ROWS)['false_clear_share_left_out'] == {'fog': 0.0, 'frost': 0.0}


def test_how_a_kind_fares_that_was_not_measured_is_told() -> None:
    alike = rows_of('fog') + [
        row._replace(kind='frost', family='frost') for row in rows_of('fog') if row.kind
    ]
    assert figures(alike)['false_clear_share_of_other_half']['frost'] < 0.05
    # Two that have nothing in common do not find each other
    assert figures(ROWS)['false_clear_share_of_other_half']['frost'] > 0.5


def test_the_shares_of_the_whole_stop_count_what_else_it_refuses() -> None:
    # Frost is like nothing that was measured, but the stop sees it by itself
    rows = [row._replace(is_refused=row.kind == 'frost') for row in ROWS]
    both = figures(rows)
    assert both['false_clear_share_of_other_half']['frost'] > 0.5
    assert both['whole_stop']['false_clear_share_of_other_half']['frost'] == 0.0
    assert both['whole_stop']['clean_refused_share'] == both['clean_refused_share']
    strict = [row._replace(is_refused=not row.kind) for row in ROWS]
    assert figures(strict)['whole_stop']['clean_refused_share']['share'] == 1.0


def test_refusals_are_told_of_all_clean_pictures_and_of_those_with_ground_ahead() -> None:
    seen = [row._replace(is_refused=False) for row in ROWS]
    hedges = [
        row._replace(is_refused=True, is_ground=False) if not row.kind and index % 10 == 0 else row
        for index, row in enumerate(seen)
    ]
    told, before = figures(hedges)['whole_stop'], figures(seen)['whole_stop']
    for name in ('clean_refused_share', 'clean_refused_share_left_out'):
        ground = told[f'{name}_of_ground']
        assert ground['pictures'] == 180
        assert ground['share'] < 0.1
    assert told['clean_refused_share']['pictures'] == 200
    assert told['clean_refused_share']['share'] >= 0.1
    assert before['clean_refused_share'] == before['clean_refused_share_of_ground']


def test_one_data_set_alone_cannot_be_left_out() -> None:
    with pytest.raises(ConfigurationError, match='Give another one as well'):
        measured_domain(rows_of('fog', datasets=1), 0.01)


def test_a_kind_that_one_data_set_alone_shows_is_refused() -> None:
    rows = [row for row in ROWS if row.kind != 'fog' or row.dataset == 'set 2']
    with pytest.raises(ConfigurationError, match='Without set 2 there is no picture of fog'):
        measured_domain(rows, 0.01)


def test_no_two_simulated_pictures_are_alike() -> None:
    scenes = simulated_scenes(7)
    pictures = {scene.rgb().tobytes() for scene in scenes}
    assert len(pictures) == len(scenes) == 7
    assert len({scene.dataset for scene in scenes}) > 1


def test_the_domain_replaces_the_old_one_and_all_else_stays_as_it_was() -> None:
    domain, _ = measured_domain(ROWS, 0.01)
    spec = '# of us\nname: a\nclasses:\n- id: 0  # first\nlicence: free\n'
    once = with_domain(spec, domain)
    assert once.startswith(spec)
    assert with_domain(once, domain) == once
    assert with_domain(once + 'metrics: {}\n', domain).count('domain:') == 1
    assert 'metrics: {}' in with_domain(once + 'metrics: {}\n', domain)
    assert yaml.safe_load(once)['domain']['statistics'] == list(STATISTICS)


def test_label_images_are_no_pictures_and_a_camera_is_known_by_its_names(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / 'set', 9)
    found = clean_pictures(folder)
    assert len(found) == 9
    assert {row.camera for row in found} == {f'set/drive{index}_' for index in range(3)}
    assert len(clean_pictures(folder, 4)) == 4
    (tmp_path / 'empty').mkdir()
    with pytest.raises(ConfigurationError, match='has no pictures'):
        clean_pictures(tmp_path / 'empty')


def test_a_split_is_called_after_its_data_set(tmp_path: Path) -> None:
    (tmp_path / 'camvid').mkdir()
    found = clean_pictures(write_pictures(tmp_path / 'camvid' / 'train', 3))
    assert {row.dataset for row in found} == {'camvid'}


def test_the_command_writes_what_the_engine_then_knows(tmp_path: Path) -> None:
    engine = write_engine(tmp_path / 'tiny')
    assert load_engine(engine).domain is None
    command = ['calibrate-engine', str(engine), '--backend', 'canned']
    for name in ('one', 'two'):
        command += ['--dataset', str(write_pictures(tmp_path / name, 100))]
    command += [
        '--simulated',
        '0',
        '--hard',
        '1',
        '--spoilt',
        '6',
        '--families',
        'fog',
        'wrong channels',
    ]
    assert main([*command, '--pictures', '20']) != 0  # too few
    assert main([*command, '--pictures', '0']) == 0
    domain = load_engine(engine).domain
    assert domain is not None
    assert list(domain.weights) == [
        'fog', 'wrong channels 0', 'wrong channels 1', 'wrong channels 2'
    ]  # fmt: skip


def test_a_domain_of_another_version_is_measured_again(tmp_path: Path) -> None:
    engine = write_engine(tmp_path / 'tiny')
    spec = engine / 'spec.yaml'
    spec.write_text(spec.read_text() + 'domain: {statistics: [sharpness], limit: 1.0}\n')
    with pytest.raises(EngineError, match='Measure it again: seg_ros calibrate-engine'):
        load_engine(engine)
    command = ['calibrate-engine', str(engine), '--backend', 'canned', '--simulated', '0']
    for name in ('one', 'two'):
        command += ['--dataset', str(write_pictures(tmp_path / name, 100))]
    assert main([*command, '--hard', '1', '--spoilt', '4', '--families', 'fog']) == 0
    assert load_engine(engine).domain is not None


def test_a_frame_of_a_clip_is_refused_only_with_those_before_it_as_by_the_stop() -> None:
    backend = create_backend('onnxruntime', load_engine('roadsynth'), threads=1).backend
    (road,) = (scene.rgb() for scene in simulated_scenes(1))
    white = np.full_like(road, 255)
    clips: list[tuple[RgbImage, tuple[RgbImage, ...]]] = [
        (road, ()), (road, (white, white)), (white, (white, road)), (white, (white,)), (white, ())
    ]  # fmt: skip
    shown = [_Shown(image, 'set', 'light', before=before) for image, before in clips]
    with contextlib.closing(backend):
        rows = statistics_of(backend, shown, len(shown))
    assert [row.is_refused for row in rows] == [False, False, False, True, True]
    # What is measured is the frame itself, whatever was before
    assert (rows[2].values == rows[4].values).all()


def test_the_picture_that_a_decoder_lost_is_none_of_the_clean_ones(tmp_path: Path) -> None:
    folder = tmp_path / 'lums-robot' / 'val'
    folder.parent.mkdir()
    write_pictures(folder, 2)
    for name in ('color_166.png', 'color_167.png'):
        cv2.imwrite(str(folder / name), np.zeros((8, 8, 3), np.uint8))
    names = [picture.path.name for picture in clean_pictures(folder.parent)]
    assert names == ['color_166.png', 'drive0_000.png', 'drive1_001.png']

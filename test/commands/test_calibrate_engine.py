# SPDX-License-Identifier: Apache-2.0
"""An engine's domain is measured from pictures and stands in its spec."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from seg_ros.cli import main
from seg_ros.commands.calibrate_engine import distances_left_out, measured_domain, with_domain
from seg_ros.commands.evaluate.sight.pictures import clean_pictures
from seg_ros.core.errors import ConfigurationError
from seg_ros.core.stop.picture_statistics import STATISTICS
from seg_ros.inference.engine import load_engine
from test.tiny_onnx import write_engine

RANDOM = np.random.default_rng(3)
CAMERAS = [f'camera {index % 5}' for index in range(200)]
VALUES = RANDOM.normal(0.0, 1.0, (200, len(STATISTICS)))


def write_pictures(folder: Path, count: int) -> Path:
    folder.mkdir()
    for index in range(count):
        picture = RANDOM.integers(0, 255, (64, 128, 3), dtype=np.uint8)
        cv2.imwrite(str(folder / f'drive{index % 3}_{index:03}.png'), picture)
        cv2.imwrite(str(folder / f'drive{index % 3}_{index:03}.label.png'), picture[..., 0])
    return folder


def test_the_limit_refuses_as_many_of_the_cameras_left_out_as_was_asked() -> None:
    domain = measured_domain((640, 360), VALUES, CAMERAS, 0.05)
    distances = distances_left_out((640, 360), VALUES, CAMERAS)
    assert (distances > domain.limit).mean() == pytest.approx(0.05, abs=0.01)


def test_one_camera_alone_cannot_be_left_out() -> None:
    with pytest.raises(ConfigurationError, match='Give pictures of another one'):
        measured_domain((640, 360), VALUES, ['the same'] * len(VALUES), 0.01)


def test_the_domain_replaces_the_old_one_and_all_else_stays_as_it_was() -> None:
    domain = measured_domain((640, 360), VALUES, CAMERAS, 0.01)
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


def test_the_command_writes_what_the_engine_then_knows(tmp_path: Path) -> None:
    engine = write_engine(tmp_path / 'tiny')
    assert load_engine(engine).domain is None
    folder = str(write_pictures(tmp_path / 'set', 90))
    command = ['calibrate-engine', str(engine), '--dataset', folder, '--backend', 'canned']
    assert main([*command, '--simulated', '0', '--pictures', '0']) == 0
    domain = load_engine(engine).domain
    assert domain is not None
    assert domain.size_wh == load_engine(engine).network_size_wh
    assert main([*command, '--simulated', '0', '--pictures', '20']) != 0  # too few

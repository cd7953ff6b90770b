# SPDX-License-Identifier: Apache-2.0
"""``seg_ros wrap --classes``: a network of a known class set becomes an engine in one line."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
import yaml
from onnx import helper

from seg_ros.cli import main
from seg_ros.commands.wrap.class_sets import CLASS_SETS, class_set
from seg_ros.inference.engine import load_engine
from seg_ros.inference.spec import label_map_of
from test.commands.wrap.raw_networks import convolution, float_input, output, weights
from test.tiny_onnx import model


def put(path: Path, channels: int) -> Path:
    """Writes a network of one convolution, 64x32, with that many scores a pixel."""
    graph = helper.make_graph(
        [convolution(['image', 'w'], 'scores')],
        'one',
        [float_input()],
        [output('scores', [1, channels, 32, 64])],
        [weights('w', channels, 3, 3, 3)],
    )
    onnx.save(model(graph), path)
    return path


@pytest.mark.parametrize('name', CLASS_SETS)
def test_a_set_is_a_label_map_with_ground_people_and_no_colour_twice(name: str) -> None:
    label_map = label_map_of({'classes': class_set(name)}, Path(name))
    assert len({row.colour_rgb for row in label_map.classes}) == len(label_map.classes)
    assert len(label_map.ids_with_role('pedestrian')) == 1
    assert bool(label_map.ids_with_role('drivable')) == (name != 'voc')  # it knows no ground


def test_the_ids_are_those_that_the_sets_are_published_with() -> None:
    known = {
        'cityscapes': {0: 'road', 10: 'sky', 11: 'person', 12: 'rider', 13: 'car', 18: 'bicycle'},
        'ade20k': {0: 'wall', 6: 'road', 11: 'sidewalk', 12: 'person', 20: 'car', 149: 'flag'},
        'voc': {0: 'background', 7: 'car', 15: 'person', 20: 'tvmonitor'},
    }
    for name, rows in known.items():
        assert {index: CLASS_SETS[name][index] for index in rows} == rows
    assert [len(names) for names in CLASS_SETS.values()] == [19, 150, 21]


def test_the_colours_of_voc_are_those_of_its_devkit() -> None:
    colours = [row['colour'] for row in class_set('voc')]
    assert colours[:4] == [[0, 0, 0], [128, 0, 0], [0, 128, 0], [128, 128, 0]]
    assert colours[15] == [192, 128, 128]


def test_the_line_of_the_manual_makes_an_engine_and_says_what_it_assumed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    raw = put(tmp_path / 'network.onnx', 19)
    engine = tmp_path / 'engines/mine'
    assert main(['wrap', str(raw), '--classes', 'cityscapes', '-o', str(engine)]) == 0
    said = capsys.readouterr().out
    assert "ImageNet's mean and deviation" in said
    assert '19 classes at 64x32; raw and wrapped network agree' in said
    assert load_engine(engine).label_map.by_name('person').colour_rgb == (220, 20, 60)
    made = yaml.safe_load((engine / 'spec.yaml').read_text())
    assert made['normalisation']['mean'] == [0.485, 0.456, 0.406]


def test_a_normalisation_that_is_given_is_taken_and_nothing_is_assumed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    raw = put(tmp_path / 'network.onnx', 21)
    engine = tmp_path / 'mine'
    words = ['wrap', str(raw), '--classes', 'voc', '-o', str(engine), '--scale', '1/255']
    assert main(words) == 0
    assert 'ImageNet' not in capsys.readouterr().out
    made = yaml.safe_load((engine / 'spec.yaml').read_text())
    assert made['normalisation']['mean'] == [0.0, 0.0, 0.0]


def test_another_set_is_refused_and_the_one_that_fits_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    raw = put(tmp_path / 'network.onnx', 150)
    words = ['wrap', str(raw), '--classes', 'cityscapes', '-o', str(tmp_path / 'mine')]
    assert main(words) == 1
    said = ' '.join(capsys.readouterr().err.split())
    assert '--classes cityscapes names 19 classes, but network.onnx gives 150 channels' in said
    assert 'Is it --classes ade20k?' in said
    assert not (tmp_path / 'mine').exists()

# SPDX-License-Identifier: Apache-2.0
"""The faults themselves: how many, what the camera does in them, and what a table says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seg_ros.cli import main as seg_ros
from seg_ros.commands.evaluate.evaluated_camera import EvaluatedCamera
from seg_ros.commands.evaluate.sight.blindness import FAMILIES
from seg_ros.commands.faults.camera import CameraSettings
from seg_ros.commands.faults.cases import CASES, cases_named
from seg_ros.commands.faults.command import Outcome, table
from seg_ros.commands.faults.scene import SIZE_WH, noisy, painted_road, write_engine
from seg_ros.core.parameters.node_config import NodeConfig
from seg_ros.core.stop.config import StopConfig
from seg_ros.core.stop.decision import StopKind
from seg_ros.core.stop.picture_sight import PictureSight
from seg_ros.inference.canned_backend import CannedBackend
from seg_ros.inference.engine import load_engine
from test.paths import REPOSITORY

ROADSYNTH = REPOSITORY / 'engines/roadsynth'


class NotedStage:
    """Notes which settings of the camera a case changes."""

    def __init__(self) -> None:
        self.settings = CameraSettings()

    def show(self, **changes: Any) -> int:
        self.settings = CameraSettings(**{**vars(self.settings), **changes})
        return 2

    def show_all_well(self) -> int:
        self.settings = CameraSettings()
        return 2


def test_there_are_more_than_sixty_kinds_and_every_group_has_one_in_the_short_form() -> None:
    assert len(CASES) > 60
    groups = {case.group for case in cases_named(short=True).values()}
    assert groups == {case.group for case in CASES.values()}


@pytest.mark.parametrize('name', [n for n, c in CASES.items() if c.group in ('sight', 'camera')])
def test_a_camera_that_was_broken_is_whole_again(name: str) -> None:
    stage: Any = NotedStage()
    if CASES[name].begin.__name__ == '<lambda>' and 'process' not in name and 'killed' not in name:
        CASES[name].begin(stage)
        assert stage.settings != CameraSettings()
        CASES[name].end(stage)
        assert stage.settings == CameraSettings()


def test_somebody_stands_on_the_road_only_where_a_person_is_asked_for(tmp_path: Path) -> None:
    label_map = write_engine(ROADSYNTH, tmp_path / 'engine')
    empty, person = painted_road(label_map), painted_road(label_map, person=True)
    (pedestrian,) = label_map.ids_with_role('pedestrian')
    colour = label_map.classes[pedestrian].colour_rgb
    assert not (empty == colour).all(axis=2).any()
    assert (person == colour).all(axis=2).sum() > 100
    assert np.array_equal(empty.shape, (SIZE_WH[1], SIZE_WH[0], 3))


def test_the_engine_of_the_faults_knows_its_own_road_and_no_fog(tmp_path: Path) -> None:
    write_engine(ROADSYNTH, tmp_path / 'engine')
    backend = CannedBackend(load_engine(tmp_path / 'engine', network_size='320x180'))
    label_map, random = backend.engine.label_map, np.random.default_rng(7)
    road = painted_road(label_map)
    fog = FAMILIES['fog']
    camera = EvaluatedCamera(backend, NodeConfig())
    sight = PictureSight(label_map, backend.engine.domain)
    config = StopConfig(max_shear=10.0, max_astray=1.0, max_jumps=1.0)  # as stage
    faults = [
        sight.judge(camera.see(picture, 1, {'stop'}).view, config)
        for picture in (noisy(road, random), fog.spoil(road, fog.strengths[0], random))
    ]
    assert [fault and fault.kind for fault in faults] == [None, StopKind.OUT_OF_DOMAIN]


def test_a_case_that_nobody_knows_is_refused_with_the_way_to_find_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert seg_ros(['faults', '--only', 'no such fault']) == 1
    assert '--list' in capsys.readouterr().err


def test_the_table_has_a_row_a_fault_and_the_sum_of_false_goes() -> None:
    rows = [
        Outcome('a', 'camera', 40, 0, 0.5, 0.1, ('stale',), True, 0.2, 100.0, 100.0),
        Outcome('b', 'camera', 50, 3, None, 0.1, (), False, None, 100.0, 102.5),
    ]
    text = table(rows)
    assert '| a | `stale` | 40 | 0 | 0.50 | 0.20 |' in text
    assert '| b | – | 50 | 3 | – | – |' in text
    assert '90 words, 3 of them a false go; the node had +2.5 MB more' in text

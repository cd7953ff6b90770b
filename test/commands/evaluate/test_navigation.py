# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import argparse
import json
import math
from typing import Any

import numpy as np
import pytest

from seg_ros.commands.evaluate import navigation as evaluate_navigation
from seg_ros.commands.evaluate.navigation import NavigationTally
from seg_ros.core.errors import ConfigurationError
from seg_ros.core.navigation.instances import Instances
from seg_ros.core.navigation.navigator import Navigation
from seg_ros.core.navigation.obstacles import Obstacles
from seg_ros.sim import Person, SimFrame
from seg_ros.sim.classes import PEDESTRIAN, TREE

CENTRE = np.column_stack([np.arange(0.0, 40.0, 0.5), np.zeros(80)])


def frame(x_m: float = 10.0, y_m: float = 2.0) -> Any:
    person = Person(1, x_m, y_m, 0.0, 0.0, 1.7, 'road', 1.0, (100, 50, 120, 90))
    labels = np.zeros((180, 320), np.uint8)
    nothing: Any = None
    return SimFrame(
        nothing, labels, labels, 0, nothing, CENTRE, CENTRE, CENTRE, 3.5, 0.0, 0.0, (person,), ()
    )


def found(x_m: float, y_m: float, class_id: int = PEDESTRIAN) -> Navigation:
    points = np.array([[x_m, y_m]] * 4, np.float32)
    columns = np.arange(105, 109)
    ids = np.full(4, class_id, np.uint8)
    return Navigation(Obstacles(points, ids, columns, np.full(4, 90)))


def test_errors_are_along_and_across_the_line_of_sight() -> None:
    tally = NavigationTally()
    tally.add_people(frame(10.0, 0.0), found(10.5, 0.0))
    tally.add_people(frame(10.0, 0.0), found(10.0, 0.2))
    assert tally.range_errors == pytest.approx([0.05, 0.0])
    assert tally.lateral_errors_m == pytest.approx([0.0, 0.2])
    assert tally.missed == 0


@pytest.mark.parametrize('wrong', [found(20.0, 0.0), found(10.0, 0.0, TREE)])
def test_a_person_placed_elsewhere_or_not_at_all_is_missed(wrong: Navigation) -> None:
    tally = NavigationTally()
    tally.add_people(frame(10.0, 0.0), wrong)
    assert tally.missed == 1
    assert tally.figures()['missed_share'] == 1.0


def test_an_obstacle_on_the_empty_lane_is_a_false_mark_and_beside_it_is_none() -> None:
    tally = NavigationTally()
    tally.add_empty(frame(), found(10.0, 0.5, TREE))
    tally.add_empty(frame(), found(10.0, 4.0, TREE))
    assert tally.figures()['false_marks_per_1000_frames'] == 500.0


def test_panoptic_quality_counts_who_is_found_merged_and_missed() -> None:
    codes = np.zeros((40, 60), np.uint8)
    codes[5:25, 5:15], codes[5:25, 20:30], codes[5:25, 40:50] = 16, 17, 18
    codes[30, 50:52] = 19  # too far away to be found, and counted all the same
    image = np.zeros(codes.shape, np.uint16)
    image[5:25, 5:15] = 9001  # exact
    image[5:25, 20:45] = 9002  # two people and what is between: overlaps none of them enough
    instances = Instances(image, np.zeros((2, 4), np.intp), np.array([9001, 9002], np.uint16))
    tally = NavigationTally()
    tally.add_outlines(codes, instances)
    assert tally.overlaps == [1.0]
    assert tally.unmatched == 4
    assert tally.figures()['panoptic_quality_person'] == pytest.approx(1.0 / 3.0)


def test_the_drives_are_measured_and_printed_as_json(
    capsys: pytest.CaptureFixture[str],
) -> None:
    parser = argparse.ArgumentParser()
    evaluate_navigation.add_arguments(parser)
    evaluate_navigation.main(parser.parse_args(['--frames', '8', '--json']))
    figures = json.loads(capsys.readouterr().out)
    assert figures['people'] > 0
    assert figures['range_error_rel']['p50'] < 0.05
    assert figures['lateral_error_m']['p50'] < 0.1
    assert figures['false_marks_per_1000_frames'] == 0.0
    assert figures['panoptic_quality_person'] > 0.75
    assert math.isfinite(figures['cost_ms']['p95'])


@pytest.mark.parametrize(
    ('assignment', 'is_missed'),
    [('navigation.max_range_m:=3.0', True), ('jpeg_quality:=50', False)],
)
def test_it_measures_what_the_parameters_make_of_it(
    assignment: str, is_missed: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    parser = argparse.ArgumentParser()
    evaluate_navigation.add_arguments(parser)
    evaluate_navigation.main(parser.parse_args(['--frames', '4', '--json', '-p', assignment]))
    figures = json.loads(capsys.readouterr().out)
    assert (figures['missed_share'] > 0.9) is is_missed


def test_zones_of_the_parameters_are_refused_for_the_task_has_its_own() -> None:
    parser = argparse.ArgumentParser()
    evaluate_navigation.add_arguments(parser)
    words = ['-p', 'zones.names:=door', '-p', 'zones.polygons:=ground 1 1 2 1 2 0']
    with pytest.raises(ConfigurationError, match='a zone of its own'):
        evaluate_navigation.main(parser.parse_args(words))

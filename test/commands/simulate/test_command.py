# SPDX-License-Identifier: Apache-2.0
"""The closed loop over DDS: the real node, a vehicle that follows its topics, people who cross."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import cv2
import pytest

from seg_ros.commands.simulate.command import add_arguments, main, misses
from seg_ros.core.errors import ConfigurationError

FIGURES = {
    'km': 1.0,
    'departures': 0,
    'lateral_rms_m': 0.1,
    'persons_hit': 0,
    'stops': 3,
    'resumes': 3,
    'legs_that_end_stopped': 0,
    'legs_given_up': 0,
    'frames_unanswered': 0,
}


def simulate(*words: object) -> int:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return main(parser.parse_args([str(word) for word in words]))


@pytest.mark.slow
def test_the_vehicle_keeps_its_lane_and_stops_for_the_person_who_crosses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv('ROS_DOMAIN_ID', raising=False)  # a graph of its own
    words = ('--km', 0.08, '--labels', 'exact', '--engine', 'roadsynth', '-o', tmp_path, '--json')
    code = simulate(*words)
    printed = capsys.readouterr().out
    figures = json.loads(printed)
    assert code == 0, figures
    assert figures['km'] >= 0.08
    assert figures['lateral_rms_m'] < 0.1
    assert figures['persons_met'] >= 1
    assert figures['stops'] >= 1
    assert cv2.imread(str(tmp_path / 'course.png')) is not None
    # All of it is done: nothing is driven a second time
    (tmp_path / 'node.log').unlink()
    assert simulate(*words) == 0
    assert capsys.readouterr().out == printed
    assert not (tmp_path / 'node.log').exists()


def test_every_bar_that_is_missed_is_named() -> None:
    assert misses(FIGURES, 1.0) == []
    worse = {
        'km': 0.4,
        'departures': 2,
        'lateral_rms_m': 0.3,
        'persons_hit': 1,
        'resumes': 2,
        'legs_given_up': 1,
        'frames_unanswered': 7,
    }
    for name, value in worse.items():
        assert len(misses({**FIGURES, name: value}, 1.0)) == 1, name


def test_a_stop_in_which_a_leg_ends_is_not_one_without_a_resume() -> None:
    ends = {'stops': FIGURES['stops'] + 1, 'legs_that_end_stopped': 1}
    assert misses({**FIGURES, **ends}, 1.0) == []


def test_a_course_of_no_length_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match='--km 0'):
        simulate('--km', 0, '-o', tmp_path)

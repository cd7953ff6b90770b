# SPDX-License-Identifier: Apache-2.0
"""The fail-safe table of docs/stop.md and the tests on the real graph are held to each other."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from test.paths import REPOSITORY

TABLE = 'test/ros/test_fail_safe.py'
GEOMETRY = 'test/ros/test_geometry.py'
STAND_IN = 'test/gpu_stand_in/test_node.py'
HEARTBEAT = 'test/ros/test_heartbeat_process.py'
# One for each kind of picture that an engine does not know
UNKNOWN = 'test_the_vehicle_stops_where_the_engine_knows_no_such_pictures'

# How a row of the table begins, and its tests: names of functions, or rows of TABLE in
# test_fail_safe.py. (The last but one is a consumer's: there nobody is left who could speak.)
TESTS: dict[str, dict[str, tuple[str, ...]]] = {
    'a person, or one who walks there': {
        TABLE: ('a person is in the zone',),
        'test/ros/test_stop_status.py': (
            'test_somebody_comes_near_walks_in_and_is_inside_in_words_as_well',
        ),
    },
    'no frame yet': {
        TABLE: (
            'test_the_vehicle_stops_before_the_first_frame',
            'test_an_unconfigured_node_says_stop',
            'the node is deactivated',
            'the node is cleaned up',
            'the engine is switched',
        )
    },
    'backend `auto` measures': {
        'test/ros/test_auto_tune.py': (
            'test_no_image_is_looked_at_and_the_stop_is_true_until_it_is_measured',
        )
    },
    '`~/enable` was called with false': {TABLE: ('it is switched off',)},
    'configure fails': {TABLE: ('the configuration becomes invalid',)},
    'the camera dies': {
        TABLE: ('the camera dies', 'frames arrive but are old by their stamps'),
    },
    'stamps from the future': {TABLE: ('stamps come from the future',)},
    'inference raises': {
        TABLE: ('inference raises',),
        STAND_IN: ('test_a_failure_that_the_gpu_survives_stops_the_vehicle_for_a_frame',),
    },
    'inference hangs': {TABLE: ('inference hangs',)},
    'the worker thread dies': {TABLE: ('the worker thread dies', 'the stop cannot be decided')},
    'no calibration or TF lost': {
        TABLE: ('calibration is required and missing',),
        GEOMETRY: ('test_the_vehicle_stops_when_tf_is_lost',),
    },
    'the painted lines disprove the mounting': {
        TABLE: ('the lines disprove a mounting that is required',)
    },
    'a CameraInfo that cannot be of the image': {
        TABLE: ('the CameraInfo is of another image',),
        GEOMETRY: (
            'test_the_vehicle_stops_on_a_camera_info_that_cannot_be',
            'test_a_body_frame_instead_of_an_optical_one_is_a_stop',
        ),
    },
    'no calibration, and a height of the lens': {
        GEOMETRY: ('test_the_vehicle_stops_on_a_height_alone_that_is_in_millimetres',)
    },
    'a calibration or mounting that no camera on a vehicle has': {
        GEOMETRY: (
            'test_the_vehicle_stops_when_by_its_calibration_the_camera_cannot_see_the_zone',
        )
    },
    'the camera looks elsewhere': {
        GEOMETRY: (
            'test_the_vehicle_stops_when_by_its_calibration_the_camera_cannot_see_the_zone',
        )
    },
    'the zone is in the picture, but not seen as ground': {
        TABLE: ('the road is hidden',),
        'test/ros/test_own_vehicle.py': ('test_a_bonnet_stops_the_vehicle_until_it_is_found',),
    },
    'the network is unsure': {TABLE: ('the network is unsure of the whole frame',)},
    'covered lens, darkness': {
        TABLE: ('the lens is covered', 'it is dark', 'the picture is over-exposed')
    },
    'the zone is noise, or white': {TABLE: ('the picture is noise', 'the sun blinds the zone')},
    'the picture is more like blind ones': {TABLE: (UNKNOWN,)},
    'the ground ahead has no detail': {TABLE: (UNKNOWN,)},
    'the colours show different things': {TABLE: (UNKNOWN,)},
    'rows go on as well when they are shifted': {TABLE: (UNKNOWN,)},
    'rows go on elsewhere': {TABLE: (UNKNOWN,)},
    'straight steps go through the height': {TABLE: (UNKNOWN,)},
    'upright steps go through the height': {TABLE: (UNKNOWN,)},
    'the edge of an upright part of the picture goes on': {TABLE: (UNKNOWN,)},
    'the picture goes on at its other end': {TABLE: (UNKNOWN,)},
    'most outlines are soft': {TABLE: (UNKNOWN,)},
    'much of the picture is of one smooth shade': {TABLE: (UNKNOWN,)},
    'the picture has no shades between': {TABLE: (UNKNOWN,)},
    'bright and dark are exchanged': {TABLE: (UNKNOWN,)},
    'all of the picture is there a second time': {TABLE: (UNKNOWN,)},
    'sky and buildings are not above the ground': {TABLE: (UNKNOWN,)},
    'the same picture again and again': {
        TABLE: (
            'the image is frozen',
            'the camera gives out two old pictures in turn',
            'half of the picture is stuck',
        )
    },
    'odometry falls silent': {TABLE: ('odometry is lost',)},
    'odometry says what the vehicle cannot do': {
        TABLE: (
            'odometry says a speed that no car has',
            'odometry gives the yaw rate in degrees',
            'odometry jumps',
            'odometry is no number',
        )
    },
    'the clock jumps': {TABLE: ('test_after_a_jump_of_sim_time_the_way_must_be_proven_again',)},
    'the clock steps back a little': {
        TABLE: ('test_a_clock_that_steps_back_again_and_again_keeps_no_frame_fresh',)
    },
    'two publishers on an image topic': {
        TABLE: (
            'a second camera publishes on the image topic',
            'a relay gives out the pictures of three cameras in turn',
            'two lenses are said of one camera',
            'another node publishes the stop',
        )
    },
    'sim time is paused': {
        'test/commands/play/test_player.py': (
            'test_during_a_pause_the_node_stops_and_shows_nothing_new',
        )
    },
    'one of several cameras': {TABLE: ('test_one_dead_camera_of_two_stops_the_vehicle',)},
    "the node's process is killed": {
        HEARTBEAT: (
            'test_a_process_that_dies_or_stands_still_leaves_a_stop',
            'test_a_node_that_is_held_up_is_a_stop_and_goes_on_afterwards',
        )
    },
    'the whole computer dies': {
        'test/ros/test_stop_consumers.py': (
            'test_every_consumer_stops_for_a_person_and_in_silence_all_that_do_not_fail_open',
        )
    },
    'the GPU is lost to this process': {
        STAND_IN: ('test_a_gpu_that_is_lost_is_told_by_the_stop_and_ends_the_process',)
    },
}


class ManualRow(NamedTuple):
    """A row of the manual.

    Attributes:
        happens: What does.
        kinds: The reasons of the stop.
    """

    happens: str
    kinds: list[str]


def rows_of_the_manual() -> list[ManualRow]:
    section = (REPOSITORY / 'docs/stop.md').read_text().split('| reason (`kind`) |\n')[1]
    rows = section.split('\n\n')[0].splitlines()[1:]
    cells = [row.strip('|').split(' | ') for row in rows]
    return [ManualRow(row[0].strip(), re.findall(r'`([a-z_]+)`', row[-1])) for row in cells]


@cache
def names_in(path: Path) -> frozenset[str]:
    """The functions of a file, and the keys of its TABLE."""
    names: set[str] = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict):
            keys = (key.value for key in node.value.keys if isinstance(key, ast.Constant))
            names.update(key for key in keys if isinstance(key, str))
    return frozenset(names)


def test_every_row_of_the_manual_has_tests_and_every_test_its_row() -> None:
    rows = rows_of_the_manual()
    assert len(rows) > 25
    begins = [[begin for begin in TESTS if row.happens.startswith(begin)] for row in rows]
    wrong = [row for row, found in zip(rows, begins, strict=True) if len(found) != 1]
    assert wrong == [], 'rows without tests, or with two'
    assert sorted(found[0] for found in begins) == sorted(TESTS)


def test_the_files_of_a_row_name_its_kinds() -> None:
    for row in rows_of_the_manual():
        (files,) = (files for begin, files in TESTS.items() if row.happens.startswith(begin))
        texts = ''.join((REPOSITORY / file).read_text() for file in files)
        assert [kind for kind in row.kinds if f"'{kind}'" not in texts] == [], row.happens


@pytest.mark.parametrize('row', TESTS)
def test_the_tests_of_a_row_exist(row: str) -> None:
    for file, names in TESTS[row].items():
        assert names
        assert set(names) <= names_in(REPOSITORY / file)


def test_no_row_on_the_real_graph_is_missing_in_the_manual() -> None:
    table = {name for name in names_in(REPOSITORY / TABLE) if ' ' in name}
    assert table == {
        name for files in TESTS.values() for name in files.get(TABLE, ()) if ' ' in name
    }


def test_the_manual_names_the_files_of_these_tests() -> None:
    page = (REPOSITORY / 'docs/stop.md').read_text()
    intro = re.sub(r'\s+', ' ', page.split('| what happens |')[0])
    for files in TESTS.values():
        for file in files:
            path = Path(file)
            named = 'test/gpu_stand_in/' if 'gpu_stand_in' in file else path.name
            assert named in intro, f'docs/stop.md does not name {file}'

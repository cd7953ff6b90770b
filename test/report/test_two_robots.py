# SPDX-License-Identifier: Apache-2.0
"""Two robots in one bag: each report is of one of them, and both nodes are known as ours."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from seg_ros.cli import main
from seg_ros.core.errors import ConfigurationError
from seg_ros.core.parameters.node_config import NodeConfig
from seg_ros.core.parameters.option import config_from_values
from seg_ros.recordings.bag import BagRecording
from seg_ros.recordings.contents import nodes_in
from seg_ros.replay.job import ReplayJob
from seg_ros.replay.replay import replay
from seg_ros.report.drive import read_drive
from test.replay.recordings import drive_rows, rows_of, write_bag
from test.tiny_onnx import write_engine

PERSON = {'robot1': range(20), 'robot2': range(0)}
NAMES = tuple(PERSON)


@pytest.fixture(scope='module')
def config(tmp_path_factory: pytest.TempPathFactory) -> NodeConfig:
    engine = write_engine(tmp_path_factory.mktemp('engines') / 'tiny')
    return config_from_values(NodeConfig(), {'engine': str(engine), 'backend': 'canned'})


@pytest.fixture(scope='module')
def both(tmp_path_factory: pytest.TempPathFactory, config: NodeConfig) -> Path:
    """Before robot1 somebody stands, before robot2 nobody."""
    folder = tmp_path_factory.mktemp('robots')
    rows = []
    for robot, person in PERSON.items():
        bag = write_bag(folder / f'{robot}_drive', drive_rows(20, person))
        replay(ReplayJob(bag, folder / robot, config))
        rows += [
            row._replace(topic=f'/{robot}{row.topic}')
            for row in rows_of(folder / robot)
            if not row.topic.startswith('/tf')
        ]
    rows.sort(key=lambda row: row.recorded_ns)
    return write_bag(folder / 'both', rows)


@pytest.mark.parametrize('robot', NAMES)
def test_a_report_is_of_the_robot_that_was_named(both: Path, robot: str) -> None:
    drive = read_drive(both, robot)
    alone = read_drive(both.parent / robot)
    assert drive.topics.stop == f'/{robot}/segmentation/pedestrian_stop'
    assert drive.topics.label == f'/{robot}/segmentation/label'
    assert drive.topics.images[0] == f'/{robot}/camera/image'
    assert [row.kind for row in drive.beats] == [row.kind for row in alone.beats]
    assert drive.label_map is not None


@pytest.mark.parametrize('camera', ['', 'robot3', 'robot'])
def test_a_name_that_is_of_none_or_of_both_is_refused(both: Path, camera: str) -> None:
    with pytest.raises(ConfigurationError, match='Name one with --camera'):
        read_drive(both, camera)


def test_nodes_are_known_under_any_namespace(both: Path, config: NodeConfig) -> None:
    bag = BagRecording(both)
    types = {name: row.type_name for name, row in bag.topics.items()}
    assert nodes_in(types) == [f'/{robot}/segmentation' for robot in NAMES]
    job = ReplayJob(
        both, both.parent / 'again', config, topics=('/robot2/camera/image',), copied=('all',)
    )
    assert replay(job).frames == 20
    topics = {row.topic for row in rows_of(both.parent / 'again')}
    assert not [name for name in topics if '/robot1/segmentation' in name]
    assert '/robot1/odom' in topics


def test_the_report_has_notes_in_its_json_and_on_stderr(
    both: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (both / 'metadata.yaml').write_text('')
    words = ['report', str(both), '--camera', 'robot1', '-o', str(tmp_path / 'report'), '--json']
    assert main(words) == 0
    printed = capsys.readouterr()
    (note,) = json.loads(printed.out)['notes']
    assert 'metadata.yaml is not used' in note
    assert note in printed.err


def test_a_name_is_a_whole_name_even_with_slashes(tmp_path: Path, both: Path) -> None:
    rows = rows_of(both)
    more = [row._replace(topic=row.topic.replace('/robot1/', '/robot10/')) for row in rows]
    bag = write_bag(tmp_path / 'three', [*rows, *(row for row in more if row not in rows)])
    for name in ('/robot1', 'robot1/', '/robot1/segmentation'):
        assert read_drive(bag, name).topics.label == '/robot1/segmentation/label'


def test_a_message_that_is_cut_does_not_spoil_a_report(tmp_path: Path, both: Path) -> None:
    rows = [row for row in rows_of(both) if row.topic.startswith('/robot1/')]
    late_ns = rows[-1].recorded_ns + 1
    last = {row.topic: row for row in rows}
    cut = [row._replace(recorded_ns=late_ns, data=row.data[:2]) for row in last.values()]
    first = [row._replace(recorded_ns=rows[0].recorded_ns - 1) for row in cut]
    drive = read_drive(write_bag(tmp_path / 'cut', [*first, *rows, *cut]))
    whole = read_drive(write_bag(tmp_path / 'whole', rows))
    assert [row.stamp_ns for row in drive.frames] == [row.stamp_ns for row in whole.frames]
    assert len(drive.beats) == len(whole.beats)
    assert any('/robot1/segmentation/label' in note for note in drive.notes)
    assert any('/robot1/segmentation/classes' in note for note in drive.notes)

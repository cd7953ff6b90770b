# SPDX-License-Identifier: Apache-2.0
"""Many recordings: all of them, each once, whoever dies meanwhile."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from seg_ros.cli import main
from seg_ros.core.errors import ConfigurationError
from seg_ros.core.parameters.node_config import NodeConfig
from seg_ros.replay.fleet import ReplayOutcome, fleet_jobs, outcome_of, run_processes, run_ray
from seg_ros.replay.job import ReplayJob
from seg_ros.replay.replay import replay
from test.paths import REPOSITORY
from test.replay.recordings import drive_rows, rows_of, write_bag

IMAGES = 150
TIMEOUT_S = 600.0


@pytest.fixture(scope='session')
def bags(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three drives, one of them in a folder below."""
    folder = tmp_path_factory.mktemp('bags')
    for number, name in enumerate(('a', 'b', 'more/c')):
        write_bag(folder / name, drive_rows(IMAGES, range(10 * number, 10 * number + 20)))
    return folder


@pytest.fixture
def jobs(bags: Path, tmp_path: Path, config: NodeConfig) -> list[ReplayJob]:
    job = ReplayJob(bags, tmp_path / 'out', config, copied=('none',), checkpoint_images=7)
    return fleet_jobs(job, workers=2)


def check_all_done_once(
    jobs: list[ReplayJob], outcomes: list[ReplayOutcome], tmp_path: Path
) -> None:
    """Each recording is done, no temporary name is left, and one of them is what it should be."""
    assert sorted(row.source for row in outcomes) == sorted(str(job.source) for job in jobs)
    assert {row.state for row in outcomes} == {'done'}
    assert {row.summary['frames'] for row in outcomes} == {IMAGES}
    assert not list(tmp_path.rglob('*.partial'))
    for job in jobs:
        alone = replace(job, output=tmp_path / 'alone' / job.output.name, resume=False)
        replay(alone)
        assert rows_of(job.output) == rows_of(alone.output)


class Killer:
    """Kills the process that makes one of the bags, once it has done a part of it."""

    def __init__(self, jobs: list[ReplayJob]) -> None:
        self._folders = [job.output.with_name(f'{job.output.name}.partial') for job in jobs]
        self.killed = 0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def join(self) -> None:
        self._thread.join(TIMEOUT_S)

    def _run(self) -> None:
        give_up_s = time.monotonic() + TIMEOUT_S
        while not self.killed and time.monotonic() < give_up_s:
            for folder in self._folders:
                try:
                    if (folder / 'checkpoint.1').exists():
                        process = int((folder / 'lock').read_text())
                        assert process != os.getpid()
                        os.kill(process, signal.SIGSTOP)
                        if folder.exists():  # else it was ready a moment ago
                            os.kill(process, signal.SIGKILL)
                            self.killed = process
                            return
                        os.kill(process, signal.SIGCONT)
                except (OSError, ValueError):  # it is finished, or just begins
                    continue
            time.sleep(0.002)


def test_processes_share_the_work_and_one_that_is_killed_is_started_again(
    jobs: list[ReplayJob], tmp_path: Path
) -> None:
    killer = Killer(jobs)
    outcomes = list(run_processes(jobs, 2))
    killer.join()
    assert killer.killed
    assert sum(row.summary['resumed_frames'] >= 7 for row in outcomes) == 1
    check_all_done_once(jobs, outcomes, tmp_path)


def test_what_is_done_is_not_done_again(jobs: list[ReplayJob]) -> None:
    first = next(run_processes(jobs[:1], 1))
    before = jobs[0].output.stat().st_mtime_ns
    again = next(run_processes(jobs[:1], 1))
    assert (first.state, again.state) == ('done', 'there')
    assert again.summary == first.summary
    assert jobs[0].output.stat().st_mtime_ns == before


def test_one_that_fails_does_not_stop_the_others(
    bags: Path, tmp_path: Path, engine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / 'bags'
    folder.mkdir()
    (folder / 'good').symlink_to(bags / 'a')
    (folder / 'bad.mcap').write_bytes(b'no bag')
    words = ['replay', str(folder), '-o', str(tmp_path / 'out'), '--jobs', '2']
    words += ['-p', f'engine:={engine}', '-p', 'backend:=canned', '--duration', '1']
    assert main(words) == 1
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert lines[1].split()[1] == 'failed'
    assert 'cannot be read as a ROS bag' in lines[1]
    assert lines[2].split()[1:4] == ['done', '10', '0']
    assert main([*words, '--json']) == 1
    assert [row['state'] for row in json.loads(capsys.readouterr().out)] == ['failed', 'there']


def test_a_folder_without_recordings_is_refused(tmp_path: Path, config: NodeConfig) -> None:
    with pytest.raises(ConfigurationError, match='no bag or video'):
        fleet_jobs(ReplayJob(tmp_path, tmp_path / 'out', config))


@pytest.fixture
def ray_cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], Any]]:
    ray = pytest.importorskip('ray')
    monkeypatch.setenv('RAY_USAGE_STATS_ENABLED', '0')
    monkeypatch.setenv('RAY_worker_niceness', '0')  # or a busy machine leaves it no time
    repository = str(REPOSITORY)
    monkeypatch.setenv('PYTHONPATH', repository)
    ray.init(
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        object_store_memory=80 << 20,
    )
    try:
        yield ray
    finally:
        ray.shutdown()


@pytest.mark.slow
@pytest.mark.usefixtures('ray_cluster')
@pytest.mark.filterwarnings('ignore')  # of Ray's own making
def test_a_ray_cluster_loses_nothing_and_does_nothing_twice_when_a_worker_is_killed(
    jobs: list[ReplayJob], tmp_path: Path
) -> None:
    jobs = [replace(j, config=replace(j.config, inference_threads=1)) for j in jobs]
    killer = Killer(jobs)
    outcomes = list(run_ray(jobs, 'auto'))
    killer.join()
    assert killer.killed
    assert sum(row.summary['resumed_frames'] >= 7 for row in outcomes) == 1
    check_all_done_once(jobs, outcomes, tmp_path)


TERMINATED = """
import pickle, sys
from seg_ros.replay.fleet import run_processes
list(run_processes(pickle.load(sys.stdin.buffer), 2))
"""


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGKILL])
def test_whatever_ends_the_fleet_leaves_no_process_behind(
    jobs: list[ReplayJob], number: int
) -> None:
    fleet = subprocess.Popen([sys.executable, '-c', TERMINATED], stdin=subprocess.PIPE)
    assert fleet.stdin is not None
    fleet.stdin.write(pickle.dumps(jobs))
    fleet.stdin.close()
    children = wait_for(lambda: children_of(fleet.pid))
    fleet.send_signal(number)
    fleet.wait(60)
    wait_for(lambda: not [child for child in children if Path(f'/proc/{child}/cwd').exists()])


def test_a_link_that_leads_back_up_is_not_followed(tmp_path: Path, config: NodeConfig) -> None:
    write_bag(tmp_path / 'in' / 'deep' / 'drive', drive_rows(2))
    (tmp_path / 'in' / 'deep' / 'up').symlink_to(tmp_path / 'in')
    (tmp_path / 'in' / 'itself').symlink_to(tmp_path / 'in' / 'itself')
    found = fleet_jobs(ReplayJob(tmp_path / 'in', tmp_path / 'out', config))
    assert [job.source for job in found] == [tmp_path / 'in' / 'deep' / 'drive']


def children_of(parent: int) -> list[int]:
    text = Path(f'/proc/{parent}/task/{parent}/children').read_text()
    threads = Path(f'/proc/{parent}/task').iterdir()
    return [int(word) for task in threads for word in (task / 'children').read_text().split()] or [
        int(word) for word in text.split()
    ]


def wait_for(condition: Callable[[], Any], limit_s: float = 120.0) -> Any:
    end_s = time.monotonic() + limit_s
    while not (found := condition()):
        assert time.monotonic() < end_s
        time.sleep(0.05)
    return found


@pytest.mark.parametrize('note', [b'no JSON', b'[1]', None])
def test_a_note_beside_a_done_output_that_cannot_be_read_is_as_good_as_none(
    jobs: list[ReplayJob], note: bytes | None
) -> None:
    output = jobs[0].output
    output.mkdir(parents=True)
    path = output.with_name(f'{output.name}.json')
    if note is None:
        os.mkfifo(path)  # would be waited for
    else:
        path.write_bytes(note)
    outcome = outcome_of(jobs[0])
    assert (outcome.state, outcome.summary) == ('there', {})

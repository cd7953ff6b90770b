# SPDX-License-Identifier: Apache-2.0
"""Many recordings, each a piece of work of its own: by processes of this machine, or by Ray.

A piece of work makes one bag, under a name of its own until it is whole, and goes on with what an
interrupted one has left. So whoever dies is simply started again, and a fleet that is run again
does only what is missing.
"""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from seg_ros.core.errors import ConfigurationError, SegRosError
from seg_ros.files import read_text, write_whole
from seg_ros.inference.cpu_backend import available_cores
from seg_ros.recordings.bag import is_bag
from seg_ros.replay.job import ReplayJob
from seg_ros.replay.replay import replay

__all__ = ['ReplayOutcome', 'fleet_jobs', 'outcome_of', 'run_processes', 'run_ray']

LARGEST_NOTE = 16 << 20  # bytes of a summary
ATTEMPTS = 3
VIDEOS = ('.mp4', '.mkv', '.avi', '.mov', '.webm', '.m4v')


@dataclass(frozen=True)
class ReplayOutcome:
    """What came of one recording.

    Attributes:
        source: The recording.
        output: Its bag.
        state: ``done``, ``there`` if it was before, or ``failed``.
        summary: ``ReplaySummary`` as JSON; empty where it failed, or nobody knows.
        reason: Why it failed.
    """

    source: str
    output: str
    state: str
    summary: dict[str, Any]
    reason: str = ''

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def fleet_jobs(job: ReplayJob, workers: int = 0) -> list[ReplayJob]:
    """Returns the work of a folder of recordings.

    Args:
        job: What is asked for of each; its source and output are the folders.
        workers: How many share this machine; 0 leaves the number of threads alone.

    Raises:
        ConfigurationError: There is no recording in the folder.
    """
    found = sorted(_recordings(job.source))
    if not found:
        raise ConfigurationError(f'{job.source} has no bag or video in it. Name their folder.')
    config = job.config
    if workers and not config.inference_threads:
        config = replace(config, inference_threads=max(1, available_cores() // workers))
    jobs = []
    for path in found:
        name = path.relative_to(job.source)
        output = job.output / (name if path.is_dir() else name.with_suffix(''))
        jobs.append(replace(job, source=path, output=output, config=config, resume=True))
    if twice := {row.output for row in jobs if [x.output for x in jobs].count(row.output) > 1}:
        raise ConfigurationError(f'Two recordings would be called {min(twice)}. Rename one.')
    return jobs


def outcome_of(job: ReplayJob) -> ReplayOutcome:
    """Does one piece of work, unless it is done; an error of ours is an outcome, too."""
    source, output = str(job.source), str(job.output)
    note = job.output.with_name(f'{job.output.name}.json')
    if job.output.exists():
        return ReplayOutcome(source, output, 'there', _noted(note))
    try:
        job.output.parent.mkdir(parents=True, exist_ok=True)
        summary = replay(job).as_json()
    except SegRosError as error:
        return ReplayOutcome(source, output, 'failed', {}, str(error))
    try:
        write_whole(note, json.dumps(summary))
    except SegRosError as error:
        return ReplayOutcome(source, output, 'failed', summary, f'The bag is whole, but {error}')
    return ReplayOutcome(source, output, 'done', summary)


def _noted(note: Path) -> dict[str, Any]:
    """Returns the summary that lies beside an output; nothing where there is none to be read."""
    try:
        found = json.loads(read_text(note, LARGEST_NOTE))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def run_processes(jobs: Sequence[ReplayJob], workers: int) -> Iterator[ReplayOutcome]:
    """Yields the outcomes as they come, each of a process of its own.

    Whatever ends it, SIGTERM too, ends the processes: each leaves what can be resumed.
    """
    children = _Children()
    with ThreadPoolExecutor(workers) as pool, _terminable():
        waiting = [pool.submit(_in_a_process, job, children) for job in jobs]
        try:
            for future in as_completed(waiting):
                yield future.result()
        except BaseException:
            for future in waiting:
                future.cancel()
            children.end()
            raise


def run_ray(jobs: Sequence[ReplayJob], address: str) -> Iterator[ReplayOutcome]:
    """Yields the outcomes as they come, of a Ray cluster whose machines see the same files.

    Args:
        jobs: The work.
        address: Of the cluster; ``local`` starts one here.

    Raises:
        ConfigurationError: Ray is not installed, or there is no cluster.
    """
    try:
        import ray
    except ImportError as error:
        msg = f"--ray needs Ray ({error}). Install it: pip install 'seg_ros[ray]'"
        raise ConfigurationError(msg) from error
    ours = not ray.is_initialized()
    if ours:
        try:
            ray.init(address=address, include_dashboard=None, log_to_driver=False)
        except (ConnectionError, ValueError) as error:
            raise ConfigurationError(f'--ray {address}: {error}') from error
    try:
        work = ray.remote(max_retries=ATTEMPTS - 1)(outcome_of)
        waiting = {
            work.options(num_cpus=max(1, job.config.inference_threads)).remote(job): job
            for job in jobs
        }
        while waiting:
            (ready,), _ = ray.wait(list(waiting), num_returns=1)
            job = waiting.pop(ready)
            try:
                yield ray.get(ready)
            except ray.exceptions.RayError as error:
                reason = f'its worker died {ATTEMPTS} times: {error}'
                yield ReplayOutcome(str(job.source), str(job.output), 'failed', {}, reason)
    finally:
        if ours:
            ray.shutdown()


def _recordings(folder: Path, above: tuple[Path, ...] = ()) -> Iterator[Path]:
    """Yields every bag and video below a folder; a link that leads back up is not followed."""
    real = folder.resolve()
    if real in above:
        return
    for path in folder.iterdir():
        if path.is_symlink() and not path.exists():  # it leads nowhere, or to itself
            continue
        if path.is_dir():
            if is_bag(path):
                yield path
            else:
                yield from _recordings(path, (*above, real))
        elif is_bag(path) or path.suffix.lower() in VIDEOS:
            yield path


class _Children:
    """The processes that run now."""

    def __init__(self) -> None:
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()
        self._is_over = False

    def run(self, words: Sequence[str], data: bytes) -> tuple[int, bytes]:
        """Returns the exit code and the output of a process; 130 where none may begin."""
        with self._lock:
            if self._is_over:
                return 130, b''
            process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            self._running.add(process)
        try:
            output, _ = process.communicate(data)
        finally:
            with self._lock:
                self._running.discard(process)
        return process.returncode, output

    def end(self) -> None:
        """Interrupts them, so that each leaves its bag readable, and begins no other."""
        with self._lock:
            self._is_over = True
            for process in self._running:
                process.send_signal(signal.SIGINT)


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    """Makes SIGTERM end this process as Ctrl-C does, where signals come to this thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _in_a_process(job: ReplayJob, children: _Children) -> ReplayOutcome:
    """Does one piece of work in a process, which is started again if it is killed."""
    code = 0
    for _ in range(ATTEMPTS):
        code, output = children.run(
            [sys.executable, '-m', 'seg_ros.replay', str(os.getpid())], pickle.dumps(job)
        )
        if code == 0:
            outcome: ReplayOutcome = pickle.loads(output)  # noqa: S301  of our own process
            return outcome
        if code > 0:
            break
    reason = f'its process ended with {code}' if code > 0 else f'it was killed {ATTEMPTS} times'
    return ReplayOutcome(str(job.source), str(job.output), 'failed', {}, reason)

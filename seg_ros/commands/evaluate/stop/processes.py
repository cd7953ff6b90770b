# SPDX-License-Identifier: Apache-2.0
"""Drives that are judged in processes of their own, several at a time."""

from __future__ import annotations

import functools
import multiprocessing
import os
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import NamedTuple

import cv2

from seg_ros.commands.evaluate.exact_labels import ExactLabels
from seg_ros.commands.evaluate.stop.drives import Moment, PlannedDrive, moments_of
from seg_ros.commands.shared.children import end_with_parent
from seg_ros.core.errors import SegRosError
from seg_ros.core.stop.config import StopConfig
from seg_ros.inference.base import InferenceBackend
from seg_ros.inference.engine import Engine, load_engine
from seg_ros.inference.registry import create_backend
from seg_ros.sim import World
from seg_ros.sim.labels.renderer import LabelWorld

__all__ = ['Judge', 'judged_drives']


class Judge(NamedTuple):
    """What makes the labels of a drive.

    Attributes:
        engine: Name or folder.
        backend: What runs it.
        threads: Of inference, in each process; 0: one per free core.
        precision: Of the backend.
    """

    engine: str
    backend: str = 'auto'
    threads: int = 0
    precision: str = 'auto'

    def backend_of(self, engine: Engine) -> InferenceBackend:
        """Returns what runs the engine."""
        return create_backend(
            self.backend, engine, threads=self.threads, precision=self.precision
        ).backend


def judged_drives(
    drives: Sequence[PlannedDrive], config: StopConfig, judge: Judge | None, jobs: int
) -> Iterator[list[Moment]]:
    """Yields what happened in each drive, in their order; ``jobs`` are driven at a time.

    Args:
        drives: What to drive.
        config: Of the stop.
        judge: What makes the labels; None: the true ones are judged.
        jobs: Processes.

    Raises:
        SegRosError: A process died, or the engine cannot be run.
    """
    spawn = multiprocessing.get_context('spawn')  # fork would copy threads half
    with ProcessPoolExecutor(jobs, spawn, _begin, (os.getpid(),)) as pool:
        try:
            yield from pool.map(functools.partial(_moments, config, judge), drives)
        except BrokenProcessPool as error:
            msg = 'A process that drives has died. Is there enough memory? Try fewer --jobs.'
            raise SegRosError(msg) from error
        finally:
            pool.shutdown(cancel_futures=True)


def _begin(parent: int) -> None:
    """Runs in each process: one core is its own, and it ends with Ctrl-C and with its parent."""
    cv2.setNumThreads(1)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    end_with_parent(parent)


def _moments(config: StopConfig, judge: Judge | None, drive: PlannedDrive) -> list[Moment]:
    if judge is None:
        exact = ExactLabels(drive.scene.size_wh)
        return list(moments_of(drive, config, exact, LabelWorld))
    return list(moments_of(drive, config, _backend(judge), World))


@functools.cache
def _backend(judge: Judge) -> InferenceBackend:
    """Made once in each process."""
    return judge.backend_of(load_engine(judge.engine))

"""Drives that are judged in processes of their own, several at a time."""

from __future__ import annotations

import functools
import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import NamedTuple

import cv2
import numpy as np

from seg_ros.commands.evaluate.stop.drives import (
    EXACT_LABEL_MAP,
    Judged,
    Moment,
    PlannedDrive,
    moments_of,
)
from seg_ros.commands.shared.children import end_with_parent
from seg_ros.core.errors import SegRosError
from seg_ros.core.image.health import health_of
from seg_ros.core.labels import LabelMap
from seg_ros.core.stop.config import StopConfig
from seg_ros.inference.base import InferenceBackend
from seg_ros.inference.engine import load_engine
from seg_ros.inference.registry import create_backend
from seg_ros.sim import SceneConfig, SimFrame, World
from seg_ros.sim.labels.renderer import LabelWorld

__all__ = ['Network', 'judged_drives']


class Network(NamedTuple):
    """What judges the images of a drive.

    Attributes:
        engine: Name or folder.
        backend: What runs it.
        threads: Of inference, in each process; 0: one per free core.
    """

    engine: str
    backend: str = 'auto'
    threads: int = 0


class _Judging(NamedTuple):
    make_world: Callable[[SceneConfig], World]
    label_map: LabelMap
    judge: Callable[[SimFrame], Judged]


def judged_drives(
    drives: Sequence[PlannedDrive], config: StopConfig, network: Network | None, jobs: int
) -> Iterator[list[Moment]]:
    """Yields what happened in each drive, in their order; ``jobs`` are driven at a time.

    Args:
        drives: What to drive.
        config: Of the stop.
        network: What judges the images; None: the true labels are judged.
        jobs: Processes.

    Raises:
        SegRosError: A process died, or the engine cannot be run.
    """
    spawn = multiprocessing.get_context('spawn')  # fork would copy threads half
    with ProcessPoolExecutor(jobs, spawn, initializer=_begin) as pool:
        try:
            yield from pool.map(functools.partial(_moments, config, network), drives)
        except BrokenProcessPool as error:
            msg = 'A process that drives has died. Is there enough memory? Try fewer --jobs.'
            raise SegRosError(msg) from error
        finally:
            pool.shutdown(cancel_futures=True)


def _begin() -> None:
    """Runs in each process: one core is its own, and it ends with Ctrl-C and with its parent."""
    cv2.setNumThreads(1)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    end_with_parent()


def _moments(config: StopConfig, network: Network | None, drive: PlannedDrive) -> list[Moment]:
    judging = _judging(network)
    return list(moments_of(drive, config, judging.label_map, judging.judge, judging.make_world))


@functools.cache
def _judging(network: Network | None) -> _Judging:
    """Made once in each process."""
    if network is None:
        return _Judging(LabelWorld, EXACT_LABEL_MAP, _exact)
    engine = load_engine(network.engine)
    backend = create_backend(network.backend, engine, threads=network.threads).backend
    return _Judging(World, engine.label_map, functools.partial(_inferred, backend))


def _exact(frame: SimFrame) -> Judged:
    return Judged(frame.labels)


def _inferred(backend: InferenceBackend, frame: SimFrame) -> Judged:
    result = backend.infer(frame.image[np.newaxis], with_confidence=True)
    confidence = None if result.confidence is None else result.confidence[0]
    return Judged(result.labels[0], confidence, health_of(frame.image))

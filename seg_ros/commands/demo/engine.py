# SPDX-License-Identifier: Apache-2.0
"""Which engine a demo runs: the node's own, or the light one where that labels too few images.

Whoever sees this package for the first time has the machine that they have. Both engines are
measured first (``seg_ros tune``), which the node would else do while its images come.
"""

from __future__ import annotations

import argparse
import math
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from seg_ros.commands.shared.progress import Progress
from seg_ros.commands.shared.tuned_first import tuned_first
from seg_ros.core.parameters.node_config import NodeConfig
from seg_ros.inference.cpu_backend import available_cores
from seg_ros.inference.engine import engine_search_path, load_engine
from seg_ros.inference.tuning.choice import KEEPS_UP, choose
from seg_ros.inference.tuning.memory import IMAGE_HZ, recall, tune_key
from seg_ros.recordings.sources import ImageSource

__all__ = ['DemoEngine', 'engine_for', 'period_ms_of']

LIGHT = 'roadseg-s'  # the classes of the default engine with a third of its work
MS_PER_S = 1e3


class DemoEngine(NamedTuple):
    """What a demo runs.

    Attributes:
        name: Of the engine; empty leaves it to the node's parameters.
        said: What the user should know of it, a sentence each.
        may_be_measured: False where that has just failed, and the node need not try again.
    """

    name: str
    said: tuple[str, ...] = ()
    may_be_measured: bool = True


class MeasuredEngine(NamedTuple):
    """How fast the node will run an engine.

    Attributes:
        name: Of the engine.
        median_ms: Of an image; infinite where it could not be measured in time, 0 where nothing
            need be (a GPU has a plan of its own).
        said: What came of the measurement; empty where nothing had to be done.
    """

    name: str
    median_ms: float
    said: tuple[str, ...]


def engine_for(
    config: NodeConfig, arguments: argparse.Namespace, period_ms: float, progress: Progress
) -> DemoEngine:
    """Returns what to run, measured on this machine where nothing is remembered.

    An engine or backend that somebody named is taken as it is.

    Args:
        config: The node's parameters.
        arguments: Of the demo; its ``engine`` and ``backend`` count.
        period_ms: Between two images.
        progress: Is told what is going on.

    Raises:
        EngineError: There is no such engine.
    """
    named = str(arguments.engine or '')
    if (arguments.backend or config.backend) != 'auto' or not config.auto_tune:
        return DemoEngine(named)
    usual = _measured(named or config.engine, config, progress)
    is_asked_for = named or config.engine != NodeConfig().engine
    if is_asked_for or usual.median_ms <= KEEPS_UP * period_ms:
        return DemoEngine(named, usual.said, math.isfinite(usual.median_ms))
    if math.isinf(usual.median_ms):  # nor would the other one be measured in time
        return DemoEngine(LIGHT, (*usual.said, _instead(usual.name, LIGHT)), False)
    light = _measured(LIGHT, config, progress)
    if light.median_ms >= usual.median_ms:
        return DemoEngine(named, usual.said)
    why = (
        f'{usual.name} takes {usual.median_ms:.0f} ms an image here, {light.name} '
        f'{light.median_ms:.0f} ms, and one comes every {period_ms:.0f} ms. '
    )
    return DemoEngine(light.name, (*(usual.said or light.said), why + _instead(usual.name, LIGHT)))


def _instead(usual: str, light: str) -> str:
    return (
        f'{light} labels them, which has the same classes with a third of the work; '
        f'--engine {usual} takes the better one, and leaves images out.'
    )


def period_ms_of(source: ImageSource, rate_hz: float | None) -> float:
    """Returns the time between two images of a source.

    Args:
        source: What will be played.
        rate_hz: At which it will be, where somebody has said that.
    """
    if rate_hz is not None:
        return MS_PER_S / rate_hz
    stamps = [frame.stamp_ns for frame in islice(source.frames(), 2)]
    return (stamps[1] - stamps[0]) / 1e6 if len(stamps) == 2 else MS_PER_S / IMAGE_HZ


def _measured(name: str, config: NodeConfig, progress: Progress) -> MeasuredEngine:
    ours = [Path(config.engines_path)] if config.engines_path else []
    engine = load_engine(name, [*ours, *engine_search_path()], config.network_size)
    cache = Path(config.cache_path) if config.cache_path else None
    progress.show(f'Measuring what runs {engine.name} fastest on this machine, for up to 20 s')
    said = tuned_first(engine, (1,), cache)
    rows = recall(engine, tune_key(engine), cache).rows
    wish = config.precision, config.inference_threads
    chosen = choose(rows, available_cores(), MS_PER_S / IMAGE_HZ, *wish)
    if chosen is not None:
        return MeasuredEngine(engine.name, chosen[0].median_ms, (said,) if said else ())
    return MeasuredEngine(engine.name, math.inf if said else 0.0, (said,) if said else ())

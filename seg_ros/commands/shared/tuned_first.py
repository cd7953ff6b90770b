# SPDX-License-Identifier: Apache-2.0
"""Measures what is fastest before a command starts a node, which would do it while images come."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from seg_ros.core.errors import SegRosError
from seg_ros.inference.engine import Engine
from seg_ros.inference.registry import is_unmeasured, tune_command
from seg_ros.inference.tensorrt.background_build import BackgroundBuild
from seg_ros.inference.tensorrt.plan_cache import PlanCache

__all__ = ['tuned_first']


def tuned_first(
    engine: Engine, cameras: Sequence[int] = (1,), cache_path: Path | None = None
) -> str:
    """Measures what is not remembered; returns a sentence, empty where nothing had to be done.

    Args:
        engine: What will run with backend 'auto'.
        cameras: Of each node that will run it.
        cache_path: Where it is remembered; None takes the usual folder.
    """
    said = ''
    cache = PlanCache(cache_path)
    for count in cameras:
        if not is_unmeasured(engine, count, cache_path):
            continue
        try:
            cache.check_writable()
            build = BackgroundBuild(tune_command(engine, cache.folder, count))
        except SegRosError as error:
            return f'What is fastest here was not measured: {error}'
        try:
            failure = build.wait().failure
        finally:
            build.close()
        if failure:
            return f'What is fastest here was not measured: {failure}'
        said = 'It was measured what is fastest here (seg_ros tune --show).'
    return said

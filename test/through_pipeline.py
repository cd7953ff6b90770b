"""One frame through all stages of a pipeline."""

from __future__ import annotations

import itertools
from collections.abc import Collection

from seg_ros.core.timing import StageTimer
from seg_ros.core.types import Allocate, Frame
from seg_ros.pipeline import (
    FrameResult,
    PipelineOptions,
    SegmentationPipeline,
    needs_confidence,
)

NO_OPTIONS = PipelineOptions()


def processed(
    pipeline: SegmentationPipeline,
    frame: Frame,
    wanted: Collection[str],
    options: PipelineOptions = NO_OPTIONS,
    allocate: Allocate | None = None,
) -> FrameResult:
    ticks = itertools.count()
    timer = StageTimer(lambda: next(ticks))
    batch = pipeline.batch()
    pipeline.prepare(frame, batch[0], timer)
    (view,) = pipeline.infer([frame], batch, needs_confidence(wanted, options))
    return pipeline.finish(frame, view, wanted, options, timer, allocate)

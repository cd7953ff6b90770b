# SPDX-License-Identifier: Apache-2.0
"""One frame, or what a test says that the network made of it, through perception."""

from __future__ import annotations

import itertools
from collections.abc import Collection

from seg_ros.commands.evaluate.exact_labels import ExactLabels
from seg_ros.core.image.camera_image import Frame
from seg_ros.core.image.decoding import image_of_rgb
from seg_ros.core.parameters.node_config import NodeConfig
from seg_ros.core.timing import StageTimer
from seg_ros.core.types import Allocate, NetworkView
from seg_ros.decisions import CameraDecisions, FrameDecisions
from seg_ros.perception import Perception, PreparedFrame, SeenFrame, Wanted
from seg_ros.pipeline import FrameImages, PipelineOptions
from test import people_scene

__all__ = ['decided', 'processed']

NO_OPTIONS = PipelineOptions()


def ticking_timer() -> StageTimer:
    ticks = itertools.count()
    return StageTimer(lambda: next(ticks))


def processed(
    perception: Perception,
    frame: Frame,
    images: Collection[str],
    options: PipelineOptions = NO_OPTIONS,
    allocate: Allocate | None = None,
) -> FrameImages:
    """Returns the images of a frame of a camera that nobody asks for decisions."""
    wanted = Wanted(images=frozenset(images), options=options)
    (seen,) = perception.infer([perception.prepare(frame, wanted, ticking_timer())])
    camera = CameraDecisions(NodeConfig(), people_scene.LABEL_MAP)
    return perception.finish(seen, camera, frame.stamp_ns, allocate).images


def decided(
    camera: CameraDecisions,
    view: NetworkView,
    stamp_ns: int,
    wanted: Collection[str],
    now_ns: int | None = None,
) -> FrameDecisions:
    """Returns what is decided about a view of the network's that a test has made."""
    frame = Frame('camera', stamp_ns, 'camera_optical', image_of_rgb(view.picture))
    height, width = view.labels.shape
    prepared = PreparedFrame(
        frame, Wanted(decisions=frozenset(wanted)), view.picture, ticking_timer()
    )
    perception = Perception(ExactLabels((width, height)))
    now_ns = stamp_ns if now_ns is None else now_ns
    return perception.finish(SeenFrame(prepared, view), camera, now_ns).decisions

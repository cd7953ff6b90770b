# SPDX-License-Identifier: Apache-2.0
"""Perception: the whole way of a camera frame, from its bytes to labels and decisions.

Whoever has frames comes here, and nowhere beside it: the node's worker, a replay, the evaluation.
Nothing here knows ROS, holds a message or asks a clock. What changes from frame to frame of one
camera is kept in its ``CameraDecisions``, which the caller brings along.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from seg_ros.core.image.camera_image import Frame
from seg_ros.core.navigation.navigator import NAVIGATION
from seg_ros.core.timing import StageTimer
from seg_ros.core.types import Allocate, NetworkView, RgbBatch, RgbImage
from seg_ros.core.watched_zones.monitor import ZoneState
from seg_ros.decisions import CameraDecisions, FrameDecisions
from seg_ros.inference.base import InferenceBackend
from seg_ros.pipeline import FrameImages, PipelineOptions, SegmentationPipeline

__all__ = ['Perceived', 'Perception', 'PreparedFrame', 'SeenFrame', 'Wanted']


@dataclass(frozen=True)
class Wanted:
    """What is wanted of a frame; nothing else is made.

    Attributes:
        images: Out of ``pipeline.IMAGES``.
        decisions: Out of ``decisions.DECISIONS``.
        options: What may change between two frames.
    """

    images: frozenset[str] = frozenset()
    decisions: frozenset[str] = frozenset()
    options: PipelineOptions = PipelineOptions()  # noqa: RUF009  frozen

    def __bool__(self) -> bool:
        return bool(self.images or self.decisions)

    @property
    def confidence(self) -> bool:
        """Whether it needs the confidence of the network."""
        images, decisions = self.images, self.decisions
        by_name = 'confidence' in images or not decisions.isdisjoint({'stop', 'costmap'})
        return by_name or self.options.min_confidence > 0.0


@dataclass(frozen=True)
class PreparedFrame:
    """A frame that the network can take.

    Attributes:
        frame: The camera's image with its identity.
        wanted: What is wanted of it.
        picture: ``(H, W, 3)``, the image at the network's size.
        timer: Books its stages.
    """

    frame: Frame
    wanted: Wanted
    picture: RgbImage
    timer: StageTimer


@dataclass(frozen=True)
class SeenFrame:
    """A frame and what the network says of it.

    Attributes:
        prepared: What went in.
        view: What came out; valid until the next ``infer``, or the second ``begin`` after its own.
    """

    prepared: PreparedFrame
    view: NetworkView

    def kept(self) -> SeenFrame:
        """Returns a copy that outlives the next ``infer``."""
        confidence = self.view.confidence
        view = replace(
            self.view,
            labels=self.view.labels.copy(),
            confidence=None if confidence is None else confidence.copy(),
        )
        return replace(self, view=view)


@dataclass(frozen=True)
class Perceived:
    """All that came of a frame.

    Attributes:
        frame: The frame.
        images: At the camera's size, as far as they were wanted.
        decisions: What the frame means, as far as it was wanted.
        timer: The time of every stage.
    """

    frame: Frame
    images: FrameImages
    decisions: FrameDecisions
    timer: StageTimer


class Perception:
    """Takes frames of any number of cameras through one network and on to decisions.

    ``process`` takes a frame alone all the way; its three parts are there for whoever lets them
    overlap: each has one caller at a time, and while one thread is in ``infer``, another may
    ``finish`` what it has ``kept``.

    Args:
        backend: Runs the network. The caller closes it.
    """

    def __init__(self, backend: InferenceBackend) -> None:
        self._pipeline = SegmentationPipeline(backend)

    @property
    def max_batch(self) -> int:
        """How many frames are faster together than one after the other."""
        return self._pipeline.max_batch

    @property
    def overlaps(self) -> bool:
        """Whether the network works beside its caller: what is begun need not be waited for."""
        return self._pipeline.overlaps

    def batch(self, length: int) -> RgbBatch:
        """Returns room for so many prepared pictures; it is used again and again.

        While a batch is under way it is the other one's.
        """
        return self._pipeline.batch(length)

    def process(
        self,
        frame: Frame,
        camera: CameraDecisions,
        wanted: Wanted,
        now_ns: int,
        timer: StageTimer,
    ) -> Perceived:
        """Returns all that is wanted of one frame; its arrays are valid until the next frame.

        Args:
            frame: The camera's image with its identity.
            camera: What is known of its camera, calibrated; it takes note of the frame.
            wanted: What is wanted of it.
            now_ns: The clock that header stamps come from.
            timer: Books the stages.

        Raises:
            FrameError: The image cannot be read.
            BackendError: The network cannot be run.
        """
        prepared = self.prepare(frame, wanted, timer, self.batch(1)[0])
        (seen,) = self.infer([prepared])
        return self.finish(seen, camera, now_ns)

    def prepare(
        self, frame: Frame, wanted: Wanted, timer: StageTimer, out: RgbImage | None = None
    ) -> PreparedFrame:
        """Reads a camera's image.

        Args:
            frame: The camera's image with its identity.
            wanted: What is wanted of it.
            timer: Books the stage preprocess.
            out: ``(H, W, 3)`` at the network's size, its place in a batch; None makes an array.

        Raises:
            FrameError: The image cannot be read.
        """
        # Read the image: any encoding of a camera becomes RGB at the network's size
        picture = self._pipeline.prepare(frame, out)
        timer.stage('preprocess')
        return PreparedFrame(frame, wanted, picture, timer)

    def infer(
        self, prepared: Sequence[PreparedFrame], batch: RgbBatch | None = None
    ) -> list[SeenFrame]:
        """Runs the network on frames together; returns them in order.

        Args:
            prepared: At least one.
            batch: ``(N, H, W, 3)`` in which their pictures lie; None for a frame alone.

        Raises:
            BackendError: The network cannot be run.
        """
        return self.begin(prepared, batch)()

    def begin(
        self, prepared: Sequence[PreparedFrame], batch: RgbBatch | None = None
    ) -> Callable[[], list[SeenFrame]]:
        """Lets the network begin, as ``infer`` runs it; what it returns waits for the frames.

        One batch at a time is under way: who has begun one may ``prepare`` the next and ``finish``
        the last, then waits for it, and only then begins the next.
        """
        if batch is None:
            batch = prepared[0].picture[np.newaxis]
        # Run the network: labels at its own size, and how sure it is where somebody asks
        with_confidence = any(row.wanted.confidence for row in prepared)
        views = self._pipeline.begin([row.frame for row in prepared], batch, with_confidence)

        def seen() -> list[SeenFrame]:
            rows = list(zip(prepared, views(), strict=True))
            for row, _ in rows:
                row.timer.stage('infer')
            return [SeenFrame(row, view) for row, view in rows]

        return seen

    def finish(
        self,
        seen: SeenFrame,
        camera: CameraDecisions,
        now_ns: int,
        allocate: Allocate | None = None,
    ) -> Perceived:
        """Returns all that is wanted of a frame, and does no more than that needs.

        Args:
            seen: What ``infer`` gave.
            camera: What is known of its camera, calibrated; it takes note of the frame.
            now_ns: The clock that header stamps come from.
            allocate: Gives the arrays that the images are written to; by default the pipeline's
                own, which the next frame overwrites.

        Raises:
            FrameError: The image cannot be read.
        """
        frame, wanted, timer = seen.prepared.frame, seen.prepared.wanted, seen.prepared.timer
        view, stamp_ns, decisions = seen.view, frame.stamp_ns, wanted.decisions

        # Labels, confidence and overlay at the camera's size
        images = self._pipeline.finish(frame, view, wanted.images, wanted.options, timer, allocate)
        if not decisions:
            return Perceived(frame, images, FrameDecisions(), timer)

        # Geometry: where the ground lies in this view, and whether the picture can be believed
        is_believed = camera.look(view, stamp_ns)
        timer.stage('sight')

        # Lane: where the vehicle goes, and where people are looked for
        lane = None
        if 'lane' in decisions:
            lane = camera.find_lane(view, stamp_ns, now_ns)
            timer.stage('lane')

        # Stop: who is in the way
        judged = FrameDecisions(lane=lane)
        if 'stop' in decisions:
            judged = camera.judge_people(view, stamp_ns, now_ns, lane)
            timer.stage('stop')
        if not is_believed:
            return Perceived(frame, images, judged, timer)

        # Navigation: what stands in the way, and where it is free
        navigation = autoware = instances = detections = None
        if not decisions.isdisjoint(NAVIGATION):
            navigation = camera.navigate(view, decisions)
            timer.stage('navigation')
        if 'autoware' in decisions:
            autoware = camera.encode_autoware(view)
            timer.stage('autoware')
        if not decisions.isdisjoint({'instances', 'detections'}):
            instances = camera.find_instances(view)
            timer.stage('instances')
        if instances is not None and 'detections' in decisions and judged.is_judged:
            detections = camera.detect(instances, view, judged.people)
            timer.stage('detections')

        # Zones: what is in those that are watched
        zones: tuple[ZoneState, ...] = ()
        if 'zones' in decisions:
            zones = camera.watch_zones(view, stamp_ns)
            timer.stage('zones')

        # Results, as far as somebody wants them
        decided = replace(
            judged,
            navigation=navigation,
            autoware=autoware,
            instances=instances,
            detections=detections,
            zones=zones,
        )
        return Perceived(frame, images, decided, timer)

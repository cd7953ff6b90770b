# SPDX-License-Identifier: Apache-2.0
"""The thread that takes a camera's newest frame through perception and publishes what comes.

Where a GPU works beside it, one batch is under way there while the thread finishes the last one
and prepares the next: a rate of 1 / max(CPU, GPU) instead of 1 / (CPU + GPU).
"""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple, NoReturn

from rclpy.node import Node
from sensor_msgs.msg import CompressedImage, Image

from seg_ros.core.errors import BackendError, DeviceLost, FrameError
from seg_ros.core.parameters.node_config import NodeConfig
from seg_ros.core.timing import StageTimer
from seg_ros.core.types import RgbBatch, RgbImage
from seg_ros.core.units import NS_PER_MS
from seg_ros.decisions import CameraDecisions, needs_of_stop
from seg_ros.messages.conversions import frame_from_message, stamp_ns_of
from seg_ros.perception import Perception, PreparedFrame, SeenFrame, Wanted
from seg_ros.pipeline import PipelineOptions
from seg_ros.ros.diagnostics import CameraStatistics
from seg_ros.ros.mailbox import Mailbox
from seg_ros.ros.outputs import CameraOutputs, DecisionOutputs
from seg_ros.ros.vehicle_geometry import CameraGeometry

__all__ = ['CameraPort', 'FrameWorker', 'Received']

STOP_TIMEOUT_S = 10.0
REPEAT_LOG_S = 10.0


class CameraPort(NamedTuple):
    """Everything that belongs to one camera.

    Attributes:
        outputs: Its label images.
        decisions: Its stop and lane.
        decision_outputs: Their topics.
        geometry: Its lens and place.
        statistics: Its counts.
    """

    outputs: CameraOutputs
    decisions: CameraDecisions
    decision_outputs: DecisionOutputs
    geometry: CameraGeometry
    statistics: CameraStatistics


class Received(NamedTuple):
    """A message and the monotonic time of its arrival."""

    message: Image | CompressedImage
    arrived_ns: int


class Job(NamedTuple):
    """A frame on its way.

    Attributes:
        camera: Its name.
        received: The message.
        prepared: What is in it, and what is wanted of it.
    """

    camera: str
    received: Received
    prepared: PreparedFrame


class Batch(NamedTuple):
    """Frames that go through the network together.

    Attributes:
        jobs: The frames.
        config: The parameters as they were when the frames were taken.
        pictures: ``(N, H, W, 3)``, what the network takes of them.
    """

    jobs: Sequence[Job]
    config: NodeConfig
    pictures: RgbBatch


class UnderWay(NamedTuple):
    """A batch that the network has.

    Attributes:
        batch: The frames.
        seen: Waits for what the network says of them, in order, or raises why it cannot.
    """

    batch: Batch
    seen: Callable[[], list[SeenFrame]]


class FrameWorker:
    """Processes frames in its own thread, latest first come, until it is stopped.

    Frames of several cameras that wait at the same time run through the network together, where
    that is faster; a camera alone never waits for another.

    Args:
        node: Gives the clock that stamps are compared with, and the log.
        perception: Used by this thread alone.
        ports: One per camera.
        config: Returns the parameters as they are now.
        is_stop_wanted: Returns whether anybody listens to the stop.
        on_lost: Takes the reason why only a new process can go on.
        mailbox: Where frames wait; a new one by default.
    """

    def __init__(
        self,
        node: Node,
        perception: Perception,
        ports: Mapping[str, CameraPort],
        config: Callable[[], NodeConfig],
        is_stop_wanted: Callable[[], bool],
        on_lost: Callable[[str], None],
        mailbox: Mailbox[Received] | None = None,
    ) -> None:
        self._on_lost = on_lost
        self._node = node
        self._perception = perception
        self._ports = ports
        self._config = config
        self._is_stop_wanted = is_stop_wanted
        self._mailbox = mailbox or Mailbox[Received]()
        self._logged_s: dict[tuple[str, str], float] = {}
        self._thread = threading.Thread(target=self._work, name='segmentation', daemon=True)
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """Whether the thread goes on; it ends by itself only if something is very wrong."""
        return self._thread.is_alive()

    def put(self, camera: str, message: Image | CompressedImage, missed: int = 0) -> None:
        """Stores a camera's newest frame; called in the executor's thread.

        Args:
            camera: Its name.
            message: The frame.
            missed: Frames before it that never arrived.
        """
        arrived_ns = time.monotonic_ns()
        statistics = self._ports[camera].statistics
        statistics.arrived(arrived_ns)
        statistics.missed += missed
        if self._mailbox.put(camera, Received(message, arrived_ns)):
            statistics.dropped += 1

    def stop(self) -> bool:
        """Ends the thread; nothing is published when this returns.

        Returns:
            Whether the thread has ended. When inference hangs it is left behind, and what it
            uses must not be freed.
        """
        self._mailbox.close()
        self._thread.join(STOP_TIMEOUT_S)
        return not self._thread.is_alive()

    def _work(self) -> None:
        under_way: UnderWay | None = None
        while True:
            # While the network has a batch, nobody waits for the next one
            waiting = self._mailbox.take(self._perception.max_batch, wait=under_way is None)
            if not waiting and under_way is None:
                return
            batch = self._prepare_all(waiting)
            done = self._wait_for(under_way, batch)
            under_way = self._begin(batch)
            self._finish_all(done)
            if not self._overlaps():
                self._finish_all(self._wait_for(under_way))
                under_way = None

    def _overlaps(self) -> bool:
        return self._config().pipeline_depth > 1 and self._perception.overlaps

    def _prepare_all(self, waiting: Sequence[tuple[str, Received]]) -> Batch | None:
        """Brings frames that wait together into a batch; what one lacks harms no other."""
        if not waiting:
            return None
        config = self._config()
        pictures = self._perception.batch(len(waiting))
        jobs: list[Job] = []
        for camera, received in waiting:
            with self._reported(camera, received):
                job = self._prepare(camera, received, config, pictures[len(jobs)])
                if job is not None:
                    jobs.append(job)
        _wait_for_each_other(jobs)
        return Batch(jobs, config, pictures[: len(jobs)]) if jobs else None

    def _begin(self, batch: Batch | None) -> UnderWay | None:
        """Gives the network a batch; what goes wrong is told when the batch is waited for.

        Not before: what the frames before it mean is still to be said, and would hide it.
        """
        if batch is None:
            return None
        try:
            prepared = [job.prepared for job in batch.jobs]
            return UnderWay(batch, self._perception.begin(prepared, batch.pictures))
        except Exception as error:
            return UnderWay(batch, partial(_raise, error))

    def _wait_for(
        self, under_way: UnderWay | None, following: Batch | None = None
    ) -> Sequence[tuple[Job, SeenFrame, NodeConfig]]:
        """Returns what the network says of a batch; nothing where it failed, which is reported.

        Args:
            under_way: The batch.
            following: That which waits for its turn meanwhile.
        """
        if under_way is None:
            return ()
        jobs, config, _ = under_way.batch
        try:
            return [(job, seen, config) for job, seen in zip(jobs, under_way.seen(), strict=True)]
        except Exception as error:
            for job in jobs:
                self._report(job.camera, job.received, error)
            return ()
        finally:
            if following is not None:
                _book(following.jobs, 'turn')

    def _finish_all(self, done: Sequence[tuple[Job, SeenFrame, NodeConfig]]) -> None:
        jobs = [job for job, _, _ in done]
        for job, seen, config in done:
            _wait_for_each_other(jobs)
            with self._reported(job.camera, job.received):
                self._finish(job, seen, config)

    @contextmanager
    def _reported(self, camera: str, received: Received) -> Iterator[None]:
        """Within it an error is this camera's alone: it is reported, and the others go on."""
        try:
            yield
        except Exception as error:
            self._report(camera, received, error)

    def _report(self, camera: str, received: Received, error: Exception) -> None:
        """Counts and logs what went wrong; inference that fails stops the vehicle."""
        if isinstance(error, FrameError):
            statistics = self._ports[camera].statistics
            statistics.broken[error.kind] += 1
            statistics.unreadable = str(error)
            self._log(camera, error.kind, f'frame left out: {error}', received)
        elif isinstance(error, BackendError):
            self._fail(camera, f'Inference failed: {error}', received)
            if isinstance(error, DeviceLost):
                self._on_lost(str(error))
        elif self._node.context.ok():  # else the process ends
            self._fail(camera, f'{type(error).__name__}: {error}', received)
            text = ''.join(traceback.format_exception(type(error), error, error.__traceback__))
            self._log(camera, 'unforeseen', text, received)

    def _fail(self, camera: str, reason: str, received: Received) -> None:
        """Stops the vehicle and tells why, until frames are processed again."""
        port = self._ports[camera]
        port.decisions.failed(reason)
        port.statistics.failures += 1
        port.statistics.failing = reason
        self._log(camera, 'inference', reason, received)

    def _prepare(
        self, camera: str, received: Received, config: NodeConfig, place: RgbImage
    ) -> Job | None:
        """Brings a message into its place in the batch; None where nobody wants a result."""
        port = self._ports[camera]
        decisions = port.decision_outputs.wanted()
        if self._is_stop_wanted():
            decisions |= needs_of_stop(config.stop)
        wanted = Wanted(
            frozenset(port.outputs.wanted()),
            frozenset(decisions),
            PipelineOptions(config.min_confidence, config.overlay_alpha),
        )
        if not wanted:
            port.statistics.idle += 1
            return None
        timer = StageTimer(time.monotonic_ns)
        frame = frame_from_message(received.message, camera, config.max_image_pixels)
        timer.stage('decode')
        return Job(camera, received, self._perception.prepare(frame, wanted, timer, place))

    def _finish(self, job: Job, seen: SeenFrame, config: NodeConfig) -> None:
        """Takes one frame from what the network says of it to its topics."""
        port = self._ports[job.camera]
        frame, timer = job.prepared.frame, job.prepared.timer
        message, arrived_ns = job.received
        clock = self._node.get_clock()

        # Make images of it, and decide what they mean
        if job.prepared.wanted.decisions:
            camera = port.geometry.camera((frame.image.width, frame.image.height), frame.frame_id)
            port.decisions.calibrate(
                camera,
                port.geometry.reason,
                is_refused=port.geometry.is_refused,
                lens_m=port.geometry.lens_m,
            )
        now_ns = clock.now().nanoseconds
        perceived = self._perception.finish(seen, port.decisions, now_ns, port.outputs.allocate)

        # Publish both, unless the node was stopped meanwhile
        if self._mailbox.closed:
            return
        published_ns = port.outputs.publish(message.header, perceived.images, config.jpeg_quality)
        ros_published_ns = clock.now().nanoseconds
        if job.prepared.wanted.decisions:
            port.decision_outputs.publish(message.header, perceived.decisions)
        timer.stage('publish')
        port.statistics.processed(
            frame.stamp_ns,
            {
                'wait': (timer.started_ns - arrived_ns) / NS_PER_MS,
                **timer.stages_ms,
                'received_to_published': (published_ns - arrived_ns) / NS_PER_MS,
                'stamp_to_published': (ros_published_ns - frame.stamp_ns) / NS_PER_MS,
            },
        )

    def _log(self, camera: str, kind: str, text: str, received: Received) -> None:
        """Logs the first failure of a kind, then one every ``REPEAT_LOG_S``."""
        now_s = time.monotonic()
        if now_s - self._logged_s.get((camera, kind), -REPEAT_LOG_S) >= REPEAT_LOG_S:
            self._logged_s[camera, kind] = now_s
            stamp_ns = stamp_ns_of(received.message.header)
            self._node.get_logger().error(f'Camera {camera}, stamp {stamp_ns} ns: {text}')


def _wait_for_each_other(jobs: Sequence[Job]) -> None:
    """Books what a frame waits for the others of its batch."""
    if len(jobs) > 1:
        _book(jobs, 'batch')


def _book(jobs: Sequence[Job], stage: str) -> None:
    for job in jobs:
        job.prepared.timer.stage(stage)


def _raise(error: Exception) -> NoReturn:
    raise error

"""The thread that takes a camera's newest frame through the pipeline and publishes it."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable, Mapping
from typing import NamedTuple

from rclpy.node import Node
from sensor_msgs.msg import CompressedImage, Image

from seg_ros.core.config import NodeConfig
from seg_ros.core.errors import BackendError, FrameError
from seg_ros.core.timing import StageTimer
from seg_ros.pipeline import PipelineOptions, SegmentationPipeline
from seg_ros.ros.conversions import frame_from_message, stamp_ns_of
from seg_ros.ros.diagnostics import CameraStatistics
from seg_ros.ros.mailbox import Mailbox
from seg_ros.ros.outputs import CameraOutputs

__all__ = ['CameraPort', 'FrameWorker']

STOP_TIMEOUT_S = 10.0
REPEAT_LOG_S = 10.0
NS_PER_MS = 1e6


class CameraPort(NamedTuple):
    """Where the results and the counts of one camera go."""

    outputs: CameraOutputs
    statistics: CameraStatistics


class Received(NamedTuple):
    """A message and the monotonic time of its arrival."""

    message: Image | CompressedImage
    arrived_ns: int


class FrameWorker:
    """Processes frames in its own thread, latest first come, until it is stopped.

    Args:
        node: Gives the clock that stamps are compared with, and the log.
        pipeline: Used by this thread alone.
        ports: One per camera.
        config: Returns the parameters as they are now.
    """

    def __init__(
        self,
        node: Node,
        pipeline: SegmentationPipeline,
        ports: Mapping[str, CameraPort],
        config: Callable[[], NodeConfig],
    ) -> None:
        self._node = node
        self._pipeline = pipeline
        self._ports = ports
        self._config = config
        self._mailbox: Mailbox[Received] = Mailbox()
        self._logged_s: dict[tuple[str, str], float] = {}
        self._thread = threading.Thread(target=self._work, name='segmentation', daemon=True)
        self._thread.start()

    def put(self, camera: str, message: Image | CompressedImage) -> None:
        """Stores a camera's newest frame; called in the executor's thread."""
        arrived_ns = time.monotonic_ns()
        statistics = self._ports[camera].statistics
        statistics.arrived(arrived_ns)
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
        while (item := self._mailbox.take()) is not None:
            camera, received = item
            statistics = self._ports[camera].statistics
            try:
                self._process(camera, received)
            except FrameError as error:
                statistics.broken[error.kind] += 1
                self._log(camera, error.kind, f'frame left out: {error}', received)
            except BackendError as error:
                statistics.failures += 1
                statistics.failing = f'Inference failed: {error}'
                self._log(camera, 'inference', statistics.failing, received)
            except Exception as error:
                statistics.failures += 1
                statistics.failing = f'{type(error).__name__}: {error}'
                self._log(camera, 'unforeseen', traceback.format_exc(), received)

    def _process(self, camera: str, received: Received) -> None:
        """Takes one frame from its message to its topics."""
        outputs, statistics = self._ports[camera]
        config = self._config()
        wanted = outputs.wanted()
        if not wanted:
            statistics.idle += 1
            return
        timer = StageTimer(time.monotonic_ns)
        waited_ms = (timer.started_ns - received.arrived_ns) / NS_PER_MS
        frame = frame_from_message(received.message, camera)
        timer.stage('decode')
        options = PipelineOptions(config.min_confidence, config.overlay_alpha)
        result = self._pipeline.process(frame, wanted, options, timer, outputs.allocate)
        if self._mailbox.closed:
            return
        outputs.publish(received.message.header, result, config.jpeg_quality)
        timer.stage('publish')
        ros_now_ns = self._node.get_clock().now().nanoseconds
        statistics.processed(
            frame.stamp_ns,
            {
                'wait': waited_ms,
                **timer.stages_ms,
                'received_to_published': (time.monotonic_ns() - received.arrived_ns) / NS_PER_MS,
                'stamp_to_published': (ros_now_ns - frame.stamp_ns) / NS_PER_MS,
            },
        )

    def _log(self, camera: str, kind: str, text: str, received: Received) -> None:
        """Logs the first failure of a kind, then one every ``REPEAT_LOG_S``."""
        now_s = time.monotonic()
        if now_s - self._logged_s.get((camera, kind), -REPEAT_LOG_S) >= REPEAT_LOG_S:
            self._logged_s[camera, kind] = now_s
            stamp_ns = stamp_ns_of(received.message.header)
            self._node.get_logger().error(f'Camera {camera}, stamp {stamp_ns} ns: {text}')

# SPDX-License-Identifier: Apache-2.0
"""A camera under evaluation: its frames go the way that they go in the node."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import replace

from seg_ros.commands.evaluate.exact_labels import ExactLabels
from seg_ros.core.geometry.camera import Camera
from seg_ros.core.image.camera_image import Frame
from seg_ros.core.image.decoding import image_of_rgb
from seg_ros.core.parameters.node_config import NodeConfig
from seg_ros.core.stop.zones import Motion
from seg_ros.core.timing import StageTimer
from seg_ros.core.types import Allocate, LabelImage, RgbImage
from seg_ros.decisions import CameraDecisions
from seg_ros.inference.base import InferenceBackend
from seg_ros.perception import Perceived, Perception, SeenFrame, Wanted

__all__ = ['EvaluatedCamera', 'without_pictures']

NAME = 'camera'


class EvaluatedCamera:
    """One camera, its perception and what it remembers.

    Args:
        backend: A network, or ``ExactLabels``. The caller closes it.
        config: The node's parameters.
        camera: Intrinsics and mounting, None without a calibration.
        clock_ns: Times the stages; by default the CPU time of this thread.
    """

    def __init__(
        self,
        backend: InferenceBackend,
        config: NodeConfig,
        camera: Camera | None = None,
        clock_ns: Callable[[], int] = time.thread_time_ns,
    ) -> None:
        self._backend = backend
        self._clock_ns = clock_ns
        self._perception = Perception(backend)
        engine = backend.engine
        self._decisions = CameraDecisions(config, engine.label_map, engine.domain)
        self._decisions.calibrate(camera)

    def moved(self, motion: Motion) -> None:
        """Takes what odometry says."""
        self._decisions.moved(motion)

    def process(
        self,
        image: RgbImage,
        stamp_ns: int,
        decisions: Collection[str] = (),
        images: Collection[str] = (),
        exact: LabelImage | None = None,
    ) -> Perceived:
        """Returns what the node would make of an image at the moment of its stamp.

        Args:
            image: ``(H, W, 3)``.
            stamp_ns: Of the image.
            decisions: What is wanted of it, out of ``decisions.DECISIONS``.
            images: The same, out of ``pipeline.IMAGES``.
            exact: Its labels at the network's size, where the backend is ``ExactLabels``.
        """
        return self.finish(self.see(image, stamp_ns, decisions, images, exact))

    def see(
        self,
        image: RgbImage,
        stamp_ns: int,
        decisions: Collection[str] = (),
        images: Collection[str] = (),
        exact: LabelImage | None = None,
    ) -> SeenFrame:
        """Returns what the network says of an image, until the next one; see ``process``."""
        if exact is not None and isinstance(self._backend, ExactLabels):
            self._backend.show(exact)
        frame = Frame(NAME, stamp_ns, NAME, image_of_rgb(image))
        wanted = Wanted(frozenset(images), frozenset(decisions))
        timer = StageTimer(self._clock_ns)
        (seen,) = self._perception.infer([self._perception.prepare(frame, wanted, timer)])
        return seen

    def finish(self, seen: SeenFrame, allocate: Allocate | None = None) -> Perceived:
        """Returns what the node would make of a frame that was seen, by this or another camera.

        Args:
            seen: The frame.
            allocate: See ``Perception.finish``.
        """
        stamp_ns = seen.prepared.frame.stamp_ns
        return self._perception.finish(seen, self._decisions, stamp_ns, allocate)

    def reset(self) -> None:
        """Forgets every frame, so that the next one stands for itself."""
        self._decisions.reset()


def without_pictures(config: NodeConfig) -> NodeConfig:
    """Returns the parameters for exact labels, whose pictures are black."""
    stop = replace(
        config.stop,
        min_contrast=0.0,
        max_noise=0.0,
        max_white_share=1.0,
        domain_limit=0.0,  # and with it all that is asked of engines that were measured
        frozen_timeout_s=0.0,
    )
    return replace(config, stop=stop)

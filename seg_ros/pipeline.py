# SPDX-License-Identifier: Apache-2.0
"""The segmentation of a frame: the network's input, its labels, and images at the camera's size.

``perception.py`` tells the whole way of a frame; this is the part of it that makes images.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from seg_ros.core.image.camera_image import Frame
from seg_ros.core.timing import StageTimer
from seg_ros.core.types import (
    Allocate,
    ConfidenceImage,
    LabelImage,
    NetworkView,
    RgbBatch,
    RgbImage,
)
from seg_ros.inference.base import (
    InferenceBackend,
    InferenceResult,
    OverlappingBackend,
    check_result,
)

__all__ = [
    'IMAGES',
    'Buffers',
    'FrameImages',
    'PipelineOptions',
    'SegmentationPipeline',
]

IMAGES = ('label', 'color', 'confidence', 'overlay')
"""What ``finish`` can make of a frame."""


@dataclass(frozen=True)
class PipelineOptions:
    """What may change between two frames.

    Attributes:
        min_confidence: Labels less certain than this (0 to 1) become unlabelled; 0 keeps all.
        overlay_alpha: Opacity (0 to 1) of the label colours in the overlay.
    """

    min_confidence: float = 0.0
    overlay_alpha: float = 0.5


@dataclass(frozen=True)
class FrameImages:
    """The images of one frame at the camera's size, None where nobody wanted one.

    Attributes:
        label: Label image.
        color: The same in the colours of the classes, RGB.
        confidence: How sure the network is of each label.
        overlay: The camera's image with the label colours over it.
    """

    label: LabelImage | None = None
    color: RgbImage | None = None
    confidence: ConfidenceImage | None = None
    overlay: RgbImage | None = None


class Buffers:
    """Arrays that are made once and reused; the usual ``allocate`` of ``finish``."""

    def __init__(self) -> None:
        self._arrays: dict[str, NDArray[np.uint8]] = {}

    def __call__(self, name: str, shape: tuple[int, ...]) -> NDArray[np.uint8]:
        array = self._arrays.get(name)
        if array is None or array.shape != shape:
            array = self._arrays[name] = np.empty(shape, np.uint8)
        return array


class SegmentationPipeline:
    """Turns camera frames into label images with one backend.

    Args:
        backend: Runs the network. The caller closes it. Each stage has one caller at a time; while
            one thread is in ``infer``, another may ``finish`` a view that it has copied.
    """

    def __init__(self, backend: InferenceBackend) -> None:
        self._backend = backend
        self._overlapping = backend if isinstance(backend, OverlappingBackend) else None
        self._buffers = Buffers()
        self._label_map = backend.engine.label_map
        self._colours_rgb = self._label_map.colour_lut_rgb()

    @property
    def max_batch(self) -> int:
        """How many frames are faster together than one after the other."""
        return self._backend.max_batch

    @property
    def network_size_wh(self) -> tuple[int, int]:
        """Width and height of what the network sees."""
        return self._backend.engine.network_size_wh

    @property
    def overlaps(self) -> bool:
        """Whether the backend works beside its caller: what is begun need not be waited for."""
        return self._overlapping is not None and self._overlapping.overlaps

    def batch(self, length: int = 1) -> RgbBatch:
        """Returns room for so many frames at the network's size; it is used again and again.

        Of a backend that overlaps it is where that takes them from, without a copy.
        """
        if self._overlapping is not None and self._overlapping.overlaps:
            return self._overlapping.room(length)
        width, height = self.network_size_wh
        return self._buffers(f'batch of {length}', (length, height, width, 3))

    def prepare(self, frame: Frame, out: RgbImage | None = None) -> RgbImage:
        """Returns a camera's image at the network's size, as RGB.

        This is the one rule how an image comes to the network's size: ``CameraImage.rgb``.

        Args:
            frame: The camera's image with its identity.
            out: Its place in a batch; None makes an array.

        Raises:
            FrameError: The image cannot be read.
        """
        return frame.image.rgb(self.network_size_wh, out=out)

    def infer(
        self, frames: Sequence[Frame], batch: RgbBatch, with_confidence: bool
    ) -> list[NetworkView]:
        """Runs the network on frames that were prepared; returns their views, in order.

        Args:
            frames: As many as the batch has.
            batch: ``(N, H, W, 3)`` at the network's size.
            with_confidence: Whether the views have it.

        Raises:
            BackendError: The network cannot be run, or what it says is of another picture.
        """
        return self.begin(frames, batch, with_confidence)()

    def begin(
        self, frames: Sequence[Frame], batch: RgbBatch, with_confidence: bool
    ) -> Callable[[], list[NetworkView]]:
        """Lets the network begin; what it returns waits for the views. See ``infer``.

        Of a backend that does not overlap it has ended when this returns.
        """
        if self._overlapping is not None and self._overlapping.overlaps:
            pending = self._overlapping.begin(batch, with_confidence=with_confidence)
            return lambda: self._views(frames, batch, with_confidence, pending())
        result = self._backend.infer(batch, with_confidence=with_confidence)
        return lambda: self._views(frames, batch, with_confidence, result)

    def _views(
        self,
        frames: Sequence[Frame],
        batch: RgbBatch,
        with_confidence: bool,
        result: InferenceResult,
    ) -> list[NetworkView]:
        check_result(result, batch)
        confidences = result.confidence if with_confidence else None
        return [
            NetworkView(
                picture,
                result.labels[index],
                None if confidences is None else confidences[index],
                (frame.image.width, frame.image.height),
            )
            for index, (frame, picture) in enumerate(zip(frames, batch, strict=True))
        ]

    def finish(
        self,
        frame: Frame,
        view: NetworkView,
        wanted: Collection[str],
        options: PipelineOptions,
        timer: StageTimer,
        allocate: Allocate | None = None,
    ) -> FrameImages:
        """Returns the images that are wanted of a frame, and does no more than that needs.

        Args:
            frame: The camera's image with its identity.
            view: What ``infer`` gave for it.
            wanted: Names out of ``IMAGES``; others are not looked at.
            options: What may change between two frames.
            timer: Books the stages postprocess, color and overlay.
            allocate: Gives the arrays that the results are written to; by default the pipeline's
                own, which the next frame overwrites.

        Raises:
            FrameError: The image cannot be read.
        """
        allocate = allocate or self._buffers
        size_wh = frame.image.width, frame.image.height
        label, confidence = view.labels, view.confidence

        # Unlabel what is less certain than asked for
        if confidence is not None and options.min_confidence > 0.0:
            uncertain = cv2.compare(confidence, options.min_confidence * 255.0, cv2.CMP_LT)
            unlabelled = self._buffers('unlabelled', label.shape)
            unlabelled.fill(self._label_map.unlabelled)
            label = cv2.copyTo(label, cv2.bitwise_not(uncertain, dst=uncertain), unlabelled)

        # Bring labels and confidence back to the camera's size
        label_out = color_out = confidence_out = overlay_out = None
        if not {'label', 'color', 'overlay'}.isdisjoint(wanted):
            label_out = _scaled(label, size_wh, cv2.INTER_NEAREST_EXACT, allocate, 'label')
        if 'confidence' in wanted and confidence is not None:
            confidence_out = _scaled(confidence, size_wh, cv2.INTER_LINEAR, allocate, 'confidence')
        timer.stage('postprocess')

        # Show the labels in their colours
        if label_out is not None and 'color' in wanted:
            color_out = self._coloured(label_out, allocate('color', (*label_out.shape, 3)))
            timer.stage('color')

        # Lay the label colours over the camera's image
        if label_out is not None and 'overlay' in wanted:
            overlay_out = self._overlay(
                frame, label_out, color_out, options.overlay_alpha, allocate
            )
            timer.stage('overlay')
        return FrameImages(label_out, color_out, confidence_out, overlay_out)

    def _coloured(self, label: LabelImage, out: RgbImage) -> RgbImage:
        return np.asarray(cv2.applyColorMap(label, self._colours_rgb, dst=out), np.uint8)

    def _overlay(
        self,
        frame: Frame,
        label: LabelImage,
        colours: RgbImage | None,
        alpha: float,
        allocate: Allocate,
    ) -> RgbImage:
        shape = (*label.shape, 3)
        if colours is None:
            colours = self._coloured(label, self._buffers(f'{frame.camera}/colours', shape))
        image = frame.image
        is_rgb = image.format.to_rgb is None
        picture = image.rgb(out=None if is_rgb else self._buffers(f'{frame.camera}/rgb', shape))
        out = allocate('overlay', shape)
        cv2.addWeighted(colours, alpha, picture, 1.0 - alpha, 0.0, dst=out)
        return out


def _scaled(
    image: NDArray[np.uint8],
    size_wh: tuple[int, int],
    interpolation: int,
    allocate: Allocate,
    name: str,
) -> NDArray[np.uint8]:
    """Returns the image at another size, written to the caller's buffer."""
    out = allocate(name, (size_wh[1], size_wh[0]))
    cv2.resize(image, size_wh, dst=out, interpolation=interpolation)
    return out

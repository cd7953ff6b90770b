"""Where the labels that the lane is found in come from: a network, or the simulation itself."""

from __future__ import annotations

from typing import Protocol

import cv2
import numpy as np

from seg_ros.core.labels import LabelMap
from seg_ros.core.types import ConfidenceImage, LabelImage, RgbImage
from seg_ros.inference.base import InferenceBackend

__all__ = ['Network', 'Segmenter']


class Segmenter(Protocol):
    """Gives labels to images.

    Attributes:
        label_map: What they mean.
        size_wh: Of the label images.
    """

    label_map: LabelMap
    size_wh: tuple[int, int]

    def __call__(self, image: RgbImage) -> tuple[LabelImage, ConfidenceImage | None]:
        """Returns labels and confidence at ``size_wh``, the caller's own."""
        ...


class Network:
    """A backend as a segmenter.

    Args:
        backend: The caller closes it.
    """

    def __init__(self, backend: InferenceBackend) -> None:
        self._backend = backend
        self.label_map = backend.engine.label_map
        self.size_wh = backend.engine.network_size_wh

    def __call__(self, image: RgbImage) -> tuple[LabelImage, ConfidenceImage | None]:
        if image.shape[1::-1] != self.size_wh:
            shrinks = image.shape[1] > self.size_wh[0]
            how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
            image = cv2.resize(image, self.size_wh, interpolation=how)
        result = self._backend.infer(image[np.newaxis], with_confidence=True)
        confidence = None if result.confidence is None else result.confidence[0].copy()
        return result.labels[0].copy(), confidence

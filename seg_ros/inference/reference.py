# SPDX-License-Identifier: Apache-2.0
"""What others are held against: images with something on them, and ONNX Runtime's word on them."""

from __future__ import annotations

from importlib import import_module
from typing import NamedTuple

import cv2
import numpy as np

from seg_ros.core.types import RgbBatch
from seg_ros.inference.base import ConfidenceBatch, LabelBatch
from seg_ros.inference.onnx.contract import CONFIDENCE, IMAGE, LABEL

__all__ = ['ReferenceOutputs', 'check_images', 'reference_labels', 'reference_outputs']

IMAGES = 3  # more than one, so that there is another for the negative control
SEED = 20  # any
WAVES = (4, 16, 64)  # pixels between the supports of the noise


def check_images(size_wh: tuple[int, int], count: int = IMAGES) -> RgbBatch:
    """Returns ``uint8 (count, H, W, 3)`` with structure at several scales, always the same."""
    random = np.random.default_rng(SEED)
    images = np.full((count, size_wh[1], size_wh[0], 3), 128, np.float32)
    for image in images:
        for wave in WAVES:
            shape = max(2, size_wh[1] // wave), max(2, size_wh[0] // wave), 3
            noise = random.uniform(-128, 128, shape).astype(np.float32)
            image += cv2.resize(noise, size_wh, interpolation=cv2.INTER_CUBIC) / len(WAVES)
    return np.clip(images, 0, 255).astype(np.uint8)


class ReferenceOutputs(NamedTuple):
    """What ONNX Runtime says of images."""

    labels: LabelBatch
    confidence: ConfidenceBatch


def reference_labels(model: bytes, images: RgbBatch) -> LabelBatch:
    """Returns the labels of ``reference_outputs``."""
    return reference_outputs(model, images).labels


def reference_outputs(model: bytes, images: RgbBatch) -> ReferenceOutputs:
    """Returns what ONNX Runtime computes in the whole graph, image by image.

    Raises:
        ImportError: It is not installed.
    """
    onnxruntime = import_module('onnxruntime')
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model, options, providers=['CPUExecutionProvider'])
    rows = [session.run([LABEL, CONFIDENCE], {IMAGE: image[np.newaxis]}) for image in images]
    labels, confidence = (np.concatenate(column) for column in zip(*rows, strict=True))
    return ReferenceOutputs(labels, confidence)

"""How fast the network alone is on the images of a recording."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator

import numpy as np

from seg_ros.core.image.camera_image import Frame
from seg_ros.core.units import NS_PER_S
from seg_ros.inference.base import InferenceBackend

__all__ = ['bare_seconds_per_frame']

AT_ONCE = 32  # images that are decoded before the clock runs


def bare_seconds_per_frame(
    backend: InferenceBackend, frames: Iterator[Frame], *, with_confidence: bool
) -> float:
    """Returns the mean time of ``infer``, while nothing else is done."""
    size_wh = backend.engine.network_size_wh
    spent_ns = count = 0
    while batch := [frame.image.rgb(size_wh) for frame in itertools.islice(frames, AT_ONCE)]:
        began_ns = time.monotonic_ns()
        for image in batch:
            backend.infer(image[np.newaxis], with_confidence=with_confidence)
        spent_ns += time.monotonic_ns() - began_ns
        count += len(batch)
    return spent_ns / NS_PER_S / count

# SPDX-License-Identifier: Apache-2.0
"""Runs a raw network as its authors would, and compares its wrapped self with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seg_ros.core.errors import BackendUnavailable, EngineError
from seg_ros.core.image.upsample import Upsampler
from seg_ros.inference.onnx.contract import IMAGE, LABEL, LOGITS, read_model
from seg_ros.inference.onnx.raw_network import (
    LEAST_PROBABILITY,
    MergeRow,
    Normalisation,
    RawNetwork,
    merge_matrix,
)

__all__ = [
    'compare',
    'expected_logits',
    'is_within_0_to_1',
    'look_like_probabilities',
    'normalised',
    'run',
]

AGREEMENT = 1e-3  # of the largest score
HALF_AGREEMENT = 1e-2  # float16 has three digits
SUM_TOLERANCE = 1e-2  # of probabilities, also of float16 ones
LABEL_AGREEMENT = 0.995  # cv2 and ONNX Runtime round differently where two scores are equal


def normalised(images: NDArray[np.uint8], normalisation: Normalisation) -> NDArray[np.float32]:
    """Returns what the raw network takes, made as its authors would: NCHW, in numpy."""
    pixels = images.astype(np.float64) * normalisation.scale
    pixels = (pixels - np.array(normalisation.mean_rgb)) / np.array(normalisation.std_rgb)
    if normalisation.is_bgr:
        pixels = pixels[..., ::-1]
    return np.ascontiguousarray(pixels.transpose(0, 3, 1, 2), np.float32)


def run(
    model: bytes, name: str, inputs: Mapping[str, NDArray[Any]], outputs: Sequence[str]
) -> dict[str, NDArray[Any]]:
    """Runs an ONNX model, called so in messages, with ONNX Runtime."""
    try:
        onnxruntime = import_module('onnxruntime')
    except ImportError as error:
        raise BackendUnavailable(
            f'seg_ros wrap compares with ONNX Runtime, which cannot be imported ({error}). '
            "Install it: pip install 'onnxruntime==1.31.1'"
        ) from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(model, options, providers=['CPUExecutionProvider'])
        return dict(zip(outputs, session.run(list(outputs), dict(inputs)), strict=True))
    except Exception as error:  # its exceptions have no common base
        raise EngineError(
            f'ONNX Runtime cannot run {name}: {" ".join(str(error).split())}. Export it '
            'again, with opset 17 and a batch size of 1.'
        ) from error


def look_like_probabilities(scores: NDArray[Any]) -> bool:
    """Returns whether an output is of probabilities: within 0 to 1, several channels sum to 1."""
    return is_within_0_to_1(scores) and (
        scores.shape[1] == 1
        or np.allclose(scores.astype(np.float64).sum(axis=1), 1.0, atol=SUM_TOLERANCE)
    )


def is_within_0_to_1(scores: NDArray[Any]) -> bool:
    """Returns whether an output is behind a softmax or sigmoid: logits go below 0 and above 1."""
    return bool(scores.min() >= 0.0 and scores.max() <= 1.0)


def expected_logits(
    network: RawNetwork, scores: Mapping[str, NDArray[Any]], merge: Sequence[MergeRow]
) -> NDArray[np.float64]:
    """Returns what the wrapped network must give, computed from the raw one's scores in numpy."""
    rows = []
    for array in scores.values():
        values = array.astype(np.float64)
        if network.are_probabilities:
            likely = np.log(np.maximum(values, LEAST_PROBABILITY))
            single = values.shape[1] == 1
            unlikely = np.log(np.maximum(1 - values, LEAST_PROBABILITY)) if single else 0.0
            values = likely - unlikely
        rows.append(values)
    if not merge:
        return rows[0]
    weights, bias = merge_matrix(network.outputs, merge)
    merged = np.einsum('kc,nchw->nkhw', weights, np.concatenate(rows, axis=1))
    return np.asarray(merged + bias[:, np.newaxis, np.newaxis], np.float64)


def compare(
    path: Path, images: NDArray[np.uint8], expected: NDArray[np.float64], is_half: bool
) -> None:
    """Runs the wrapped network and compares it with the raw one.

    Raises:
        EngineError: They disagree.
    """
    made = run(read_model(path), path.name, {IMAGE: images}, [LOGITS, LABEL])
    off = float(np.abs(made[LOGITS] - expected).max())
    largest = float(np.abs(expected).max())
    tolerance = HALF_AGREEMENT if is_half else AGREEMENT
    if not off <= tolerance * max(1.0, largest):  # so that NaN is a disagreement
        raise EngineError(
            f'Raw and wrapped network disagree: the logits differ by up to {off:.3g} of '
            f'{largest:.3g}. A network that was exported in training mode is random, and one with '
            'NaN weights is broken: export it again in evaluation mode.'
        )
    logits = expected.astype(np.float32)
    upsampler = Upsampler(logits.shape[1:], (images.shape[2], images.shape[1]))
    pairs = zip(logits, made[LABEL], strict=True)
    equal = np.mean([np.mean(upsampler.labels(scores) == label) for scores, label in pairs])
    if equal < LABEL_AGREEMENT:
        raise EngineError(
            f'Raw and wrapped network disagree: only {equal:.1%} of the labels are equal. Please '
            'report this network to the authors of seg_ros.'
        )

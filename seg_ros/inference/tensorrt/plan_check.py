# SPDX-License-Identifier: Apache-2.0
"""Whether a plan says what ONNX Runtime says about the same network: asked before it is used."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from seg_ros.core.errors import EngineError
from seg_ros.inference.engine import Engine, model_of
from seg_ros.inference.reference import check_images, reference_outputs
from seg_ros.inference.tensorrt.backend import GpuStack
from seg_ros.inference.tensorrt.plan_build import BuildOptions, network_of_plan
from seg_ros.inference.tensorrt.plan_runner import PlanRunner

__all__ = ['LEAST_AGREEMENT', 'MOST_CONFIDENCE_ERROR', 'Agreement', 'check_plan']

LEAST_AGREEMENT = {'fp32': 0.999, 'fp16': 0.995, 'int8': 0.99}
"""Share of the pixels whose labels must be equal; the others lie where two scores are close."""

MOST_CONFIDENCE_ERROR = {'fp32': 0.5, 'fp16': 2.0, 'int8': 5.0}
"""Mean difference of the confidence, in its 255 levels."""

WEAK_CONTROL = 0.95  # share of labels in the negative control from which the check is weak


class Agreement(NamedTuple):
    """How well a plan agrees with ONNX Runtime.

    Attributes:
        labels: Share of equal labels on the same images.
        control: Share of equal labels with another image: what chance and habit give. Where it is
            high, too, the network says the same of every image, and agreeing is no feat.
        images: How many images were compared.
        confidence_error: Mean difference of the confidence, in its 255 levels.
    """

    labels: float
    control: float
    images: int
    confidence_error: float = 0.0

    def __str__(self) -> str:
        return (
            f'{self.labels:.3%} of the labels are those of ONNX Runtime on {self.images} seeded '
            f'images, {self.control:.1%} those of another of these images; confidence differs by '
            f'{self.confidence_error:.2f} of 255 levels'
            + (', which proves little' if self.control >= WEAK_CONTROL else '')
        )


def check_plan(stack: GpuStack, engine: Engine, options: BuildOptions, plan: bytes) -> Agreement:
    """Runs a plan on the GPU and returns how well it agrees with ONNX Runtime.

    Args:
        stack: The GPU.
        engine: Whose plan.
        options: What it was built for.
        plan: The plan.

    Raises:
        EngineError: They disagree, or a score of the plan is no number.
        ImportError: ONNX Runtime is not installed.
        BackendError: The GPU fails.
    """
    images = check_images(engine.network_size_wh)
    if options.precision == 'int8':  # against the same quantisation
        model = network_of_plan(engine, options)
    else:
        model = model_of(engine, engine.onnx_path)
    expected = reference_outputs(model, images)
    runner = PlanRunner(stack.api, stack.open_memory(), plan, engine.network_size_wh)
    try:
        runs = [
            tuple(row.copy() for row in runner.run(image[np.newaxis], with_confidence=True))
            for image in images
        ]
    finally:
        runner.close()
    labels, confidence, health = (np.concatenate(rows) for rows in zip(*runs, strict=True))
    difference = np.abs(confidence.astype(np.float32) - expected.confidence)
    agreement = Agreement(
        float(np.mean(labels == expected.labels)),
        float(np.mean(labels == np.roll(expected.labels, 1, axis=0))),
        len(images),
        float(np.mean(difference)),
    )
    least = LEAST_AGREEMENT[options.precision]
    most = MOST_CONFIDENCE_ERROR[options.precision]
    advice = "Build it in precision fp32, or take backend 'onnxruntime'."
    if not np.isfinite(health).all():
        raise EngineError(
            f"The plan of engine '{engine.name}' gives scores that are no numbers in "
            f'{options.precision} and is not saved. {advice}'
        )
    if not agreement.labels >= least or not agreement.confidence_error <= most:
        raise EngineError(
            f"The plan of engine '{engine.name}' disagrees with ONNX Runtime and is not saved: "
            f'{agreement}; at least {least:.1%}, and at most {most} levels, are expected in '
            f'{options.precision}. {advice}'
        )
    return agreement

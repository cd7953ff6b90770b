# SPDX-License-Identifier: Apache-2.0
"""Whether a plan says what ONNX Runtime says about the same network: asked before it is used."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from seg_ros.core.errors import EngineError
from seg_ros.inference.engine import Engine
from seg_ros.inference.reference import check_images, reference_labels
from seg_ros.inference.tensorrt.backend import GpuStack
from seg_ros.inference.tensorrt.plan_build import BuildOptions
from seg_ros.inference.tensorrt.plan_runner import PlanRunner

__all__ = ['LEAST_AGREEMENT', 'Agreement', 'check_plan']

LEAST_AGREEMENT = {'fp32': 0.999, 'fp16': 0.995, 'int8': 0.99}
"""Share of the pixels whose labels must be equal; the others lie where two scores are close."""

WEAK_CONTROL = 0.95  # share of labels in the negative control from which the check is weak


class Agreement(NamedTuple):
    """How well a plan agrees with ONNX Runtime.

    Attributes:
        labels: Share of equal labels on the same images.
        control: Share of equal labels with another image: what chance and habit give. Where it is
            high, too, the network says the same of every image, and agreeing is no feat.
        images: How many images were compared.
    """

    labels: float
    control: float
    images: int

    def __str__(self) -> str:
        return (
            f'{self.labels:.3%} of the labels are those of ONNX Runtime on {self.images} seeded '
            f'images, {self.control:.1%} those of another of these images'
            + (', which proves little' if self.control >= WEAK_CONTROL else '')
        )


def check_plan(
    stack: GpuStack, engine: Engine, options: BuildOptions, plan: bytes, model: bytes
) -> Agreement:
    """Runs a plan on the GPU and returns how well it agrees with ONNX Runtime.

    Args:
        stack: The GPU.
        engine: Whose plan.
        options: What it was built for.
        plan: The plan.
        model: The ONNX file that it was built from.

    Raises:
        EngineError: They disagree.
        ImportError: ONNX Runtime is not installed.
        BackendError: The GPU fails.
    """
    images = check_images(engine.network_size_wh)
    expected = reference_labels(model, images)
    runner = PlanRunner(stack.api, stack.open_memory(), plan, engine.network_size_wh)
    try:
        labels = [
            runner.run(image[np.newaxis], with_confidence=True).labels.copy() for image in images
        ]
    finally:
        runner.close()
    made = np.concatenate(labels)
    agreement = Agreement(
        float(np.mean(made == expected)),
        float(np.mean(made == np.roll(expected, 1, axis=0))),
        len(images),
    )
    least = LEAST_AGREEMENT[options.precision]
    if not agreement.labels >= least:
        raise EngineError(
            f"The plan of engine '{engine.name}' disagrees with ONNX Runtime and is not saved: "
            f'{agreement}; at least {least:.1%} are expected in {options.precision}. Build it in '
            "precision fp32, or take backend 'onnxruntime'."
        )
    return agreement

# SPDX-License-Identifier: Apache-2.0
"""From a word for the whole picture, "somebody is in it", to labels: class activation maps.

A linear classifier on the mean of the ImageNet encoder's features; where its evidence is highest
somebody is, where there is little nobody is (Zhou et al., arXiv 1512.04150; seeds as in Kolesnikov
and Lampert, arXiv 1603.06098).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from training.classes import UNLABELLED
from training.labelled_set import Image
from training.models.efficientnet_lite import EfficientNetLite, pretrained_weights
from training.normalise import normalise

__all__ = ['evidence_for', 'labels_from_tags', 'seeds']

NOBODY, PERSON = 0, 1
PERSON_FROM = 0.6  # of the highest evidence in the picture
NOBODY_BELOW = 0.2
FIT_STEPS = 200
DECAY = 1e-2  # of the classifier: there are more features than pictures


@torch.no_grad()
def features_of(images: Sequence[Image], variant: int = 0) -> list[torch.Tensor]:
    """`[C,h,w]` at stride 16 of each picture."""
    encoder = EfficientNetLite(variant, 16)
    encoder.load_pretrained(pretrained_weights(variant))
    encoder.eval()
    return [encoder(normalise(torch.from_numpy(np.array(i))[None]))[-1][0] for i in images]


def evidence_for(
    features: Sequence[torch.Tensor], is_there: Sequence[bool]
) -> list[NDArray[np.float32]]:
    """`[h,w]` of each picture: how much each cell speaks for somebody."""
    means = torch.stack([one.mean((1, 2)) for one in features])
    spread, middle = means.std(0).clamp(min=1e-6), means.mean(0)
    inputs, target = (means - middle) / spread, torch.tensor(is_there, dtype=torch.float32)
    weight = torch.zeros(inputs.shape[1], requires_grad=True)
    bias = torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=FIT_STEPS)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        said = inputs @ weight + bias
        loss = functional.binary_cross_entropy_with_logits(said, target)
        loss = loss + DECAY * weight.square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    with torch.no_grad():
        per_feature = weight / spread
        return [
            torch.einsum('c,chw->hw', per_feature, one - middle[:, None, None]).numpy()
            for one in features
        ]


def seeds(evidence: NDArray[np.float32], shape_hw: tuple[int, int]) -> Image:
    """Person where the evidence is near its highest, nobody where it is low, unknown between."""
    shown = cv2.resize(np.maximum(evidence, 0), shape_hw[::-1])
    share = shown / max(float(shown.max()), 1e-6)
    labels = np.full(shape_hw, UNLABELLED, np.uint8)
    labels[share < NOBODY_BELOW] = NOBODY
    labels[share >= PERSON_FROM] = PERSON
    return labels


def labels_from_tags(images: Sequence[Image], is_there: Sequence[bool]) -> Iterator[Image]:
    """Labels of all pictures; where nobody is in a picture, all of it is known."""
    for image, there, evidence in zip(
        images, is_there, evidence_for(features_of(images), is_there), strict=True
    ):
        shape_hw = image.shape[:2]
        yield seeds(evidence, shape_hw) if there else np.full(shape_hw, NOBODY, np.uint8)

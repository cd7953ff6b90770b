# SPDX-License-Identifier: Apache-2.0
"""FCN-8s (Long, Shelhamer, Darrell 2015) on a VGG-like encoder."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional

from training.models.blocks import conv_bn_relu, double_and_crop

__all__ = ['Fcn', 'VggStage']


class VggStage(nn.Sequential):
    """Some 3x3 convolutions at one resolution."""

    def __init__(self, inputs: int, outputs: int, convolutions: int) -> None:
        super().__init__(
            *(
                layer
                for i in range(convolutions)
                for layer in conv_bn_relu(inputs if i == 0 else outputs, outputs, 3)
            )
        )


class Fcn(nn.Module):
    """Scores at strides 32, 16 and 8, summed from coarse to fine: skips of scores only."""

    def __init__(self, classes: int, widths: Sequence[int] = (32, 64, 128, 256, 256)) -> None:
        super().__init__()
        ins = (3, *widths[:-1])
        self.stages = nn.ModuleList(
            VggStage(i, w, 1 if n < 2 else 2)
            for n, (i, w) in enumerate(zip(ins, widths, strict=True))
        )
        self.scores = nn.ModuleList(nn.Conv2d(w, classes, 1) for w in widths[2:])

    def forward(self, x: Tensor) -> Tensor:
        features = []
        for stage in self.stages:
            x = functional.max_pool2d(stage(x), 2, ceil_mode=True)
            features.append(x)
        score = self.scores[-1](features[-1])
        for head, feature in ((self.scores[1], features[3]), (self.scores[0], features[2])):
            fine = head(feature)
            score = fine + double_and_crop(score, fine)
        return score

# SPDX-License-Identifier: Apache-2.0
"""U-Net (Ronneberger et al. 2015): the decoder sees the encoder's features at every size."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.models.blocks import double_and_crop
from training.models.fcn import VggStage

__all__ = ['UNet']


class UNet(nn.Module):
    """Logits at full size."""

    def __init__(self, classes: int, widths: Sequence[int] = (24, 48, 96, 160, 192)) -> None:
        super().__init__()
        ins = (3, *widths[:-1])
        self.down = nn.ModuleList(VggStage(i, w, 2) for i, w in zip(ins, widths, strict=True))
        self.up = nn.ModuleList(VggStage(deep + w, w, 2) for w, deep in itertools.pairwise(widths))
        self.classify = nn.Conv2d(widths[0], classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        features: list[Tensor] = []
        for stage in self.down:
            x = stage(functional.max_pool2d(x, 2, ceil_mode=True) if features else x)
            features.append(x)
        for up, feature in zip(reversed(self.up), reversed(features[:-1]), strict=True):
            x = up(torch.cat([double_and_crop(x, feature), feature], 1))
        return self.classify(x)

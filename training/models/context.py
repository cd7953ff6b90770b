# SPDX-License-Identifier: Apache-2.0
"""What a network's deepest features see around them: modules [N,inputs,h,w] to [N,outputs,h,w]."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.models.blocks import conv_bn_relu, size_of

__all__ = ['CONTEXTS', 'Pooled', 'Pyramid', 'Strips']


class Pooled(nn.Module):
    """Average pools of growing windows and of the whole map, fused by a 1x1 convolution."""

    def __init__(self, inputs: int, outputs: int, windows: Sequence[int] = (3, 7)) -> None:
        super().__init__()
        self.windows = tuple(windows)
        self.reduce = conv_bn_relu(inputs, outputs)
        self.fuse = conv_bn_relu(outputs * (2 + len(self.windows)), outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = self.reduce(x)
        pooled = [
            functional.avg_pool2d(x, window, 1, window // 2, count_include_pad=False)
            for window in self.windows
        ]
        whole = x.mean((2, 3), keepdim=True).expand(-1, -1, *size_of(x))
        return self.fuse(torch.cat([x, *pooled, whole], 1))


class Pyramid(nn.Module):
    """1x1, atrous 3x3 at several rates, and the mean of the whole map (DeepLabV3+)."""

    def __init__(self, inputs: int, outputs: int, rates: Sequence[int] = (3, 6, 9)) -> None:
        super().__init__()
        self.point = conv_bn_relu(inputs, outputs)
        self.atrous = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(inputs, inputs, 3, 1, rate, rate, groups=inputs, bias=False),
                *conv_bn_relu(inputs, outputs),
            )
            for rate in rates
        )
        self.whole = nn.Conv2d(inputs, outputs, 1)
        self.fuse = conv_bn_relu(outputs * (2 + len(rates)), outputs)

    def forward(self, x: Tensor) -> Tensor:
        mean = functional.relu(self.whole(x.mean((2, 3), keepdim=True))).expand(
            -1, -1, *size_of(x)
        )
        return self.fuse(torch.cat([self.point(x), *(a(x) for a in self.atrous), mean], 1))


class Strips(nn.Module):
    """Attention of long thin kernels (SegNeXt's MSCA, Guo et al. 2022): roads, poles, lines."""

    def __init__(self, inputs: int, outputs: int, lengths: Sequence[int] = (7, 11)) -> None:
        super().__init__()
        self.reduce = conv_bn_relu(inputs, outputs)
        self.near = nn.Conv2d(outputs, outputs, 5, padding=2, groups=outputs)
        self.strips = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(outputs, outputs, (1, n), padding=(0, n // 2), groups=outputs),
                nn.Conv2d(outputs, outputs, (n, 1), padding=(n // 2, 0), groups=outputs),
            )
            for n in lengths
        )
        self.weigh = nn.Conv2d(outputs, outputs, 1)
        self.fuse = conv_bn_relu(2 * outputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = self.reduce(x)
        near = self.near(x)
        seen = near + sum(strip(near) for strip in self.strips)
        whole = x.mean((2, 3), keepdim=True).expand(-1, -1, *size_of(x))
        return self.fuse(torch.cat([x * self.weigh(seen), whole], 1))


CONTEXTS: dict[str, type[nn.Module]] = {'pooled': Pooled, 'atrous': Pyramid, 'strips': Strips}

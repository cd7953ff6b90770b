# SPDX-License-Identifier: Apache-2.0
"""Fast-SCNN (Poudel, Liwicki, Cipolla 2019): two branches that share their first steps."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.fast_cpu import BatchNormClip, DepthwiseConv2d
from training.models.blocks import conv_bn_relu, cropped, separable, size_of

__all__ = ['FastScnn']


class Bottleneck(nn.Module):
    """MobileNetV2's inverted residual with expansion 6."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        middle = inputs * 6
        self.layers = nn.Sequential(
            *conv_bn_relu(inputs, middle),
            DepthwiseConv2d(middle, 3, stride),
            BatchNormClip(middle),
            nn.Conv2d(middle, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.has_skip = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y = self.layers(x)
        return x + y if self.has_skip else y


class FastScnn(nn.Module):
    """Logits at stride 8."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.detail = nn.Sequential(
            conv_bn_relu(3, 32, 3, 2), separable(32, 48, 2), separable(48, 64, 2)
        )
        rows = ((64, 64, 2), (64, 64, 1), (64, 64, 1), (64, 96, 2), (96, 96, 1), (96, 96, 1))
        self.context = nn.Sequential(
            *(Bottleneck(*row) for row in rows),
            *(Bottleneck(96 if i == 0 else 128, 128, 1) for i in range(3)),
        )
        self.pools = (3, 7)
        self.fuse_context = conv_bn_relu(128 * 4, 128)
        self.deep = nn.Sequential(
            DepthwiseConv2d(128, 3), BatchNormClip(128), nn.Conv2d(128, 128, 1)
        )
        self.shallow = nn.Conv2d(64, 128, 1)
        self.head = nn.Sequential(separable(128, 128), separable(128, 128), nn.Dropout(0.1))
        self.classify = nn.Conv2d(128, classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        detail = self.detail(x)
        y = self.context(detail)
        pooled = [
            functional.avg_pool2d(y, window, 1, window // 2, count_include_pad=False)
            for window in self.pools
        ]
        whole = y.mean((2, 3), keepdim=True).expand(-1, -1, *size_of(y))
        y = self.fuse_context(torch.cat([y, *pooled, whole], 1))
        y = functional.interpolate(y, scale_factor=4.0, mode='bilinear', align_corners=False)
        y = functional.relu(self.deep(cropped(y, size_of(detail))) + self.shallow(detail))
        return self.classify(self.head(y))

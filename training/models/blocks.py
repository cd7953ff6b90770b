# SPDX-License-Identifier: Apache-2.0
"""The pieces that the networks share."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from training.fast_cpu import BatchNormClip, DepthwiseConv2d

__all__ = ['conv_bn_relu', 'cropped', 'double_and_crop', 'separable', 'size_of']


def conv_bn_relu(
    inputs: int, outputs: int, kernel: int = 1, stride: int = 1, dilation: int = 1
) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, dilation * (kernel // 2), dilation, bias=False),
        BatchNormClip(outputs),
    )


def separable(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    """Depthwise 3x3, then 1x1, each with batch norm and ReLU."""
    return nn.Sequential(
        DepthwiseConv2d(inputs, 3, stride),
        BatchNormClip(inputs),
        *conv_bn_relu(inputs, outputs),
    )


def size_of(x: Tensor) -> tuple[int, int]:
    """Height and width as plain numbers, so that they are constants in an exported graph."""
    return int(x.shape[2]), int(x.shape[3])


def cropped(x: Tensor, size_hw: tuple[int, int]) -> Tensor:
    return x if size_of(x) == size_hw else x[:, :, : size_hw[0], : size_hw[1]]


def double_and_crop(x: Tensor, like: Tensor) -> Tensor:
    """Bilinear x2, cut to the size of `like`: the finer map's grid is kept exactly."""
    x = functional.interpolate(x, scale_factor=2.0, mode='bilinear', align_corners=False)
    return cropped(x, size_of(like))

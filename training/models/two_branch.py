# SPDX-License-Identifier: Apache-2.0
"""Detail and context side by side (after DDRNet, Hong et al. 2021, and PIDNet, Xu et al. 2023).

Both begin with the encoder's features at stride 8. The context goes down to stride 32 in the
encoder; the detail stays at stride 8 and is told of the context at stride 16 and at the end.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.models.blocks import conv_bn_relu, cropped, size_of
from training.models.context import CONTEXTS
from training.models.efficientnet_lite import EfficientNetLite, pretrained_weights

__all__ = ['TwoBranch']


class Residual(nn.Module):
    """Two 3x3 convolutions and a skip."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *conv_bn_relu(channels, channels, 3),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(x + self.layers(x))


class TwoBranch(nn.Module):
    """Logits at stride 4; in training also auxiliary logits of the detail, at stride 8.

    Args:
        classes: Number of classes.
        encoder: EfficientNet-Lite variant.
        width: Channels of the detail branch.
        shallow: Channels that the logits get from stride 4.
        context: What the deepest features see around them, of `training.models.context`.
        kept_share: Of the channels inside the encoder's blocks.
        pretrained: Start from ImageNet weights.
    """

    def __init__(
        self,
        classes: int,
        encoder: int = 0,
        width: int = 64,
        shallow: int = 24,
        context: str = 'pooled',
        kept_share: float = 1.0,
        pretrained: bool = True,
    ) -> None:
        super().__init__()
        self.encoder = EfficientNetLite(encoder, 32, kept_share)
        if pretrained:
            self.encoder.load_pretrained(pretrained_weights(encoder))
        at_4, at_8, at_16, at_32 = self.encoder.channels
        self.enter = conv_bn_relu(at_8, width, 3)
        self.first, self.second = Residual(width), Residual(width)
        self.halfway = conv_bn_relu(at_16, width)
        self.context = CONTEXTS[context](at_32, width)
        self.fuse = conv_bn_relu(2 * width, width)
        self.shallow = conv_bn_relu(at_4, shallow)
        self.blend = conv_bn_relu(width + shallow, width)
        self.dropout = nn.Dropout2d(0.1)
        self.classify = nn.Conv2d(width, classes, 1)
        self.auxiliary = nn.Conv2d(width, classes, 1)

    def forward(self, x: Tensor) -> Tensor | list[Tensor]:
        at_4, at_8, at_16, at_32 = self.encoder(x)
        detail = self.first(self.enter(at_8))
        detail = self.second(detail + enlarged(self.halfway(at_16), 2, detail))
        far = enlarged(self.context(at_32), 4, detail)
        y = enlarged(self.fuse(torch.cat([detail, far], 1)), 2, at_4)
        y = self.blend(torch.cat([y, self.shallow(at_4)], 1))
        logits = self.classify(self.dropout(y))
        return [logits, self.auxiliary(detail)] if self.training else logits


def enlarged(x: Tensor, factor: int, like: Tensor) -> Tensor:
    """Bilinear, cut to the size of `like`."""
    x = functional.interpolate(x, scale_factor=float(factor), mode='bilinear', align_corners=False)
    return cropped(x, size_of(like))

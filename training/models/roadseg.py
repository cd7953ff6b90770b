# SPDX-License-Identifier: Apache-2.0
"""Our network: an EfficientNet-Lite encoder, pooled context, and a light top-down decoder.

Geometry: every stride-2 convolution yields ceil(size / 2), and every decoder step doubles and
crops. Cell (i, j) of a feature map thus always sits at the same image position, whatever the
image size, and the logits cover sizes that are multiples of the logits' stride exactly (360 = 4 *
90). Nothing is stretched to fit.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.models.blocks import conv_bn_relu, double_and_crop, size_of
from training.models.efficientnet_lite import EfficientNetLite, pretrained_weights

__all__ = ['RoadSeg']


class Context(nn.Module):
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


class RoadSeg(nn.Module):
    """Logits at a quarter (or an eighth) of the image size; in training also auxiliary logits.

    Args:
        classes: Number of classes.
        encoder: EfficientNet-Lite variant, 0 to 2.
        widths: Decoder channels at strides 4, 8, ... `deepest`; one value less leaves out stride
            4.
        deepest: Where the encoder ends: stride 32, or 16 for a small network.
        kept_share: Of the channels inside the encoder's blocks.
        pretrained: Start from ImageNet weights.
    """

    def __init__(
        self,
        classes: int,
        encoder: int = 0,
        deepest: int = 32,
        kept_share: float = 1.0,
        widths: Sequence[int] = (48, 96, 96, 128),
        pretrained: bool = True,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.encoder = EfficientNetLite(encoder, deepest, kept_share)
        if pretrained:
            self.encoder.load_pretrained(pretrained_weights(encoder))
        channels = self.encoder.channels[-len(widths) :]
        self.stride = deepest >> (len(widths) - 1)
        self.context = Context(channels[-1], widths[-1])
        self.lateral = nn.ModuleList(
            conv_bn_relu(c, w) for c, w in zip(channels[:-1], widths[:-1], strict=True)
        )
        self.narrow = nn.ModuleList(
            conv_bn_relu(wide, w) if wide != w else nn.Identity()
            for w, wide in itertools.pairwise(widths)
        )
        self.blend = nn.ModuleList(conv_bn_relu(w, w, 3) for w in widths[:-1])
        self.dropout = nn.Dropout2d(dropout)
        self.classify = nn.Conv2d(widths[0], classes, 1)
        self.auxiliary = nn.ModuleList(nn.Conv2d(w, classes, 1) for w in widths[1:])

    def forward(self, x: Tensor) -> Tensor | list[Tensor]:
        features = self.encoder(x)
        features = features[-len(self.lateral) - 1 :]
        y = self.context(features[-1])
        outputs = [y]
        for lateral, narrow, blend, feature in zip(
            reversed(self.lateral),
            reversed(self.narrow),
            reversed(self.blend),
            reversed(features[:-1]),
            strict=True,
        ):
            skip = lateral(feature)
            y = blend(double_and_crop(narrow(y), skip) + skip)
            outputs.append(y)
        logits = self.classify(self.dropout(y))
        if not self.training:
            return logits
        return [logits] + [
            head(out) for head, out in zip(reversed(self.auxiliary), outputs[:-1], strict=True)
        ]

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

from training.models.blocks import conv_bn_relu, double_and_crop
from training.models.context import CONTEXTS
from training.models.efficientnet_lite import EfficientNetLite, pretrained_weights

__all__ = ['RoadSeg']


class Attention(nn.Module):
    """Weighs two maps against each other cell by cell (PP-LiteSeg's UAFM, Peng et al. 2022)."""

    def __init__(self) -> None:
        super().__init__()
        self.weigh = nn.Conv2d(4, 1, 3, padding=1)

    def forward(self, coarse: Tensor, fine: Tensor) -> Tensor:
        maps = [m for x in (coarse, fine) for m in (x.mean(1, True), x.amax(1, True))]
        share = torch.sigmoid(self.weigh(torch.cat(maps, 1)))
        return share * coarse + (1 - share) * fine


class Sum(nn.Module):
    """Adds two maps."""

    def forward(self, coarse: Tensor, fine: Tensor) -> Tensor:
        return coarse + fine


FUSIONS: dict[str, type[nn.Module]] = {'sum': Sum, 'attention': Attention}


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
        context: What the deepest features see around them: `pooled`, `atrous` or `strips`.
        fusion: Of a decoder step with the features of its stride: `sum` or `attention`.
        detail: Channels from stride 2 that reach the logits; thin lines are gone at stride 4.
        lane: Channels beside the finest map at the logits that see what is around each of its
            cells; `training.lane_head` teaches them what a lane marking is.
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
        context: str = 'pooled',
        fusion: str = 'sum',
        detail: int = 0,
        lane: int = 0,
    ) -> None:
        super().__init__()
        self.encoder = EfficientNetLite(encoder, deepest, kept_share)
        if pretrained:
            self.encoder.load_pretrained(pretrained_weights(encoder))
        channels = self.encoder.channels[-len(widths) :]
        self.stride = deepest >> (len(widths) - 1)
        self.context = CONTEXTS[context](channels[-1], widths[-1])
        self.lateral = nn.ModuleList(
            conv_bn_relu(c, w) for c, w in zip(channels[:-1], widths[:-1], strict=True)
        )
        self.narrow = nn.ModuleList(
            conv_bn_relu(wide, w) if wide != w else nn.Identity()
            for w, wide in itertools.pairwise(widths)
        )
        self.blend = nn.ModuleList(conv_bn_relu(w, w, 3) for w in widths[:-1])
        self.fuse = nn.ModuleList(FUSIONS[fusion]() for _ in widths[:-1])
        self.detail = conv_bn_relu(self.encoder.stem_channels, detail, 3, 2) if detail else None
        self.lane = conv_bn_relu(widths[0], lane, 3) if lane else None
        self.dropout = nn.Dropout2d(dropout)
        self.classify = nn.Conv2d(widths[0] + detail + lane, classes, 1)
        self.auxiliary = nn.ModuleList(nn.Conv2d(w, classes, 1) for w in widths[1:])

    def forward(self, x: Tensor) -> Tensor | list[Tensor]:
        stem, outputs = self.decoded(x)
        logits = self.classify(self.dropout(self.finest(stem, outputs[-1])))
        if not self.training:
            return logits
        return [logits] + [
            head(out) for head, out in zip(reversed(self.auxiliary), outputs[:-1], strict=True)
        ]

    def finest(self, stem: Tensor, y: Tensor) -> Tensor:
        """What the logits are made of, the decoder's finest map first."""
        beside = [] if self.detail is None else [self.detail(stem)]
        if self.lane is not None:
            beside.append(self.lane(y))
        return torch.cat([y, *beside], 1) if beside else y

    def decoded(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """What the stem sees, and the decoder's maps, the deepest stride first."""
        stem, *features = self.encoder(x, stem=True)
        features = features[-len(self.lateral) - 1 :]
        y = self.context(features[-1])
        outputs = [y]
        for lateral, narrow, fuse, blend, feature in zip(
            reversed(self.lateral),
            reversed(self.narrow),
            reversed(self.fuse),
            reversed(self.blend),
            reversed(features[:-1]),
            strict=True,
        ):
            skip = lateral(feature)
            y = blend(fuse(double_and_crop(narrow(y), skip), skip))
            outputs.append(y)
        return stem, outputs

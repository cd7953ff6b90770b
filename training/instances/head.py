# SPDX-License-Identifier: Apache-2.0
"""A head that says of every pixel to which person it belongs: centres and offsets to them.

Panoptic-DeepLab (Cheng et al., arXiv 1911.10194) on the maps of our decoder. The network that it
stands on stays as it is.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from torch import Tensor, nn

from training.fast_cpu import BatchNormClip
from training.models.blocks import conv_bn_relu, double_and_crop
from training.models.roadseg import RoadSeg

__all__ = ['InstanceHead', 'WithInstances']


def wide_separable(channels: int) -> nn.Sequential:
    """Depthwise 5x5, then 1x1: what is far counts, and is cheap."""
    return nn.Sequential(
        nn.Conv2d(channels, channels, 5, padding=2, groups=channels, bias=False),
        BatchNormClip(channels),
        *conv_bn_relu(channels, channels),
    )


class InstanceHead(nn.Module):
    """From the decoder's maps at strides 16, 8 and 4 to `[N,3,H/4,W/4]`.

    Channel 0 is how much a cell is somebody's centre, 1 and 2 are how far this centre is to the
    right and down, in cells.

    Args:
        inputs: Channels of the decoder's maps, stride 16 first.
        widths: Own channels at these strides.
    """

    def __init__(self, inputs: Sequence[int], widths: Sequence[int] = (64, 48, 32)) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(
            conv_bn_relu(i, w) for i, w in zip(inputs, widths, strict=True)
        )
        self.narrow = nn.ModuleList(
            conv_bn_relu(wide, w) for wide, w in itertools.pairwise(widths)
        )
        self.deep = wide_separable(widths[0])
        self.blend = nn.ModuleList(wide_separable(w) for w in widths)
        self.tell = nn.Conv2d(widths[-1], 3, 1)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        y = self.blend[0](self.deep(self.lateral[0](maps[0])))
        for lateral, narrow, blend, finer in zip(
            self.lateral[1:], self.narrow, self.blend[1:], maps[1:], strict=True
        ):
            skip = lateral(finer)
            y = blend(double_and_crop(narrow(y), skip) + skip)
        return self.tell(y)


class WithInstances(nn.Module):
    """A trained RoadSeg and a head: logits, and what the head tells."""

    def __init__(self, network: RoadSeg, head: InstanceHead) -> None:
        super().__init__()
        self.network, self.head = network, head

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        stem, maps = self.network.decoded(x)
        y = self.network.finest(stem, maps[-1])
        return self.network.classify(y), self.head(maps[-3:])

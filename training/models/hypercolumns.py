# SPDX-License-Identifier: Apache-2.0
"""Hypercolumns (Hariharan et al., arXiv 1411.5752): features of several strides at every pixel."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from training.fast_cpu import BatchNormClip
from training.models.blocks import cropped, size_of
from training.models.efficientnet_lite import EfficientNetLite, pretrained_weights

__all__ = ['Hypercolumns']


class Hypercolumns(nn.Module):
    """A small classifier over the column of features above each cell; logits at stride 4.

    A column is what the encoder has at strides 4, 8, 16 and 32 at one place. Its first layer is
    applied to each stride before the enlargement, and the results are summed: the same numbers
    as from the concatenated column, since a 1x1 convolution and an enlargement can change places,
    for a fraction of the work. No layer looks at a neighbour: what a cell knows of its
    surroundings, the encoder must have put into its column.

    Args:
        classes: Number of classes.
        encoder: EfficientNet-Lite variant.
        width: Of the hidden layer.
        pretrained: Start from ImageNet weights.
    """

    def __init__(
        self, classes: int, encoder: int = 0, width: int = 96, pretrained: bool = True
    ) -> None:
        super().__init__()
        self.encoder = EfficientNetLite(encoder)
        if pretrained:
            self.encoder.load_pretrained(pretrained_weights(encoder))
        self.columns = nn.ModuleList(
            nn.Conv2d(channels, width, 1, bias=False) for channels in self.encoder.channels
        )
        self.norm = BatchNormClip(width)
        self.classify = nn.Conv2d(width, classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        fine, *coarse = (
            layer(feature) for layer, feature in zip(self.columns, self.encoder(x), strict=True)
        )
        total = fine
        for octave, part in enumerate(coarse, 1):
            large = functional.interpolate(
                part, scale_factor=float(2**octave), mode='bilinear', align_corners=False
            )
            total = total + cropped(large, size_of(fine))
        return self.classify(self.norm(total))

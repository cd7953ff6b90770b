# SPDX-License-Identifier: Apache-2.0
"""DeepLabV3+ (Chen et al. 2018); a local CRF is its optional refinement."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.models.blocks import conv_bn_relu, cropped, size_of
from training.models.context import Pyramid
from training.models.efficientnet_lite import EfficientNetLite, pretrained_weights

__all__ = ['DeepLab', 'LocalCrf']


class DeepLab(nn.Module):
    """EfficientNet-Lite to stride 16, atrous pyramid, one skip at stride 4; logits at stride 4.

    Args:
        classes: Number of classes.
        encoder: EfficientNet-Lite variant.
        width: Channels of pyramid and decoder.
        rates: Atrous rates at stride 16.
        crf_steps: Mean-field steps of the local CRF in evaluation and export; 0 leaves it out.
        pretrained: Start from ImageNet weights.
    """

    def __init__(
        self,
        classes: int,
        encoder: int = 0,
        width: int = 96,
        rates: Sequence[int] = (3, 6, 9),
        crf_steps: int = 0,
        pretrained: bool = True,
    ) -> None:
        super().__init__()
        self.encoder = EfficientNetLite(encoder, deepest=16)
        if pretrained:
            self.encoder.load_pretrained(pretrained_weights(encoder))
        self.pyramid = Pyramid(self.encoder.channels[-1], width, rates)
        self.skip = conv_bn_relu(self.encoder.channels[0], 32)
        self.blend = conv_bn_relu(width + 32, width, 3)
        self.classify = nn.Conv2d(width, classes, 1)
        self.crf = LocalCrf(crf_steps) if crf_steps else None

    def forward(self, x: Tensor) -> Tensor:
        features = self.encoder(x)
        y = self.pyramid(features[-1])
        y = functional.interpolate(y, scale_factor=4.0, mode='bilinear', align_corners=False)
        skip = self.skip(features[0])
        logits = self.classify(self.blend(torch.cat([cropped(y, size_of(skip)), skip], 1)))
        if self.crf is None or self.training:
            return logits
        return self.crf(
            logits, cropped(functional.avg_pool2d(x, 4, ceil_mode=True), size_of(logits))
        )


class LocalCrf(nn.Module):
    """A dense CRF cut to a window (ConvCRF, Teichmann and Cipolla 2018): like colours agree.

    Args:
        steps: Mean-field steps.
        radius: Window radius in cells of the logits.
        colour_sigma: In units of the normalised image.
        weight: Of the neighbours against the network's own opinion.
    """

    def __init__(
        self, steps: int = 3, radius: int = 3, colour_sigma: float = 0.25, weight: float = 3.0
    ) -> None:
        super().__init__()
        self.steps, self.radius = steps, radius
        self.colour_sigma, self.weight = colour_sigma, weight

    def forward(self, logits: Tensor, image: Tensor) -> Tensor:
        affinities = []
        for dy, dx in self.offsets():
            difference = ((self.shifted(image, dy, dx) - image) / self.colour_sigma) ** 2
            near = (dy * dy + dx * dx) / (2 * (self.radius / 2) ** 2)
            affinities.append(torch.exp(-0.5 * difference.mean(1, keepdim=True) - near))
        total = sum(affinities) + 1e-6
        unary = torch.log_softmax(logits, 1)
        refined = unary
        for _ in range(self.steps):
            belief = torch.softmax(refined, 1)
            message = sum(
                a * self.shifted(belief, dy, dx)
                for a, (dy, dx) in zip(affinities, self.offsets(), strict=True)
            )
            refined = unary + self.weight * message / total
        return refined

    def offsets(self) -> list[tuple[int, int]]:
        span = range(-self.radius, self.radius + 1)
        return [(dy, dx) for dy in span for dx in span if (dy, dx) != (0, 0)]

    def shifted(self, x: Tensor, dy: int, dx: int) -> Tensor:
        height, width = size_of(x)
        r = self.radius
        padded = functional.pad(x, (r, r, r, r), mode='replicate')
        return padded[:, :, r + dy : r + dy + height, r + dx : r + dx + width]

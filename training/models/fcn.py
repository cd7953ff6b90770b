# SPDX-License-Identifier: Apache-2.0
"""FCN-8s (Long, Shelhamer, Darrell 2015) on a VGG-like encoder, or on a pretrained one."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional

from training.models.blocks import conv_bn_relu, double_and_crop
from training.models.efficientnet_lite import EfficientNetLite, pretrained_weights

__all__ = ['Fcn', 'VggEncoder', 'VggStage']


class VggStage(nn.Sequential):
    """Some 3x3 convolutions at one resolution."""

    def __init__(self, inputs: int, outputs: int, convolutions: int) -> None:
        super().__init__(
            *(
                layer
                for i in range(convolutions)
                for layer in conv_bn_relu(inputs if i == 0 else outputs, outputs, 3)
            )
        )


class VggEncoder(nn.Module):
    """Feature maps at strides 8, 16 and 32."""

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        ins = (3, *widths[:-1])
        self.stages = nn.ModuleList(
            VggStage(i, w, 1 if n < 2 else 2)
            for n, (i, w) in enumerate(zip(ins, widths, strict=True))
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        features = []
        for stage in self.stages:
            x = functional.max_pool2d(stage(x), 2, ceil_mode=True)
            features.append(x)
        return features[2:]


class Fcn(nn.Module):
    """Scores at strides 32, 16 and 8, summed from coarse to fine: skips of scores only.

    Args:
        classes: Number of classes.
        widths: Of the VGG-like encoder.
        encoder: EfficientNet-Lite variant instead of it.
        pretrained: Start from ImageNet weights, where there are some.
    """

    def __init__(
        self,
        classes: int,
        widths: Sequence[int] = (32, 64, 128, 256, 256),
        encoder: int | None = None,
        pretrained: bool = True,
    ) -> None:
        super().__init__()
        if encoder is None:
            self.encoder: nn.Module = VggEncoder(widths)
            channels = list(widths[2:])
        else:
            lite = EfficientNetLite(encoder)
            if pretrained:
                lite.load_pretrained(pretrained_weights(encoder))
            self.encoder, channels = lite, lite.channels[1:]
        self.scores = nn.ModuleList(nn.Conv2d(c, classes, 1) for c in channels)

    def forward(self, x: Tensor) -> Tensor:
        features = self.encoder(x)[-len(self.scores) :]
        score = self.scores[-1](features[-1])
        for head, feature in zip(self.scores[-2::-1], features[-2::-1], strict=True):
            fine = head(feature)
            score = fine + double_and_crop(score, fine)
        return score

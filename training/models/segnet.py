# SPDX-License-Identifier: Apache-2.0
"""SegNet (Badrinarayanan et al. 2017): values go back to where the encoder's maxima were."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional

from training.models.blocks import cropped, size_of
from training.models.fcn import VggStage

__all__ = ['SegNet']


def pooled_with_mask(x: Tensor) -> tuple[Tensor, Tensor]:
    """2x2 maxima, and where they were (1.0): pooling indices that every runtime can execute."""
    small = functional.max_pool2d(x, 2, ceil_mode=True)
    spread = cropped(functional.interpolate(small, scale_factor=2.0, mode='nearest'), size_of(x))
    return small, (x == spread).to(x.dtype)


class SegNet(nn.Module):
    """No skip of features: only the places of the maxima travel to the decoder."""

    def __init__(self, classes: int, widths: Sequence[int] = (32, 64, 128, 128)) -> None:
        super().__init__()
        ins = (3, *widths[:-1])
        self.down = nn.ModuleList(VggStage(i, w, 2) for i, w in zip(ins, widths, strict=True))
        # before the ReLU, so that no two values of a window are equal zeros
        self.bare = nn.ModuleList(
            nn.Sequential(nn.Conv2d(w, w, 3, padding=1, bias=False), nn.BatchNorm2d(w))
            for w in widths
        )
        outs = (widths[0], *widths[:-1])
        self.up = nn.ModuleList(VggStage(w, o, 2) for w, o in zip(widths, outs, strict=True))
        self.classify = nn.Conv2d(widths[0], classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        masks = []
        for down, bare in zip(self.down, self.bare, strict=True):
            x, mask = pooled_with_mask(bare(down(x)))
            x = functional.relu(x)
            masks.append(mask)
        for up, mask in zip(reversed(self.up), reversed(masks), strict=True):
            x = (
                cropped(functional.interpolate(x, scale_factor=2.0, mode='nearest'), size_of(mask))
                * mask
            )
            x = up(x)
        return self.classify(x)

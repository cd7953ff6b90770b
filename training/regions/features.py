# SPDX-License-Identifier: Apache-2.0
"""What a CNN says of a region: of all that its box shows, and of its own pixels alone.

R-CNN's *full* and *foreground* features (Girshick et al., arXiv 1311.2524, section 5): the box is
warped to a square; for the foreground what is not the region has the mean colour, which is zero
after normalisation. A feature is the mean of each of the encoder's maps, strides 4 to 32.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from training.labelled_set import Image
from training.models.efficientnet_lite import EfficientNetLite, pretrained_weights
from training.normalise import normalise
from training.regions.proposals import Regions

__all__ = ['Cuts', 'RegionEncoder', 'cut', 'cuts_of', 'features_of']

CROP_PX = 64
AT_ONCE = 64  # regions; all at once would only move memory


class Cuts(NamedTuple):
    """Regions as squares.

    Attributes:
        crops: uint8 [N, CROP_PX, CROP_PX, 3], what their boxes show.
        masks: uint8 [N, CROP_PX, CROP_PX], 1 on the region.
    """

    crops: Image
    masks: Image

    @staticmethod
    def of(squares: Iterable[tuple[Image, Image]]) -> Cuts:
        """What `cut` gave."""
        crops, masks = zip(*squares, strict=True)
        return Cuts(np.stack(crops), np.stack(masks))

    def inputs(self) -> tuple[Tensor, Tensor]:
        """Normalised [N,3,h,w]: full, and foreground."""
        full = normalise(torch.from_numpy(self.crops))
        return full, full * torch.from_numpy(self.masks)[:, None]


def cut(
    image: Image, box: Sequence[int] | NDArray[np.int32], mask: NDArray[np.bool_]
) -> tuple[Image, Image]:
    """One region's square and mask; `mask` has the box's size."""
    left, top, right, bottom = box
    size_wh = (CROP_PX, CROP_PX)
    crop = cv2.resize(image[top:bottom, left:right], size_wh, interpolation=cv2.INTER_LINEAR)
    inside = cv2.resize(mask.astype(np.uint8), size_wh, interpolation=cv2.INTER_NEAREST)
    return np.asarray(crop), np.asarray(inside)


def cuts_of(image: Image, regions: Regions, picks: Sequence[int]) -> Cuts:
    return Cuts.of(cut(image, regions.boxes[i], regions.mask(i)) for i in picks)


class RegionEncoder(EfficientNetLite):
    """Squares [N,3,h,w] to one vector each, of `size` numbers."""

    def __init__(self, variant: int = 0, pretrained: bool = True) -> None:
        super().__init__(variant)
        if pretrained:
            self.load_pretrained(pretrained_weights(variant))
        self.size = sum(self.channels)

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        return torch.cat([feature.float().mean((2, 3)) for feature in super().forward(x)], 1)


@torch.no_grad()
def features_of(encoder: nn.Module, inputs: Tensor) -> NDArray[np.float32]:
    """[N, size] in bf16, which is twice as fast, some regions at a time."""
    with torch.autocast('cpu', torch.bfloat16):
        parts = [encoder(part).float() for part in inputs.split(AT_ONCE)]
    return np.asarray(torch.cat(parts).numpy())

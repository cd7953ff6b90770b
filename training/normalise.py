# SPDX-License-Identifier: Apache-2.0
"""The input's normalisation: ImageNet's statistics, on 0 to 255."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ['MEAN', 'STD', 'normalise']

MEAN = (123.675, 116.28, 103.53)
STD = (58.395, 57.12, 57.375)


def normalise(images: Tensor) -> Tensor:
    """uint8 [N,H,W,3] to float [N,3,H,W], channels last in memory."""
    mean = torch.tensor(MEAN, device=images.device)
    std = torch.tensor(STD, device=images.device)
    return ((images.float() - mean) / std).permute(0, 3, 1, 2)

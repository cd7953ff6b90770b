# SPDX-License-Identifier: Apache-2.0
"""Networks that train.py knows; each maps normalised [N,3,H,W] to logits [N,C,h,w]."""

from __future__ import annotations

import inspect
from typing import Any

from torch import nn

from training.models.deeplab import DeepLab
from training.models.fast_scnn import FastScnn
from training.models.fcn import Fcn
from training.models.hypercolumns import Hypercolumns
from training.models.roadseg import RoadSeg
from training.models.segnet import SegNet
from training.models.two_branch import TwoBranch
from training.models.unet import UNet

__all__ = ['MODELS', 'create']

MODELS: dict[str, type[nn.Module]] = {
    'roadseg': RoadSeg,
    'fcn': Fcn,
    'segnet': SegNet,
    'unet': UNet,
    'deeplab': DeepLab,
    'fast_scnn': FastScnn,
    'two_branch': TwoBranch,
    'hypercolumns': Hypercolumns,
}


def create(row: dict[str, Any]) -> nn.Module:
    """A network from its config row: {kind, ...constructor's arguments}."""
    arguments = dict(row)
    kind = arguments.pop('kind')
    if kind not in MODELS:
        raise ValueError(f"Unknown model kind '{kind}'; known are {', '.join(sorted(MODELS))}.")
    if 'pretrained' not in inspect.signature(MODELS[kind]).parameters:
        arguments.pop('pretrained', None)
    return MODELS[kind](**arguments)

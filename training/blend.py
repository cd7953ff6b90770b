# SPDX-License-Identifier: Apache-2.0
"""Weights between those of two networks, one of which was trained on from the other.

    python -m training.blend CONFIG out/train/RUN/last.pt SHARE out/train/NAME/last.pt

Between an engine (the config's `start_from`) and what a run has made of it lies a network that
keeps what the engine knows of its own cameras and has most of what the run has learned of others
(Wortsman et al., arXiv 2109.01903). SHARE is that of the run. The result is a checkpoint to
export, or to train on from.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from training import models
from training.classes import classes_of
from training.config import read_config
from training.from_onnx import load_onnx
from training.train import START_BATCHES, Mixture, normalised_crops

__all__ = ['blended', 'engine_weights']


def blended(
    first: Mapping[str, Tensor], second: Mapping[str, Tensor], share: float
) -> dict[str, Tensor]:
    """`share` of the second network's weights and statistics and the rest of the first's.

    What the first lacks, as an engine lacks the heads of training, is the second's.
    """
    return {
        name: torch.lerp(first[name], value, share)
        if name in first and value.dtype.is_floating_point
        else value
        for name, value in second.items()
    }


def engine_weights(config: dict[str, Any]) -> dict[str, Tensor]:
    """The weights that a run of this config began with, but those of new heads."""
    network = models.create(
        {'classes': len(classes_of(config)), **config['model'], 'pretrained': False}
    )
    mixture = Mixture(config, classes_of(config))
    crops = itertools.islice(normalised_crops(mixture, config, 'cpu'), START_BATCHES)
    new = load_onnx(network, Path(config['start_from']) / 'model.onnx', crops)
    heads = tuple(f'{name}.' for name in new)
    return {k: v for k, v in network.state_dict().items() if not k.startswith(heads)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config')
    parser.add_argument('checkpoint', type=Path)
    parser.add_argument('share', type=float)
    parser.add_argument('result', type=Path)
    arguments = parser.parse_args()
    state = torch.load(arguments.checkpoint, map_location='cpu', weights_only=True)
    first = engine_weights(read_config(arguments.config))
    weights = blended(first, state['average'], arguments.share)
    config = {**state['config'], 'blend': arguments.share}
    arguments.result.parent.mkdir(parents=True, exist_ok=True)
    torch.save({'step': state['step'], 'config': config, 'average': weights}, arguments.result)
    print(f'{arguments.result}: {arguments.share:.0%} of {arguments.checkpoint}')


if __name__ == '__main__':
    main()

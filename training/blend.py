# SPDX-License-Identifier: Apache-2.0
r"""Weights between those of two networks, one of which was trained on from the other.

    python -m training.blend CONFIG out/train/RUN/last.pt SHARE out/train/NAME/last.pt
    python -m training.blend out/train/FIRST/last.pt out/train/RUN/last.pt SHARE \
        out/train/NAME/last.pt

Between an engine (the config's `start_from`) and what a run has made of it lies a network that
keeps what the engine knows of its own cameras and has most of what the run has learned of others
(Wortsman et al., arXiv 2109.01903). SHARE is that of the run. The same lies between two rounds of
one line of runs, both given as checkpoints: the first's config and class weights stay then. The
result is a checkpoint to export, or to train on from.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from training import models
from training.classes import classes_of
from training.config import read_config
from training.from_onnx import load_onnx
from training.train import START_BATCHES, Mixture, normalised_crops

__all__ = ['blended', 'blended_runs', 'engine_network', 'engine_weights']


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


def blended_runs(
    first: Mapping[str, Any], second: Mapping[str, Any], share: float
) -> dict[str, Any]:
    """The checkpoint between two of one architecture; all but the weights is the first's.

    Raises:
        ValueError: They are of two architectures.
    """
    if first['config']['model'] != second['config']['model']:
        raise ValueError(
            f'Runs of {first["config"]["model"]} and of {second["config"]["model"]} have nothing '
            'between them: only rounds of one network that began with each other do.'
        )
    kept = {key: first[key] for key in ('step', 'class_weights') if key in first}
    config = {**first['config'], 'blend': share}
    # a slim checkpoint has its matrices in half
    ends = (
        {k: v.float() if v.is_floating_point() else v for k, v in one['average'].items()}
        for one in (first, second)
    )
    average = blended(*ends, share)
    return {**kept, 'config': config, 'average': average}


def engine_network(config: dict[str, Any], graph: Path) -> tuple[nn.Module, list[str]]:
    """A deployment graph as the network of a config, and the heads that the graph lacks."""
    network = models.create(
        {'classes': len(classes_of(config)), **config['model'], 'pretrained': False}
    )
    mixture = Mixture(config, classes_of(config))
    crops = itertools.islice(normalised_crops(mixture, config, 'cpu'), START_BATCHES)
    return network, load_onnx(network, graph, crops)


def engine_weights(config: dict[str, Any]) -> dict[str, Tensor]:
    """The weights that a run of this config began with, but those of new heads."""
    network, new = engine_network(config, Path(config['start_from']) / 'model.onnx')
    heads = tuple(f'{name}.' for name in new)
    return {k: v for k, v in network.state_dict().items() if not k.startswith(heads)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('first', type=Path, help='a config with start_from, or a checkpoint')
    parser.add_argument('checkpoint', type=Path)
    parser.add_argument('share', type=float)
    parser.add_argument('result', type=Path)
    arguments = parser.parse_args()
    state = torch.load(arguments.checkpoint, map_location='cpu', weights_only=True)
    if arguments.first.suffix == '.pt':
        result = blended_runs(
            torch.load(arguments.first, map_location='cpu', weights_only=True),
            state,
            arguments.share,
        )
    else:
        weights = engine_weights(read_config(str(arguments.first)))
        config = {**state['config'], 'blend': arguments.share}
        average = blended(weights, state['average'], arguments.share)
        result = {'step': state['step'], 'config': config, 'average': average}
    arguments.result.parent.mkdir(parents=True, exist_ok=True)
    torch.save(result, arguments.result)
    print(f'{arguments.result}: {arguments.share:.0%} of {arguments.checkpoint}')


if __name__ == '__main__':
    main()

# SPDX-License-Identifier: Apache-2.0
"""Train on from a shipped engine: the weights of model.onnx back in the torch network.

    python -m training.from_onnx engines/NAME/model.onnx CONFIG RESULT

writes a checkpoint of it, to teach others by, to blend or to export again. CONFIG's `model` is
what was exported, and its sets give the crops. What a spec.yaml beside the graph says of steps and
of the classes' offsets, which are in the weights, is kept.

A deployment graph has no batch norms: export folded each into its convolution. Here the
convolution gets the folded weights, and its norm the statistics of training crops with the gain
and offset that undo them. So the network gives the labels of the graph, and goes on nearly so
when training computes statistics of its own. Heads that serve training only are not in the graph
and begin anew.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import onnx
import torch
import yaml
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import Tensor, nn

from training.config import read_config
from training.quantize import unpack_half

__all__ = ['load_onnx']

Weights = NDArray[np.float32]

MIN_VARIANCE = 1e-6  # of a channel that says nothing: its weights are left as they are


def load_onnx(network: nn.Module, path: Path, crops: Iterable[Tensor]) -> list[str]:
    """Fill the network; returns the names of the convolutions that the graph lacks.

    Args:
        network: Of the architecture that was exported.
        path: The deployment graph, with or without half weights.
        crops: Normalised training crops [N,3,H,W] for the norms' statistics.

    Raises:
        ValueError: The graph is that of another architecture.
    """
    was_training = network.training
    network.eval()
    crops = [crop.to(next(network.parameters()).device) for crop in crops]
    pairs = convolutions(network, crops[0][:1])
    weights = graph_convolutions(path)
    shapes = [tuple(conv.weight.shape) for conv, _ in pairs]
    if shapes != [weight.shape for weight, _ in weights]:
        raise ValueError(
            f'{path} has {len(weights)} convolutions and the network {len(pairs)}, or they differ '
            "in shape: the config's `model` must be the one that was exported."
        )
    with torch.no_grad():
        for (conv, norm), (weight, bias) in zip(pairs, weights, strict=True):
            conv.weight.copy_(torch.from_numpy(weight))
            if norm is None:
                if conv.bias is not None:
                    conv.bias.copy_(torch.from_numpy(bias))
            else:
                norm.bias.copy_(torch.from_numpy(bias))
                norm.weight.fill_(1.0)
                norm.running_mean.zero_()
                norm.running_var.fill_(1.0 - norm.eps)
        measure([pair for pair in pairs if pair[1] is not None], network, crops)
    network.train(was_training)
    filled = {id(conv) for conv, _ in pairs}
    return [
        name
        for name, module in network.named_modules()
        if isinstance(module, nn.Conv2d) and id(module) not in filled
    ]


def convolutions(
    network: nn.Module, example: Tensor
) -> list[tuple[nn.Conv2d, nn.BatchNorm2d | None]]:
    """In the order in which they run, each with the norm that follows it at once."""
    order: list[nn.Module] = []
    hooks = [
        module.register_forward_hook(lambda module, *_: order.append(module))
        for module in network.modules()
        if isinstance(module, (nn.Conv2d, nn.BatchNorm2d))
    ]
    with torch.no_grad():
        network(example)
    for hook in hooks:
        hook.remove()
    followers = [*order[1:], None]
    return [
        (module, after if isinstance(after, nn.BatchNorm2d) else None)
        for module, after in zip(order, followers, strict=True)
        if isinstance(module, nn.Conv2d)
    ]


def graph_convolutions(path: Path) -> list[tuple[Weights, Weights]]:
    """Weight and bias of each convolution of a graph, in its order."""
    model = onnx.load(path)
    unpack_half(model)
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    found = []
    for node in model.graph.node:
        if node.op_type == 'Identity' and node.input[0] in values:  # equal tensors are kept once
            values[node.output[0]] = values[node.input[0]]
        if node.op_type == 'Conv':
            weight = values[node.input[1]]
            has_bias = len(node.input) > 2
            bias = values[node.input[2]] if has_bias else np.zeros(len(weight), np.float32)
            found.append((weight.copy(), bias.copy()))
    return found


def measure(
    pairs: list[tuple[nn.Conv2d, nn.BatchNorm2d]], network: nn.Module, crops: list[Tensor]
) -> None:
    """Give each norm the statistics of its input, and the affine part that undoes them."""
    sums = {norm: [0.0, 0.0] for _, norm in pairs}

    def add(norm: nn.Module, inputs: tuple[Tensor]) -> None:
        x = inputs[0].float()
        sums[norm][0] += x.mean((0, 2, 3)) / len(crops)
        sums[norm][1] += x.square().mean((0, 2, 3)) / len(crops)

    hooks = [norm.register_forward_pre_hook(add) for _, norm in pairs]
    for crop in crops:
        network(crop)
    for hook in hooks:
        hook.remove()
    for conv, norm in pairs:
        mean, square = sums[norm]
        variance = (square - mean**2).clamp(min=0)
        # weights that give a variance of one, as after an initialisation: the step size of an
        # optimiser fits them
        scale = torch.where(variance > MIN_VARIANCE, variance.rsqrt(), torch.ones_like(mean))
        conv.weight.mul_(scale[:, None, None, None])
        norm.running_mean.copy_(mean * scale)
        norm.running_var.copy_(variance * scale**2)
        norm.weight.copy_((norm.running_var + norm.eps).sqrt() / scale)
        norm.bias.add_(mean)


def main() -> None:
    from training.blend import engine_network

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('graph', type=Path)
    parser.add_argument('config')
    parser.add_argument('result', type=Path)
    arguments = parser.parse_args()
    config = read_config(arguments.config)
    arguments.result.parent.mkdir(parents=True, exist_ok=True)
    network, _ = engine_network(config, arguments.graph)
    told = {'step': 0}
    spec = arguments.graph.parent / 'spec.yaml'
    if spec.exists():
        training = yaml.safe_load(spec.read_text())['training']
        told = {'step': training['steps']}
        told |= {key: training[key] for key in ('offsets',) if key in training}
    torch.save({**told, 'config': config, 'average': network.state_dict()}, arguments.result)


if __name__ == '__main__':
    main()

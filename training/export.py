# SPDX-License-Identifier: Apache-2.0
"""Export a checkpoint as an engine.

    python -m training.export out/train/RUN/last.pt engines/NAME [--size 640x360] [--half-weights]
        [--unweighted SHARE [--but CLASS ...]] [--sure-of-people SHARE]

Writes model.onnx and spec.yaml by the contract of the deployment graph (uint8 NHWC image in;
logits, label and confidence out), and checks that ONNX Runtime gives the labels that torch gives.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
import yaml
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn
from torch.nn import functional

from training import models
from training.classes import UNLABELLED, classes_of
from training.normalise import MEAN, STD

__all__ = [
    'INSTANCES',
    'Deployment',
    'SureOfPeople',
    'export_onnx',
    'load_checkpoint',
    'write_spec',
]

OPSET = 17  # TensorRT 10 and every supported ONNX Runtime and OpenVINO read it
OUTPUTS = ['logits', 'label', 'confidence']
INSTANCES = 'instances'  # optional: centres and offsets (training.instances), [N,3,h,w]
MIN_AGREEMENT = 0.999  # of the pixels; the others lie where two scores are equal but for rounding
MIN_HALF_ELEMENTS = 256  # smaller tensors stay float: nothing to save
SURE_WITHIN = 7  # cells to each side: of 4 pixels, somebody 40 pixels high is 10 of them high
SURE_RAMP = 0.025  # of probability, from none to all of it: a step has no place in half precision
NEVER = 8.0  # nats, that take what is not sure from any other class


class SureOfPeople(nn.Module):
    """People are seen only where one cell in the neighbourhood is surely theirs.

    The two thresholds of hysteresis (Canny, 1986): a cell is people's when nothing else is more
    likely, and somebody is there when pedestrian and cyclist together have a certain probability
    in a cell around. What is seen where nobody is seldom has such a cell, whoever is there has,
    be it at the chest alone.

    Args:
        people: bool [classes].
        least: The probability.
    """

    def __init__(self, people: Sequence[bool], least: float) -> None:
        super().__init__()
        self.ids = [i for i, is_people in enumerate(people) if is_people]
        self.least = least
        self.register_buffer('mask', torch.tensor(people).float().view(1, -1, 1, 1))

    def forward(self, logits: Tensor) -> Tensor:
        share = logits.softmax(1)[:, self.ids].sum(1, keepdim=True)
        size = 2 * SURE_WITHIN + 1
        down = functional.max_pool2d(share, (size, 1), 1, (SURE_WITHIN, 0))
        surest = functional.max_pool2d(down, (1, size), 1, (0, SURE_WITHIN))
        lacks = ((self.least - surest) / SURE_RAMP).clamp(0.0, 1.0)
        return logits - NEVER * lacks * self.mask


class Deployment(nn.Module):
    """uint8 [N,H,W,3] RGB to logits, label and confidence: all that a robot needs.

    Of a network that gives more than logits, the rest follows as it is (`INSTANCES`).

    Args:
        network: That gives logits of normalised pictures.
        sure: What is done to these, if anything.
    """

    def __init__(self, network: nn.Module, sure: SureOfPeople | None = None) -> None:
        super().__init__()
        self.network = network
        self.sure = sure or nn.Identity()
        self.register_buffer('mean', torch.tensor(MEAN).view(1, 3, 1, 1))
        self.register_buffer('scale', 1 / torch.tensor(STD).view(1, 3, 1, 1))

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        # TensorRT wants the cast before the transpose
        x = (image.float().permute(0, 3, 1, 2) - self.mean) * self.scale
        told = self.network(x)
        logits, *more = told if isinstance(told, tuple) else (told,)
        logits = self.sure(logits)
        factor = float(int(image.shape[1]) // int(logits.shape[2]))
        label = enlarged(logits, factor).argmax(1).to(torch.uint8)
        winner = logits.softmax(1).amax(1, keepdim=True)
        confidence = (enlarged(winner, factor)[:, 0] * 255 + 0.5).to(torch.uint8)
        return (logits, label, confidence, *more)


def enlarged(x: Tensor, factor: float) -> Tensor:
    return functional.interpolate(x, scale_factor=factor, mode='bilinear', align_corners=False)


def load_checkpoint(
    path: str | Path, changes: Mapping[str, Any] | None = None
) -> tuple[nn.Module, dict[str, Any]]:
    """The averaged weights of a run as a network in eval mode, and the run's config.

    Args:
        path: The checkpoint.
        changes: To the config's `model` that leave its weights as they are (`crf_steps`).
    """
    state = torch.load(path, map_location='cpu', weights_only=True)
    config = state['config']
    network = models.create(
        {
            'classes': len(classes_of(config)),
            **config['model'],
            **(changes or {}),
            'pretrained': False,
        }
    )
    network.load_state_dict(state['average'])
    told = {key: state[key] for key in ('step', 'class_weights', 'offsets') if key in state}
    return network.eval(), {**config, **told}


@torch.no_grad()
def unweight(
    network: nn.Module, class_weights: Sequence[float], share: float, but: Sequence[int] = ()
) -> None:
    """Take the loss's class weights back: its minimum is at weight times probability.

    What is left is the probability that pictures like the trained ones have it (logit adjustment,
    Menon et al., arXiv 2007.07314): rare things are no longer seen larger than they are.

    Args:
        network: Its last layer is `classify`.
        class_weights: Of the loss it was trained with.
        share: 1 takes them back whole; hard pixels, which the loss prefers, may ask for less.
        but: Class ids that keep their weight.
    """
    weights = torch.tensor(class_weights)
    weights[list(but)] = 1.0
    network.classify.bias -= share * weights.log()


def export_onnx(
    network: nn.Module,
    path: Path,
    size_wh: tuple[int, int],
    half_weights: bool = False,
    sure: SureOfPeople | None = None,
) -> None:
    """Write the deployment graph for one network size; the batch stays free."""
    width, height = size_wh
    module = Deployment(network, sure).eval()
    example = torch.zeros(1, height, width, 3, dtype=torch.uint8)
    with torch.no_grad():
        shapes = [tuple(output.shape[1:]) for output in module(example)]
    stride_y, stride_x = height / shapes[0][1], width / shapes[0][2]
    if stride_y != stride_x or stride_y != int(stride_y):
        raise ValueError(
            f'The logits of this network do not cover {width}x{height} exactly (strides '
            f'{stride_x} and {stride_y}). '
            "Take a size whose sides are multiples of the logits' stride, 8 is always enough."
        )
    outputs = [*OUTPUTS, INSTANCES][: len(shapes)]
    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        torch.onnx.export(
            module,
            (example,),
            str(path),
            opset_version=OPSET,
            dynamo=False,
            input_names=['image'],
            output_names=outputs,
            dynamic_axes={name: {0: 'batch'} for name in ('image', *outputs)},
        )
    model = onnx.load(path)
    name_sizes(model, shapes)
    if half_weights:
        store_half(model)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def name_sizes(model: onnx.ModelProto, shapes: Sequence[Sequence[int]]) -> None:
    """Say in the graph how large its outputs are: torch leaves open what went through a Pad."""
    for output, shape in zip(model.graph.output, shapes, strict=True):
        for axis, size in zip(output.type.tensor_type.shape.dim[1:], shape, strict=True):
            axis.dim_value = size


def store_half(model: onnx.ModelProto) -> None:
    """Store weights as fp16 behind a Cast: half the file; a runtime folds the cast at load."""
    casts = []
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.size < MIN_HALF_ELEMENTS:
            continue
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f'{name}.half'))
        casts.append(
            helper.make_node(
                'Cast', [f'{name}.half'], [name], f'{name}.cast', to=TensorProto.FLOAT
            )
        )
    nodes = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend(casts + nodes)


def write_spec(
    folder: Path,
    name: str,
    size_wh: tuple[int, int],
    config: dict[str, Any],
    sure_of_people: float = 0.0,
) -> None:
    """spec.yaml without metrics: those of an earlier evaluation are dropped."""
    spec = {
        'name': name,
        'description': config.get('description', ''),
        'network_size': list(size_wh),
        'classes': [
            {'id': i, 'name': row.name, 'colour': list(row.colour), 'roles': list(row.roles)}
            for i, row in enumerate(classes_of(config).rows)
        ],
        'unlabelled': UNLABELLED,
        'licence': config.get('licence', 'unknown: the config of the training names none'),
        'training_data': training_data(config),
        'training': {
            'data': [row['name'] for row in config['sources']],
            'pretraining': config.get('pretraining', 'none'),
            'config': config.get('config_path', ''),
            'steps': config['step'],
            **({'sure_of_people': sure_of_people} if sure_of_people else {}),
            **({'offsets': config['offsets']} if 'offsets' in config else {}),
        },
        'metrics': {},
    }
    text = yaml.safe_dump(spec, sort_keys=False, default_flow_style=None, width=120)
    (folder / 'spec.yaml').write_text(text)


def training_data(config: dict[str, Any]) -> str:
    """Every set that the network has seen, in words: the config's, or the names of its sources."""
    if 'training_data' in config:
        return str(config['training_data'])
    names = ', '.join(row['name'] for row in config['sources'])
    return f'{names}; pretraining: {config.get("pretraining", "none")}'


def agreement(
    network: nn.Module, path: Path, images: NDArray[np.uint8], sure: SureOfPeople | None = None
) -> float:
    """Share of pixels on which ONNX Runtime and torch give the same label."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=['CPUExecutionProvider'])
    (found,) = session.run(['label'], {'image': images})
    with torch.no_grad():
        _, expected, *_ = Deployment(network, sure).eval()(torch.from_numpy(images))
    return float((found == expected.numpy()).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('checkpoint', type=Path)
    parser.add_argument('engine', type=Path, help='the engine folder, engines/NAME')
    parser.add_argument('--size', default='640x360', help='network size, WIDTHxHEIGHT')
    parser.add_argument('--half-weights', action='store_true', help='store the weights as fp16')
    parser.add_argument(
        '--unweighted',
        type=float,
        default=0.0,
        metavar='SHARE',
        help="take this share of the loss's class weights back",
    )
    parser.add_argument(
        '--but', nargs='*', default=[], metavar='CLASS', help='these keep their weight'
    )
    parser.add_argument(
        '--sure-of-people',
        type=float,
        default=0.0,
        metavar='SHARE',
        help='somebody is there only where people have this probability in a cell around',
    )
    arguments = parser.parse_args()
    width, height = (int(v) for v in arguments.size.split('x'))
    network, config = load_checkpoint(arguments.checkpoint)
    if arguments.unweighted:
        if 'class_weights' not in config:
            raise SystemExit(
                f'{arguments.checkpoint} does not say its class weights. Run one more step of it: '
                'python -m training.train CONFIG --set steps=…'
            )
        kept = [classes_of(config).id(name) for name in arguments.but]
        unweight(network, config['class_weights'], arguments.unweighted, kept)
    least = arguments.sure_of_people
    people = [bool({'pedestrian', 'cyclist'} & {*row.roles}) for row in classes_of(config).rows]
    sure = SureOfPeople(people, least) if least else None
    path = arguments.engine / 'model.onnx'
    export_onnx(network, path, (width, height), arguments.half_weights, sure)
    write_spec(arguments.engine, arguments.engine.name, (width, height), config, least)
    images = sample_images(config, (width, height))
    same = agreement(network, path, images, sure)
    print(
        f'{path}: {path.stat().st_size / 1e6:.2f} MB, '
        f'torch and ONNX Runtime agree on {same:.4%} of pixels'
    )
    if same < MIN_AGREEMENT:
        raise SystemExit(f'Agreement below {MIN_AGREEMENT:.1%}: the engine must not be used.')


def sample_images(
    config: dict[str, Any], size_wh: tuple[int, int], count: int = 4
) -> NDArray[np.uint8]:
    """A few training images at the network size."""
    import cv2

    from training.data import load

    data = load(config['sources'][0])
    picks = range(0, len(data), max(1, len(data) // count))
    return np.stack([cv2.resize(data.images[i], size_wh) for i in list(picks)[:count]])


if __name__ == '__main__':
    main()

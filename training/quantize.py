# SPDX-License-Identifier: Apache-2.0
"""INT8, for TensorRT and for CPUs.

    python -m training.quantize engines/NAME --calibration training/configs/NAME.yaml

Writes model.int8.onnx beside model.onnx: symmetric s8/s8 QDQ, weights per channel, no quantised
bias: the one form that TensorRT parses. And model.int8-cpu.onnx, which OpenVINO runs on a CPU: u8
activations, s8 weights of seven bits. Both are calibrated on training images only, of every set by
its share of the training: what one camera sees does not reach the ranges that another one needs.

What stays in floating point on a CPU is chosen on the config's `validation` pictures and on those
that `seg_ros tune` asks: the least with which the pixels that fp32 is sure of keep its label, and
small people stay who they are, who are few pixels of many. The table is printed.

Weights of seven bits shift what a convolution gives in the mean; its bias takes that back (Nagel
et al., Data-Free Quantization Through Weight Equalization and Bias Correction, ICCV 2019). With
the eight of TensorRT's form roadseg gains a little by it and roadseg-s loses as much: no more is
taken back there.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import numpy_helper
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)

from seg_ros.inference.base import InferenceResult
from seg_ros.inference.engine import load_engine
from seg_ros.inference.registry import create_backend
from seg_ros.inference.tuning.measure import SURE, seeded_pictures
from training.classes import ClassTable, classes_of
from training.config import read_config
from training.data import load
from training.score import label_figures

__all__ = ['LEFT_OUT', 'Agreement', 'LeftOut', 'choose', 'quantize', 'quantize_for_cpu']

Images = Sequence[NDArray[np.uint8]]

MOST_AGREE = 0.997
"""Of the pixels that fp32 is sure of: 99.65 % cost roadseg-s 0.9 of cityscapes-val's mean IoU,
99.88 % 0.3."""
MOST_AGREE_SEEDED = 0.992
"""Of those of the drawn pictures, of which `seg_ros tune` asks 0.99 on every machine."""
MOST_AGREE_PEOPLE = 0.98
"""Of the people of 20 to 40 px: of those of fp32 whom int8 finds, and of those of int8 whom fp32
finds, the less."""
SMALL = '20_to_40_px'


class LeftOut(NamedTuple):
    """What stays in floating point: so many convolutions at either end, and those by channel."""

    at_the_image: int
    at_the_logits: int
    depthwise: bool

    def of(self, convolutions: Sequence[onnx.NodeProto]) -> list[str]:
        """Names of convolutions, which are in the order of the graph."""
        names = [node.name for node in convolutions]
        alone = [
            node.name
            for node in convolutions
            if any(a.name == 'group' and a.i > 1 for a in node.attribute)
        ]
        last = len(names) - self.at_the_logits
        return [*names[: self.at_the_image], *names[last:], *(alone if self.depthwise else [])]


LEFT_OUT = (
    LeftOut(1, 1, depthwise=False),
    LeftOut(3, 2, depthwise=False),
    LeftOut(1, 1, depthwise=True),
    LeftOut(3, 2, depthwise=True),
    LeftOut(6, 3, depthwise=True),
    LeftOut(12, 6, depthwise=True),
)
"""What is tried for a CPU, the least first. A depthwise convolution gains little by int8."""

LEFT_OUT_ON_A_GPU = LeftOut(3, 2, depthwise=False)


class Agreement(NamedTuple):
    """Share of the pixels whose label is that of fp32, and of the small people of either."""

    of_sure: float
    of_all: float
    of_sure_seeded: float = 1.0
    of_people: float = 1.0

    def margin(self) -> float:
        """Returns by how much it is more than it must be; people count by the hundred."""
        return min(
            self.of_sure - MOST_AGREE,
            self.of_sure_seeded - MOST_AGREE_SEEDED,
            (self.of_people - MOST_AGREE_PEOPLE) / 100,
        )


class Reader(CalibrationDataReader):
    """Network-size batches of one for the calibrator."""

    def __init__(self, images: Images) -> None:
        self.images = iter(images)

    def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
        image = next(self.images, None)
        return None if image is None else {'image': image[None]}


def quantize(engine: Path, images: Images) -> Path:
    """Quantise the convolutions of `engine/model.onnx`, all but those at either end.

    The first sees the image itself, of which symmetric int8 keeps too little: on roadsynth it
    alone cost 2.3 points of mIoU. On cityscapes-val roadseg has 62.4 with one left out at either
    end and 63.4, as in fp32, with three and two; roadseg-s 56.4 and 57.2, and 57.8 in fp32.
    """
    return quantized(
        engine,
        'model.int8.onnx',
        images,
        LEFT_OUT_ON_A_GPU,
        activation_type=QuantType.QInt8,
        symmetric=True,
    )


def quantize_for_cpu(engine: Path, images: Images, left_out: LeftOut = LEFT_OUT[-1]) -> Path:
    """Quantise `engine/model.onnx` as oneDNN multiplies on a CPU: u8 by s8.

    Without VNNI two products are added in int16, which those of full range exceed: so the weights
    have seven bits.
    """
    return quantized(
        engine,
        'model.int8-cpu.onnx',
        images,
        left_out,
        activation_type=QuantType.QUInt8,
        symmetric=False,
    )


def quantized(
    engine: Path,
    name: str,
    images: Images,
    left_out: LeftOut,
    activation_type: QuantType,
    symmetric: bool,
) -> Path:
    target = engine / name
    with tempfile.TemporaryDirectory() as folder:
        plain, nodes = plain_network(engine, Path(folder))
        quantize_static(
            plain,
            target,
            Reader(images),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=['Conv'],
            nodes_to_exclude=left_out.of(nodes),
            per_channel=True,
            reduce_range=not symmetric,
            activation_type=activation_type,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
            extra_options={
                'ActivationSymmetric': symmetric,
                'WeightSymmetric': True,
                'QuantizeBias': False,
                'CalibMovingAverage': True,
            },
        )
        if not symmetric:
            model = onnx.load(target)
            correct_biases(onnx.load(plain), model, images)
            onnx.save(model, target)
    return target


def correct_biases(plain: onnx.ModelProto, quantised: onnx.ModelProto, images: Images) -> None:
    """Take back what rounded weights shift in the mean of each channel.

    Args:
        plain: The network in fp32.
        quantised: The same with QDQ; its biases change.
        images: What the means are of.
    """
    weights = {t.name: numpy_helper.to_array(t) for t in plain.graph.initializer}
    rounded = {t.name: t for t in quantised.graph.initializer}
    source = {node.output[0]: node for node in quantised.graph.node}
    own = {node.name: node for node in plain.graph.node if node.op_type == 'Conv'}
    pairs = [
        (node, own[node.name], source[node.input[1]])
        for node in quantised.graph.node
        if node.op_type == 'Conv' and node.input[1] in source
    ]
    names = list(dict.fromkeys(conv.input[0] for _, conv, _ in pairs))
    means = dict(zip(names, channel_means(plain, names, images), strict=True))
    for node, conv, dequantise in pairs:
        whole = numpy_helper.to_array(rounded[dequantise.input[0]]).astype(np.float32)
        scale = numpy_helper.to_array(rounded[dequantise.input[1]])
        lost = (weights[conv.input[1]] - whole * scale.reshape(-1, 1, 1, 1)).sum((2, 3))
        outputs, inputs = lost.shape  # of a group
        groups = next((a.i for a in conv.attribute if a.name == 'group'), 1)
        seen = means[conv.input[0]].reshape(groups, inputs).repeat(outputs // groups, axis=0)
        shift = (lost * seen).sum(1).astype(np.float32)
        if len(node.input) == 2:  # it had none
            bias = numpy_helper.from_array(shift, f'{node.name}.bias')
            quantised.graph.initializer.append(bias)
            node.input.append(bias.name)
        else:
            bias = rounded[node.input[2]]
            moved = numpy_helper.to_array(bias) + shift
            bias.CopyFrom(numpy_helper.from_array(moved, bias.name))


def channel_means(
    model: onnx.ModelProto, names: Sequence[str], images: Images
) -> list[NDArray[np.float64]]:
    """The mean of each channel of what is called so in a network, over pictures."""
    asked = onnx.ModelProto()
    asked.CopyFrom(model)
    del asked.graph.output[:]
    asked.graph.output.extend(
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in names
    )
    session = onnxruntime.InferenceSession(
        asked.SerializeToString(), providers=['CPUExecutionProvider']
    )
    sums = [np.zeros(1)] * len(names)
    for image in images:
        values = session.run(names, {'image': image[None]})
        sums = [
            old + value.mean((0, 2, 3), dtype=np.float64)
            for old, value in zip(sums, values, strict=True)
        ]
    return [total / len(images) for total in sums]


def choose(
    make: Callable[[LeftOut], object], agreement: Callable[[], Agreement]
) -> tuple[LeftOut, dict[LeftOut, Agreement]]:
    """Make one form after the other until one agrees; else the one that agrees best.

    Args:
        make: Writes the file with so much left out.
        agreement: Of the file that is there.
    """
    tried = {}
    for left_out in LEFT_OUT:
        make(left_out)
        tried[left_out] = agreement()
        if tried[left_out].margin() >= 0.0:
            return left_out, tried
    best = max(tried, key=lambda row: tried[row].margin())
    make(best)
    return best, tried


def says(engine: Path, precision: str, images: NDArray[np.uint8]) -> InferenceResult:
    """Labels and confidence of OpenVINO on this CPU."""
    backend = create_backend(
        'openvino', load_engine(engine), threads=1, precision=precision
    ).backend
    try:
        labels, sure = [], []
        for image in images:
            said = backend.infer(image[None], with_confidence=True)
            assert said.confidence is not None
            labels.append(said.labels[0].copy())
            sure.append(said.confidence[0].copy())
    finally:
        backend.close()
    return InferenceResult(np.stack(labels), np.stack(sure))


def agreement_of(said: InferenceResult, reference: InferenceResult) -> Agreement:
    assert reference.confidence is not None
    same = said.labels == reference.labels
    return Agreement(float(same[reference.confidence >= SURE].mean()), float(same.mean()))


def agreement_on_people(
    said: NDArray[np.uint8], reference: NDArray[np.uint8], classes: ClassTable
) -> float:
    """Share of the small people of either whom the other finds, the less; 1 where nobody is.

    Args:
        said: Labels [N,H,W].
        reference: The same, of fp32.
        classes: Say who is a pedestrian.
    """
    shares = []
    for truth, other in ((reference, said), (said, reference)):
        figures = label_figures(classes)
        for one, two in zip(truth, other, strict=True):
            figures.add(one, two)
        there = figures.there[SMALL]
        shares.append(figures.found[SMALL] / there if there else 1.0)
    return min(shares)


def plain_network(engine: Path, folder: Path) -> tuple[Path, list[onnx.NodeProto]]:
    """A copy of the network in fp32 for the quantiser, and its convolutions in order."""
    plain = folder / 'plain.onnx'
    model = onnx.load(engine / 'model.onnx')
    unpack_half(model)
    onnx.save(model, plain)
    return plain, [node for node in model.graph.node if node.op_type == 'Conv']


def unpack_half(model: onnx.ModelProto) -> None:
    """Undo export's fp16 storage: the quantiser looks for weights, not for casts of weights."""
    half = {t.name: t for t in model.graph.initializer if t.name.endswith('.half')}
    casts = [n for n in model.graph.node if n.op_type == 'Cast' and n.input[0] in half]
    for cast in casts:
        values = numpy_helper.to_array(half[cast.input[0]]).astype(np.float32)
        half[cast.input[0]].CopyFrom(numpy_helper.from_array(values, cast.output[0]))
        model.graph.node.remove(cast)


def calibration_images(
    config: dict[str, Any], size_wh: tuple[int, int], count: int
) -> list[NDArray[np.uint8]]:
    """Training pictures, of every source by its share, one at least."""
    rows = config['sources']
    whole = sum(row['share'] for row in rows)
    return [
        image
        for row in rows
        for image in pictures_of(row, size_wh, max(1, round(count * row['share'] / whole)))
    ]


def pictures_of(
    row: dict[str, Any], size_wh: tuple[int, int], count: int
) -> list[NDArray[np.uint8]]:
    """Evenly spread pictures of a set, at network size."""
    data = load(row)
    picks = np.linspace(0, len(data) - 1, min(count, len(data))).astype(int)
    return [cv2.resize(data.images[i], size_wh, interpolation=cv2.INTER_LINEAR) for i in picks]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('engine', type=Path)
    parser.add_argument(
        '--calibration',
        required=True,
        help='config whose sources calibrate, and validation chooses',
    )
    parser.add_argument('--images', type=int, default=64, help='that calibrate')
    parser.add_argument(
        '--chosen-on', type=int, default=64, help='pictures of each validation set'
    )
    parser.add_argument('--cpu-only', action='store_true', help='leave the file for TensorRT')
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    engine = arguments.engine
    graph = onnx.load(engine / 'model.onnx').graph
    height, width = (d.dim_value for d in graph.input[0].type.tensor_type.shape.dim[1:3])
    config = read_config(arguments.calibration)
    classes = classes_of(config)
    images = calibration_images(config, (width, height), arguments.images)
    if not arguments.cpu_only:
        target = quantize(engine, images)
        print(f'{target}: {target.stat().st_size / 1e6:.2f} MB, of {len(images)} pictures')
    rows = config['validation']
    rows = [rows] if isinstance(rows, dict) else rows
    pictures = np.stack(
        [i for row in rows for i in pictures_of(row, (width, height), arguments.chosen_on)]
    )
    seeded = seeded_pictures((width, height))
    reference, of_seeded = (says(engine, 'fp32', rows) for rows in (pictures, seeded))

    def agreement() -> Agreement:
        on_seeded = agreement_of(says(engine, 'int8', seeded), of_seeded).of_sure
        said = says(engine, 'int8', pictures)
        return agreement_of(said, reference)._replace(
            of_sure_seeded=on_seeded,
            of_people=agreement_on_people(said.labels, reference.labels, classes),
        )

    chosen, tried = choose(lambda left_out: quantize_for_cpu(engine, images, left_out), agreement)
    for left_out, share in tried.items():
        print(
            f'{left_out}: {share.of_sure:.2%} of the sure pixels, {share.of_all:.2%} of all; '
            f'{share.of_sure_seeded:.2%} of the sure ones of drawn pictures; '
            f'{share.of_people:.0%} of the people of 20 to 40 px',
            flush=True,
        )
    names = ', '.join(row['name'] for row in rows)
    print(f'{engine / "model.int8-cpu.onnx"}: {chosen}, chosen on {len(pictures)} of {names}')


if __name__ == '__main__':
    main()

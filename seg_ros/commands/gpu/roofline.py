# SPDX-License-Identifier: Apache-2.0
"""The least time that a network can take on a GPU: by its arithmetic, and by its memory.

Nominal figures: a real engine reaches a part of them, and how large a part says how good it is.
Small maps stay in the caches, so that the memory's figure can be beaten.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from seg_ros.inference.cuda.gpu import GpuClocks, GpuInfo
from seg_ros.inference.onnx.contract import IMAGE
from seg_ros.inference.onnx.wrapping import onnx

__all__ = ['Cost', 'Roofline', 'network_cost', 'roofline']

# Dense multiply-adds per multiprocessor and clock on tensor cores in fp16, from NVIDIA's
# architecture papers; int8 does twice as many. fp32 runs on the ordinary cores.
HALF_MULTIPLY_ADDS = {
    (7, 5): 512,
    (8, 0): 1024,
    (8, 6): 512,
    (8, 7): 1024,
    (8, 9): 512,
    (9, 0): 2048,
    (12, 0): 512,
}
FLOAT_MULTIPLY_ADDS = {(7, 5): 64, (8, 0): 64}
USUAL_FLOAT_MULTIPLY_ADDS = 128  # of all others since Ampere
DATA_RATE = 2  # transfers per clock
BYTES_OF = {'fp32': 4, 'fp16': 2, 'int8': 1}


class Cost(NamedTuple):
    """What one image costs.

    Attributes:
        multiply_adds: Of convolutions and matrix products.
        weights: How many numbers they hold.
        activations: How many numbers they read and write.
        pixels: Of the image.
        unknown: Layers whose size could not be inferred, and that are not counted.
    """

    multiply_adds: int
    weights: int
    activations: int
    pixels: int
    unknown: int


class Roofline(NamedTuple):
    """Least times for one image; None where the GPU is not known well enough."""

    arithmetic_ms: float | None
    memory_ms: float | None

    @property
    def least_ms(self) -> float | None:
        """The larger of both."""
        known = [row for row in self if row is not None]
        return max(known) if known else None


def network_cost(data: bytes) -> Cost:
    """Returns the cost of an ONNX model that keeps the contract."""
    package = onnx()
    model = package.load_from_string(data)
    graph = model.graph
    image = next(row for row in graph.input if row.name == IMAGE)
    image.type.tensor_type.shape.dim[0].dim_value = 1
    inferred = package.shape_inference.infer_shapes(model, data_prop=True).graph
    shapes = {row.name: _shape(row) for row in (*inferred.value_info, *inferred.output)}
    weights = {row.name: tuple(row.dims) for row in graph.initializer}
    made_by = {output: node for node in graph.node for output in node.output}
    shapes[IMAGE] = _shape(image)
    total = unknown = numbers = activations = 0
    for node in graph.node:
        if node.op_type not in ('Conv', 'ConvTranspose', 'Gemm', 'MatMul'):
            continue
        kernel = _kernel(node.input[1], weights, made_by)
        inner = node.input[0] if node.op_type == 'ConvTranspose' else node.output[0]
        sizes = [size for size in shapes.get(inner, ()) if size is not None]
        if not kernel or not sizes or len(sizes) != len(shapes[inner]):
            unknown += 1
            continue
        numbers += math.prod(kernel)
        ends = (node.input[0], node.output[0])
        activations += sum(math.prod(row or 0 for row in shapes.get(end, (0,))) for end in ends)
        # Each number of the kernel is used once per position; only channels are not positions.
        positions = math.prod(sizes[2:]) if len(sizes) == 4 else math.prod(sizes[:-1])
        total += math.prod(kernel) * positions
    _, height, width, _ = _shape(image)
    return Cost(total, numbers, activations, int((height or 0) * (width or 0)), unknown)


def roofline(cost: Cost, gpu: GpuInfo, clocks: GpuClocks, precision: str) -> Roofline:
    """Returns the least times of one image on a GPU."""
    if precision == 'fp32':
        per_clock: int | None = FLOAT_MULTIPLY_ADDS.get(gpu.capability, USUAL_FLOAT_MULTIPLY_ADDS)
    else:
        per_clock = HALF_MULTIPLY_ADDS.get(gpu.capability)
        if per_clock is not None and precision == 'int8':
            per_clock *= 2
    arithmetic_ms = memory_ms = None
    if per_clock and clocks.clock_khz:
        arithmetic_ms = cost.multiply_adds / (
            per_clock * clocks.multiprocessors * clocks.clock_khz
        )
    per_ms = clocks.memory_clock_khz * DATA_RATE * clocks.bus_bits / 8
    if per_ms and not gpu.is_integrated:  # whose driver tells a clock that is not the memory's
        # What each layer reads and writes, as if no cache kept it; the image, and what comes out
        numbers = cost.weights + cost.activations
        memory_ms = (numbers * BYTES_OF[precision] + cost.pixels * (3 + 2)) / per_ms
    return Roofline(arithmetic_ms, memory_ms)


def _shape(row: Any) -> tuple[int | None, ...]:
    return tuple(axis.dim_value or None for axis in row.type.tensor_type.shape.dim)


def _kernel(
    name: str, weights: dict[str, tuple[int, ...]], made_by: dict[str, Any]
) -> tuple[int, ...]:
    """Returns the shape of a kernel, also behind casts and quantisation."""
    while name not in weights and name in made_by and made_by[name].input:
        name = made_by[name].input[0]
    return weights.get(name, ())

# SPDX-License-Identifier: Apache-2.0
"""The deployment graph: the one contract that every engine's ONNX file keeps.

| tensor              | type, shape                  | meaning                                   |
|---------------------|------------------------------|-------------------------------------------|
| input `image`       | `uint8 [N, H, W, 3]`, RGB    | network size; normalisation is inside     |
| output `logits`     | `float [N, C, h, w]`         | class scores at the decoder's resolution  |
| output `label`      | `uint8 [N, H, W]`            | arg-max of the up-sampled logits          |
| output `confidence` | `uint8 [N, H, W]`            | the winner's probability, 0 to 255        |
"""

from __future__ import annotations

import os
from pathlib import Path

from seg_ros.core.errors import EngineError
from seg_ros.files import open_regular, read_bounded
from seg_ros.inference.onnx.model_file import (
    TensorInfo,
    cut_to_outputs,
    read_inputs_and_outputs,
    with_data_inside,
)

__all__ = ['CONFIDENCE', 'IMAGE', 'LABEL', 'LOGITS', 'check_contract', 'logits_only', 'read_model']

IMAGE = 'image'
LOGITS = 'logits'
LABEL = 'label'
CONFIDENCE = 'confidence'

FLOATS = ('float32', 'float16')
BYTES = ('uint8',)

LARGEST = 1 << 30  # bytes of a network with its weights; a protobuf message ends at 2 GiB


def check_contract(onnx_path: Path, class_count: int, network_size_wh: tuple[int, int]) -> None:
    """Checks that an ONNX file keeps the contract and fits its spec.

    Args:
        onnx_path: The file.
        class_count: Classes that the spec names.
        network_size_wh: Width and height that the spec names.

    Raises:
        EngineError: The file is missing or no whole ONNX model, or a tensor is not as it must be.
    """
    inputs, outputs = _read(onnx_path)
    width, height = network_size_wh
    if strangers := [row for row in inputs if row.name != IMAGE]:
        raise _broken(onnx_path, f"input '{strangers[0]}' came", f"one input, '{IMAGE}'")
    tensors = {row.name: row for row in (*inputs, *outputs)}

    image = _tensor(onnx_path, tensors, IMAGE, BYTES, f'uint8 [N, {height}, {width}, 3]', 4)
    assert image.shape is not None  # _tensor has counted its axes
    if image.shape[3] != 3 or None in image.shape[1:3]:
        raise _broken(
            onnx_path, f"input '{image}' came", f"'{IMAGE}: uint8 [N, {height}, {width}, 3]'"
        )
    if image.shape[0] not in (None, 1):
        raise _broken(onnx_path, f"input '{image}' came", 'a batch size that is 1 or open')
    if image.shape[1:3] != (height, width):
        raise EngineError(
            f'{onnx_path.parent}: spec.yaml says network_size [{width}, {height}] (width, '
            f'height), but the graph takes {image.shape[2]}x{image.shape[1]}. Correct spec.yaml, '
            'or export the network at that size.'
        )

    logits = _tensor(onnx_path, tensors, LOGITS, FLOATS, f'float32 [N, {class_count}, h, w]', 4)
    assert logits.shape is not None  # _tensor has counted its axes
    if logits.shape[1] != class_count:
        raise EngineError(
            f"{onnx_path.parent}: spec.yaml names {class_count} classes, but '{logits}' has "
            f'{logits.shape[1] or "an open number of"} channels. Name one class per channel, in '
            'the order of the channels.'
        )
    for name in (LABEL, CONFIDENCE):
        expected = f'uint8 [N, {height}, {width}]'
        tensor = _tensor(onnx_path, tensors, name, BYTES, expected, 3)
        assert tensor.shape is not None  # _tensor has counted its axes
        if tensor.shape[1] not in (None, height) or tensor.shape[2] not in (None, width):
            raise _broken(onnx_path, f"output '{tensor}' came", f"'{name}: {expected}'")


def logits_only(model: bytes, onnx_path: Path) -> bytes:
    """Returns the model cut to its logits: what a CPU backend loads.

    Args:
        model: An ONNX model.
        onnx_path: The file that it comes from, for messages.

    Raises:
        EngineError: It is no whole ONNX model.
    """
    try:
        return cut_to_outputs(model, [LOGITS])
    except ValueError as error:
        raise _not_whole(onnx_path, error) from error


def read_model(onnx_path: Path) -> bytes:
    """Returns the bytes of an ONNX model, with the weights that lie in files beside it inside.

    Raises:
        EngineError: It cannot be read, is no ONNX model, or wants a file from elsewhere.
    """
    try:
        data = read_bounded(onnx_path, LARGEST)
    except OSError as error:
        raise EngineError(
            f'Cannot read {onnx_path}: {error.strerror}. Copy the engine folder again, or make '
            'the engine: make engine'
        ) from error
    left = LARGEST - len(data)

    def beside(name: str, first: int, count: int | None) -> bytes:
        nonlocal left
        weights = _weights(onnx_path, name, first, left if count is None else min(count, left))
        left -= len(weights)
        if count is not None and len(weights) < count:
            raise ValueError(
                f'{count} bytes of weights from byte {first} of {name} are not there, or all in '
                f'all there are more than {LARGEST}'
            )
        return weights

    try:
        return with_data_inside(data, beside)
    except ValueError as error:
        raise _not_whole(onnx_path, error) from error


def _weights(onnx_path: Path, name: str, first: int, most: int) -> bytes:
    """Returns bytes of a file beside a model, and of nothing else."""
    folder = os.path.realpath(onnx_path.parent)
    path = os.path.realpath(onnx_path.parent / name)
    if os.path.commonpath([folder, path]) != folder:
        raise EngineError(
            f'{onnx_path} wants its weights from {name!r}, outside of its folder; they are read '
            f'from {folder} alone. Put the file there, or all into one file: '
            'onnx.save(onnx.load(MODEL), MODEL)'
        )
    try:
        with open_regular(Path(path)) as file:
            file.seek(first)
            return file.read(most)
    except OSError as error:
        raise EngineError(
            f'{onnx_path} has its weights in {path}, which cannot be read: {error.strerror}. Copy '
            'that file, too.'
        ) from error


def _read(onnx_path: Path) -> tuple[list[TensorInfo], list[TensorInfo]]:
    try:
        return read_inputs_and_outputs(read_model(onnx_path))
    except ValueError as error:
        raise _not_whole(onnx_path, error) from error


def _not_whole(onnx_path: Path, error: ValueError) -> EngineError:
    return EngineError(
        f'{onnx_path} ({onnx_path.stat().st_size} bytes) is not a whole ONNX model: {error}. It '
        'is truncated or something else; copy it again (git lfs pull?), or make it: make engine'
    )


def _tensor(
    onnx_path: Path,
    tensors: dict[str, TensorInfo],
    name: str,
    elements: tuple[str, ...],
    expected: str,
    axes: int,
) -> TensorInfo:
    """Returns the tensor of that name when its type and number of axes are right."""
    tensor = tensors.get(name)
    if tensor is None:
        came = ', '.join(f"'{row}'" for row in tensors.values())
        raise _broken(onnx_path, f"there is no '{name}' among {came}", f"'{name}: {expected}'")
    if tensor.element not in elements or tensor.shape is None or len(tensor.shape) != axes:
        raise _broken(onnx_path, f"'{tensor}' came", f"'{name}: {expected}'")
    return tensor


def _broken(onnx_path: Path, came: str, expected: str) -> EngineError:
    return EngineError(
        f'{onnx_path} does not keep the engine contract: {came}, expected is {expected}. A '
        'plain logits network becomes an engine with: '
        f'seg_ros wrap {onnx_path.name} --spec spec.yaml -o engines/NAME'
    )

# SPDX-License-Identifier: Apache-2.0
"""``seg_ros wrap``: makes an engine folder out of a third party's logits network.

    seg_ros wrap raw.onnx --classes cityscapes -o engines/NAME
    seg_ros wrap raw.onnx --spec spec.yaml -o engines/NAME --mean 0.485,0.456,0.406 \
        --std 0.229,0.224,0.225

``--classes`` takes the classes of a known set (``class_sets.py``) and, where nothing else is said,
ImageNet's normalisation. A spec names classes of its own; it may also hold the network size, the
normalisation and, for networks whose classes come out of several outputs, how they are merged:

    normalisation: {scale: 1/255, mean: [0.485, 0.456, 0.406], std: [...], channel_order: rgb}
    merge:                                        # score = output[channel] - output[minus] + bias
      - {class: background}
      - {class: drivable, output: drivable_head, channel: 1, minus: 0}
      - {class: lane, output: lane_head, channel: 1, minus: 0, bias: 2.0}

Before anything is written, both networks run on the same images and must agree.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml
from numpy.typing import NDArray

from seg_ros.commands.wrap.check import (
    compare,
    expected_logits,
    is_within_0_to_1,
    look_like_probabilities,
    normalised,
    run,
)
from seg_ros.commands.wrap.class_sets import CLASS_SETS, IMAGENET, class_set
from seg_ros.core.errors import ConfigurationError, EngineError
from seg_ros.inference.engine import ONNX_FILE, load_engine
from seg_ros.inference.onnx.contract import read_model
from seg_ros.inference.onnx.model_file import TensorInfo, read_inputs_and_outputs
from seg_ros.inference.onnx.raw_network import (
    MergeRow,
    Normalisation,
    RawNetwork,
    merge_rows_of,
    normalisation_of,
)
from seg_ros.inference.onnx.wrapping import build_contract, onnx
from seg_ros.inference.reference import check_images
from seg_ros.inference.spec import (
    SPEC_FILE,
    Spec,
    label_map_of,
    network_size_of,
    parse_network_size,
    read_spec,
)

__all__ = ['WrapOptions', 'add_arguments', 'main', 'wrap', 'wrap_spec']


class WrapOptions(NamedTuple):
    """What the command line says beyond the files; None and empty leave it to spec and network.

    Attributes:
        network_size_wh: For networks that take any size.
        normalisation: What the network wants its pixels to be.
        outputs: The outputs that hold scores, where there are others.
        are_probabilities: Whether a softmax (a sigmoid with one channel) is in the network.
    """

    network_size_wh: tuple[int, int] | None = None
    normalisation: Normalisation | None = None
    outputs: tuple[str, ...] = ()
    are_probabilities: bool = False


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command line."""
    parser.add_argument('raw', type=Path, metavar='RAW.onnx', help='network with float scores')
    classes = parser.add_mutually_exclusive_group(required=True)
    classes.add_argument(
        '--classes',
        choices=CLASS_SETS,
        help="what the network was trained on: that set's classes, and ImageNet's normalisation "
        'unless another is given',
    )
    classes.add_argument('--spec', type=Path, help='YAML with at least the classes')
    parser.add_argument(
        '-o', '--output', type=Path, required=True, help='engine folder to make, engines/NAME'
    )
    parser.add_argument('--network-size', metavar='WxH', help='for networks that take any size')
    parser.add_argument(
        '--scale',
        metavar='FACTOR',
        help='what a byte is multiplied with; 1/255 if only mean is given',
    )
    parser.add_argument(
        '--mean', metavar='R,G,B', help='subtracted after scaling; always red first'
    )
    parser.add_argument('--std', metavar='R,G,B', help='divided by after that; always red first')
    parser.add_argument('--bgr', action='store_true', help='the network takes blue first')
    parser.add_argument('--logits', nargs='+', default=(), metavar='NAME', help='which outputs')
    parser.add_argument(
        '--softmaxed', action='store_true', help='the outputs are probabilities already'
    )


def main(arguments: argparse.Namespace) -> int:
    """Makes the engine and says where it is."""
    options = WrapOptions(
        network_size_wh=parse_network_size(arguments.network_size)
        if arguments.network_size
        else None,
        normalisation=_normalisation_of_flags(arguments),
        outputs=tuple(arguments.logits),
        are_probabilities=arguments.softmaxed,
    )
    if arguments.spec is not None:
        print(wrap(arguments.raw, arguments.spec, arguments.output, options))
        return 0
    spec: Spec = {'classes': class_set(arguments.classes)}
    if options.normalisation is None:
        spec['normalisation'] = IMAGENET
        print(
            "Nothing says what the network wants its pixels to be: ImageNet's mean and deviation "
            'are taken. If it was trained otherwise give --scale, --mean, --std or --bgr.'
        )
    source = Path(f'--classes {arguments.classes}')  # what errors name
    print(wrap_spec(arguments.raw, spec, source, arguments.output, options))
    return 0


def wrap(raw_path: Path, spec_path: Path, output: Path, options: WrapOptions) -> str:
    """Makes an engine folder; returns a sentence about it.

    Args:
        raw_path: The network.
        spec_path: Its classes.
        output: The folder to make; it appears whole or not at all.
        options: What files do not say.

    Raises:
        ConfigurationError: Options that contradict each other or the spec.
        EngineError: A network that cannot be wrapped, or that disagrees with its wrapped self.
    """
    spec = read_spec(spec_path, required=('classes',))
    return wrap_spec(raw_path, spec, spec_path, output, options)


def wrap_spec(
    raw_path: Path, spec: Spec, spec_path: Path, output: Path, options: WrapOptions
) -> str:
    """Does what ``wrap`` does, with a spec that was read already.

    Args:
        raw_path: The network.
        spec: Has at least the classes.
        spec_path: What errors call it.
        output: The folder to make.
        options: What files do not say.

    Raises:
        ConfigurationError: Options that contradict each other or the spec.
        EngineError: A network that cannot be wrapped, or that disagrees with its wrapped self.
    """
    if output.exists():
        raise ConfigurationError(f'{output} is there already. Remove it, or take another name.')
    label_map = label_map_of(spec, spec_path)
    merge = merge_rows_of(spec['merge'], label_map, str(spec_path)) if 'merge' in spec else ()
    raw = read_model(raw_path)  # with its weights, wherever they lie beside it
    tensor, outputs = _raw_tensors(raw_path, raw, options, merge)
    size_wh = _network_size(tensor, spec, spec_path, options)
    normalisation = _normalisation(spec, spec_path, options)

    images = check_images(size_wh, 1 if _batch(tensor, raw_path) else 2)
    planes = normalised(images, normalisation)
    is_half = tensor.element == 'float16'
    scores = run(
        raw,
        raw_path.name,
        {tensor.name: planes.astype(np.float16) if is_half else planes},
        outputs,
    )
    _check_scores(raw_path, scores, options, merge)
    network = RawNetwork(
        model=onnx().load_from_string(raw),
        input_name=tensor.name,
        outputs={name: _shape_of(raw_path, name, array) for name, array in scores.items()},
        is_half=is_half,
        batch=_batch(tensor, raw_path),
        are_probabilities=options.are_probabilities,
    )
    expected = expected_logits(network, scores, merge)
    if expected.shape[1] != len(label_map.classes):
        raise EngineError(
            f'{spec_path} names {len(label_map.classes)} classes, but {raw_path.name} gives '
            f'{expected.shape[1]} channels. Name one class per channel, or merge channels.'
            f'{_other_set(expected.shape[1])}'
        )

    with _whole_or_not_at_all(output) as folder:
        (folder / ONNX_FILE).write_bytes(build_contract(network, size_wh, normalisation, merge))
        made = {
            'name': output.name,
            'description': f'{raw_path.name}, wrapped by seg_ros',
            **spec,
            'network_size': list(size_wh),
            'normalisation': _as_spec(normalisation),
        }
        text = yaml.safe_dump(made, sort_keys=False, allow_unicode=True)
        (folder / SPEC_FILE).write_text(text, encoding='utf-8')
        load_engine(folder)
        compare(folder / ONNX_FILE, images, expected, is_half)
    return (
        f'{output}: {len(label_map.classes)} classes at {size_wh[0]}x{size_wh[1]}; raw and '
        'wrapped network agree on seeded images.'
    )


def _other_set(channels: int) -> str:
    """Names the known set of so many classes, if there is one."""
    names = [name for name, words in CLASS_SETS.items() if len(words) == channels]
    return f' Is it --classes {names[0]}?' if names else ''


@contextmanager
def _whole_or_not_at_all(output: Path) -> Iterator[Path]:
    """Yields a folder to fill beside the output, which takes its place when all went well."""
    output.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f'.{output.name}.', dir=output.parent))
    try:
        yield folder
        folder.chmod(0o755)  # mkdtemp makes it for its owner alone
        folder.rename(output)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _raw_tensors(
    path: Path, raw: bytes, options: WrapOptions, merge: Sequence[MergeRow]
) -> tuple[TensorInfo, tuple[str, ...]]:
    """Returns the network's image input and the names of its outputs that hold scores."""
    try:
        inputs, outputs = read_inputs_and_outputs(raw)
    except ValueError as error:
        raise EngineError(
            f'{path} is not a whole ONNX model: {error}. Export it again.'
        ) from error
    if len(inputs) != 1:
        raise EngineError(
            f'{path.name} has the inputs {_listed(inputs)}; expected is one, float32 [N, 3, H, '
            'W]. Export the network with the image alone.'
        )
    (tensor,) = inputs
    is_planar = (
        tensor.shape is not None and len(tensor.shape) == 4 and tensor.shape[1] in (None, 3)
    )
    if tensor.element not in ('float32', 'float16') or not is_planar:
        raise EngineError(
            f"{path.name} has the input '{tensor}', expected is float32 [N, 3, H, W]. Export the "
            'network with float pixels, channels first, before any conversion of the image.'
        )
    names = [row.name for row in outputs]
    asked = options.outputs or tuple(dict.fromkeys(row.output for row in merge if row.output))
    if unknown := [name for name in asked if name not in names]:
        raise EngineError(
            f"{path.name} has no output '{unknown[0]}'. Its outputs are {_listed(outputs)}."
        )
    chosen = asked or tuple(names)
    if len(chosen) > 1 and not merge:
        raise EngineError(
            f'{path.name} has the outputs {_listed(outputs)}. Choose the one with the class '
            "scores with --logits NAME, or say in the spec's merge which class comes from which."
        )
    return tensor, chosen


def _batch(tensor: TensorInfo, path: Path) -> int | None:
    batch = tensor.shape[0] if tensor.shape else None
    if batch not in (None, 1):
        raise EngineError(
            f"{path.name} has the input '{tensor}', whose batch size is {batch}. Export it with a "
            'batch size of 1, or an open one.'
        )
    return batch


def _network_size(
    tensor: TensorInfo, spec: Spec, spec_path: Path, options: WrapOptions
) -> tuple[int, int]:
    """Returns width and height that spec, command line and network agree on."""
    _, _, height, width = tensor.shape or (None, None, None, None)
    said = {
        '--network-size': options.network_size_wh,
        str(spec_path): network_size_of(spec, spec_path) if 'network_size' in spec else None,
        'the network': (width, height) if width and height else None,
    }
    sizes = {who: size for who, size in said.items() if size is not None}
    if not sizes:
        raise ConfigurationError(
            f"The network takes any size ('{tensor}'). Choose one: --network-size 640x360"
        )
    if len(set(sizes.values())) > 1:
        words = ', '.join(f'{who} says {size[0]}x{size[1]}' for who, size in sizes.items())
        raise ConfigurationError(f'The network sizes differ: {words} (width x height). Keep one.')
    return next(iter(sizes.values()))


def _normalisation_of_flags(arguments: argparse.Namespace) -> Normalisation | None:
    row: dict[str, Any] = {}
    if arguments.scale is not None:
        row['scale'] = arguments.scale
    if arguments.mean is not None:
        row['mean'] = arguments.mean.split(',')
    if arguments.std is not None:
        row['std'] = arguments.std.split(',')
    if not row:
        if arguments.bgr:
            raise ConfigurationError(
                '--bgr is given without a normalisation. Add --scale 1/255, or --mean and --std.'
            )
        return None
    if arguments.bgr:
        row['channel_order'] = 'bgr'
    return normalisation_of(row, 'command line')


def _normalisation(spec: Spec, spec_path: Path, options: WrapOptions) -> Normalisation:
    row = spec.get('normalisation')
    if row is not None and options.normalisation is not None:
        raise ConfigurationError(
            f'The normalisation is given twice, by {spec_path} and on the command line. Keep one.'
        )
    if options.normalisation is not None:
        return options.normalisation
    if row is not None:
        return normalisation_of(row, str(spec_path))
    raise ConfigurationError(
        'Nothing says what the network wants its pixels to be. Say it as it was trained: --scale '
        '1/255, or --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225, and --bgr if it takes blue '
        'first.'
    )


def _as_spec(normalisation: Normalisation) -> dict[str, Any]:
    return {
        'scale': normalisation.scale,
        'mean': list(normalisation.mean_rgb),
        'std': list(normalisation.std_rgb),
        'channel_order': 'bgr' if normalisation.is_bgr else 'rgb',
    }


def _check_scores(
    path: Path, scores: Mapping[str, NDArray[Any]], options: WrapOptions, merge: Sequence[MergeRow]
) -> None:
    """Refuses scores that would mean something else than they seem to.

    Raises:
        ConfigurationError: Probabilities that are taken for logits, or the other way round.
        EngineError: One channel, of which arg-max makes one class for every pixel.
    """
    for name, array in scores.items():
        _shape_of(path, name, array)
    name, array = next(iter(scores.items()))
    if not merge and array.shape[1] == 1:
        raise EngineError(
            f"{path.name}: output '{name}' has one channel, so that every pixel would be the one "
            'class, and certain. One channel says yes or no: name both classes, and in the spec '
            f'merge: [{{class: NO}}, {{class: YES, output: {name}, channel: 0}}]'
        )
    found = {name: look_like_probabilities(row) for name, row in scores.items()}
    for name, are_probabilities in found.items():
        if is_within_0_to_1(scores[name]) and not are_probabilities:
            raise ConfigurationError(
                f"Output '{name}' of {path.name} is within 0 to 1, but does not sum to 1 over its "
                'channels: each has a sigmoid of its own, and a softmax over these would make '
                'every confidence wrong. Export the network before its sigmoid.'
            )
    if options.are_probabilities and not all(found.values()):
        raise ConfigurationError(
            f'--softmaxed is given, but the outputs of {path.name} are no probabilities: they '
            'are not within 0 to 1, or do not sum to 1 over the channels. Leave it out.'
        )
    if all(found.values()) and not options.are_probabilities:
        raise ConfigurationError(
            f'The outputs of {path.name} are probabilities: within 0 to 1, and in sum 1 over the '
            'channels. A softmax or sigmoid is in the network already, and a second one would '
            'make every confidence wrong. Add --softmaxed.'
        )
    if any(found.values()) and not options.are_probabilities:
        names = ', '.join(name for name, are_probabilities in found.items() if are_probabilities)
        raise ConfigurationError(
            f'Of the outputs of {path.name} only {names} has probabilities; the others are '
            'logits. Export all of them before the softmax or sigmoid, or all behind it.'
        )


def _shape_of(path: Path, name: str, array: NDArray[Any]) -> tuple[int, int, int]:
    if array.ndim != 4 or array.dtype not in (np.float32, np.float16):
        raise EngineError(
            f"{path.name}: output '{name}' is {array.dtype} {list(array.shape)}, expected are "
            'float scores [N, C, h, w]. Export the network before its arg-max.'
        )
    return array.shape[1], array.shape[2], array.shape[3]


def _listed(tensors: Sequence[TensorInfo]) -> str:
    return ', '.join(f"'{row}'" for row in tensors)

# SPDX-License-Identifier: Apache-2.0
"""A third party's network as it comes: what it wants its pixels to be, what its outputs mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seg_ros.core.errors import ConfigurationError, EngineError
from seg_ros.core.labels import LabelMap

__all__ = [
    'LEAST_PROBABILITY',
    'MergeRow',
    'Normalisation',
    'RawNetwork',
    'Shape',
    'merge_matrix',
    'merge_rows_of',
    'normalisation_of',
]

LEAST_PROBABILITY = 1e-7  # its logarithm, -16, stands for "impossible"
PER_BYTE = Fraction(1, 255)
LARGEST_UNIT_MEAN = 2  # a mean above it is one of bytes, not of numbers from 0 to 1

NORMALISATION_KEYS = ('scale', 'mean', 'std', 'channel_order')
MERGE_KEYS = ('class', 'output', 'channel', 'minus', 'bias')

Rgb = tuple[float, float, float]

Shape = tuple[int, int, int]
"""``(C, h, w)``."""


@dataclass(frozen=True)
class Normalisation:
    """What a network wants its pixels to be: ``(pixel * scale - mean) / std`` per channel.

    Attributes:
        scale: Usually 1/255.
        mean_rgb: In units of the scaled pixel; red, green, blue, whatever the channel order.
        std_rgb: The same.
        is_bgr: Whether the network takes blue first.
    """

    scale: float
    mean_rgb: Rgb = (0.0, 0.0, 0.0)
    std_rgb: Rgb = (1.0, 1.0, 1.0)
    is_bgr: bool = False

    def __post_init__(self) -> None:
        if not self.scale > 0 or not all(value > 0 for value in self.std_rgb):
            raise ConfigurationError(
                f'scale is {self.scale} and std {list(self.std_rgb)}; both must be above 0.'
            )

    def gain_and_offset(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Returns both as ``float32 (1, 3, 1, 1)`` in the network's channel order."""
        std = np.array(self.std_rgb, np.float64)
        gain, offset = self.scale / std, -np.array(self.mean_rgb, np.float64) / std
        if self.is_bgr:
            gain, offset = gain[::-1], offset[::-1]
        return (
            gain.astype(np.float32).reshape(1, 3, 1, 1),
            offset.astype(np.float32).reshape(1, 3, 1, 1),
        )


@dataclass(frozen=True)
class MergeRow:
    """Where the score of one class comes from: ``output[channel] - output[minus] + bias``.

    Attributes:
        output: Name of the network's output, or None for a score that is the bias alone.
        channel: Channel of that output.
        minus: Channel that is subtracted, or None. The difference of the two channels of a yes/no
            head is comparable between heads, a single channel is not.
        bias: Added; lifts a class over the others.
    """

    output: str | None = None
    channel: int = 0
    minus: int | None = None
    bias: float = 0.0


@dataclass(frozen=True)
class RawNetwork:
    """A raw network and how to read it.

    Attributes:
        model: The ``onnx.ModelProto``.
        input_name: Its float input ``[N, 3, H, W]``.
        outputs: Shape ``(C, h, w)`` of each output that is used, in order.
        is_half: Whether its input is float16.
        batch: 1, or None when the batch size is open.
        are_probabilities: Whether a softmax (a sigmoid with one channel) is in it already.

    Raises:
        EngineError: Outputs whose planes differ in size.
    """

    model: Any
    input_name: str
    outputs: Mapping[str, Shape]
    is_half: bool
    batch: int | None
    are_probabilities: bool = False

    def __post_init__(self) -> None:
        if len({shape[1:] for shape in self.outputs.values()}) != 1:
            sizes = ', '.join(f'{name} {w}x{h}' for name, (_, h, w) in self.outputs.items())
            raise EngineError(
                f'The outputs have planes of different sizes (width x height): {sizes}. Only '
                'outputs of one size can be merged; choose them, or export them at one size.'
            )

    @property
    def plane_hw(self) -> tuple[int, int]:
        """Height and width of the planes of every output."""
        return next(iter(self.outputs.values()))[1:]


def normalisation_of(row: Mapping[str, Any], source: str) -> Normalisation:
    """Returns the normalisation that a spec or a command line describes.

    Args:
        row: ``scale`` (1/255 where only the others are given), ``mean``, ``std`` (red first) and
            ``channel_order``; numbers may be text, such as '1/255'.
        source: Who says so, for the message.

    Raises:
        ConfigurationError: An unknown key, no number, or a mean that does not fit the scale.
    """
    try:
        if unknown := [key for key in row if key not in NORMALISATION_KEYS]:
            raise ValueError(f"there is no '{unknown[0]}'")
        order = row.get('channel_order', 'rgb')
        if order not in ('rgb', 'bgr'):
            raise ValueError(f"channel_order '{order}' is neither rgb nor bgr")
        mean = _rgb(row.get('mean', (0, 0, 0)))
        if 'scale' not in row and max(map(abs, mean)) > LARGEST_UNIT_MEAN:
            raise ValueError(
                'that mean looks like one of bytes, but without a scale pixels become 0 to 1 '
                'first; add scale 1'
            )
        return Normalisation(
            scale=float(Fraction(str(row.get('scale', PER_BYTE)))),
            mean_rgb=mean,
            std_rgb=_rgb(row.get('std', (1, 1, 1))),
            is_bgr=order == 'bgr',
        )
    except (TypeError, ValueError, ZeroDivisionError) as error:
        raise ConfigurationError(
            f'{source}: the normalisation is {dict(row)}: {error}. Expected is {{scale: 1/255, '
            'mean: [red, green, blue], std: [red, green, blue], channel_order: rgb or bgr}.'
        ) from error


def merge_rows_of(rows: Sequence[Any], label_map: LabelMap, source: str) -> tuple[MergeRow, ...]:
    """Returns one merge row per class in the order of the ids.

    Args:
        rows: ``{class, output, channel, minus, bias}`` each, all but ``class`` being optional.
        label_map: The classes.
        source: Who says so, for the message.

    Raises:
        ConfigurationError: A wrong row, or a class with no row or with two.
    """
    found: dict[int, MergeRow] = {}
    for row in rows:
        if not isinstance(row, dict) or 'class' not in row or not set(row) <= set(MERGE_KEYS):
            raise ConfigurationError(
                f'{source}: a row of merge is {row}; expected is {{class: lane, output: head, '
                'channel: 1, minus: 0, bias: 0.0}, all but class being optional.'
            )
        class_id = label_map.by_name(row['class']).id
        if class_id in found:
            raise ConfigurationError(
                f"{source}: merge has two rows for class '{row['class']}'. Keep one."
            )
        channels = [row.get('channel', 0), row.get('minus')]
        bias = row.get('bias', 0.0)
        if any(type(value) not in (int, type(None)) for value in channels) or not isinstance(
            bias, (int, float)
        ):
            raise ConfigurationError(
                f'{source}: a row of merge is {row}; channels are whole numbers, bias is a number.'
            )
        found[class_id] = MergeRow(row.get('output'), channels[0], channels[1], float(bias))
    if missing := [row.name for row in label_map.classes if row.id not in found]:
        raise ConfigurationError(
            f"{source}: merge has no row for class '{missing[0]}'. Add {{class: {missing[0]}}} "
            'with the output and channel of its score, or alone for a score of 0.'
        )
    return tuple(found[class_id] for class_id in sorted(found))


def merge_matrix(
    outputs: Mapping[str, Shape], merge: Sequence[MergeRow]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Returns ``(classes, channels)`` and ``(classes,)``: merging is a 1x1 convolution.

    Args:
        outputs: Shapes of the network's outputs, whose channels are put one after the other.
        merge: One row per class.

    Raises:
        ConfigurationError: A row that names an output or channel that is not there.
    """
    first: dict[str, int] = {}
    channels = 0
    for name, shape in outputs.items():
        first[name] = channels
        channels += shape[0]
    weights = np.zeros((len(merge), channels), np.float32)
    for class_id, row in enumerate(merge):
        if row.output is None:
            continue
        if row.output not in outputs:
            raise ConfigurationError(
                f"merge takes class {class_id} from the output '{row.output}'. The outputs are: "
                f'{", ".join(outputs)}.'
            )
        count = outputs[row.output][0]
        for channel, weight in ((row.channel, 1.0), (row.minus, -1.0)):
            if channel is None:
                continue
            if not 0 <= channel < count:
                raise ConfigurationError(
                    f"merge takes class {class_id} from channel {channel} of '{row.output}', "
                    f'which has the channels 0 to {count - 1}.'
                )
            weights[class_id, first[row.output] + channel] += weight
    return weights, np.array([row.bias for row in merge], np.float32)


def _rgb(values: Sequence[Any]) -> Rgb:
    if isinstance(values, str) or len(values) != 3:
        raise ValueError(f'{values} are not three numbers, red first')
    red, green, blue = (float(Fraction(str(value))) for value in values)
    return red, green, blue

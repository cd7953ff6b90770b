"""Every parameter of the node, once: type, default, unit, range, meaning.

The ROS declarations, ``config/segmentation.yaml`` and the table in the README follow from here.
A nested dataclass is a group: its fields are declared as ``group.field``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any, NamedTuple, TypeVar

from seg_ros.core.errors import ConfigurationError

__all__ = ['NodeConfig', 'Option', 'config_from_values', 'options_of', 'values_of']

CAMERA_NAME = re.compile(r'[A-Za-z][A-Za-z0-9_]*')  # what ROS allows as one part of a topic name

ParameterValue = bool | int | float | str | tuple[str, ...]

T = TypeVar('T')


class Option(NamedTuple):
    """What the field of a configuration says beside its default.

    Attributes:
        doc: One sentence for the descriptor, the YAML and the README.
        unit: Unit of the value, empty when it has none.
        low: Least allowed value, of numbers.
        high: Greatest allowed value, of numbers.
        choices: The allowed words; empty when any text is allowed.
        live: Whether a change takes effect at once. All others are read at configure.
    """

    doc: str
    unit: str = ''
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    live: bool = False


def option(default: T, doc: str, **more: Any) -> T:
    """Returns a dataclass field with its option attached."""
    made: T = field(default=default, metadata={'option': Option(doc, **more)})
    return made


@dataclass(frozen=True)
class NodeConfig:
    """The parameters of the segmentation node."""

    camera_names: tuple[str, ...] = option(
        ('camera',),
        'Names of the cameras. With one camera its topics are ~/label and so on, with several '
        '~/<camera>/label.',
    )
    image_topics: tuple[str, ...] = option(
        ('image',), 'Image topic of each camera, in the order of camera_names; may be remapped.'
    )
    image_transport: str = option(
        'auto',
        'Message type of the image topics: raw is sensor_msgs/Image, compressed is '
        'sensor_msgs/CompressedImage, auto takes the type that the publisher offers.',
        choices=('auto', 'raw', 'compressed'),
    )
    qos_reliability: str = option(
        'auto',
        'Reliability that the image subscription asks for; auto asks for reliable where every '
        'publisher offers it. A qos_overrides parameter of the topic wins.',
        choices=('auto', 'reliable', 'best_effort'),
    )
    engine: str = option('roadsynth', 'Name of an engine (a folder in engines/) or path of one.')
    engines_path: str = option(
        '', 'Folder that is searched for engines first; empty searches the usual ones only.'
    )
    backend: str = option(
        'auto',
        'What runs the network; auto takes the first that this machine can use and says why.',
        choices=('auto', 'onnxruntime', 'openvino', 'canned'),
    )
    precision: str = option(
        'auto',
        'Arithmetic of the network; auto lets the backend take what is fast and safe here.',
        choices=('auto', 'fp32', 'bf16'),
    )
    inference_threads: int = option(
        0, 'Threads of CPU inference; 0 takes one per free core.', low=0, high=256
    )
    min_confidence: float = option(
        0.0,
        'Pixels whose label is less certain than this are published as unlabelled; 0 keeps all.',
        low=0.0,
        high=1.0,
        live=True,
    )
    overlay_alpha: float = option(
        0.5, 'Opacity of the label colours in the overlay.', low=0.0, high=1.0, live=True
    )
    jpeg_quality: int = option(
        80, 'JPEG quality of overlay/compressed.', low=1, high=100, live=True
    )
    stale_timeout_s: float = option(
        0.5,
        'Age by header stamp above which the newest result counts as stale in the diagnostics.',
        unit='s',
        low=0.01,
        high=60.0,
        live=True,
    )
    silence_warn_s: float = option(
        2.0,
        'Silence of a camera whose publisher exists after which the likely cause is logged.',
        unit='s',
        low=0.1,
        high=3600.0,
        live=True,
    )
    diagnostics_period_s: float = option(
        1.0, 'Time between two messages on /diagnostics.', unit='s', low=0.1, high=60.0
    )
    autostart: bool = option(
        True, 'Configure and activate at start; false leaves it to a lifecycle manager.'
    )

    def __post_init__(self) -> None:
        """Checks what concerns several fields.

        Raises:
            ConfigurationError: With what was asked and what would be right.
        """
        if not self.camera_names:
            raise ConfigurationError('camera_names is empty. Name at least one camera.')
        if wrong := [name for name in self.camera_names if not CAMERA_NAME.fullmatch(name)]:
            raise ConfigurationError(
                f'camera_names has {wrong[0]!r}, which cannot be part of a topic name. Use '
                'letters, digits and underscores, a letter first.'
            )
        if len(set(self.camera_names)) != len(self.camera_names):
            raise ConfigurationError(
                f'camera_names has a name twice: {list(self.camera_names)}. Name each camera once.'
            )
        if len(self.image_topics) != len(self.camera_names):
            raise ConfigurationError(
                f'image_topics has {len(self.image_topics)} topics for '
                f'{len(self.camera_names)} camera_names. Give one topic per camera.'
            )
        if '' in self.image_topics:
            raise ConfigurationError(
                'image_topics has an empty topic. Give each camera the topic of its images.'
            )


def options_of(
    config: type[Any], prefix: str = ''
) -> Iterator[tuple[str, ParameterValue, Option]]:
    """Yields name, default and option of every parameter of a configuration class."""
    for row in fields(config):
        if is_dataclass(row.default):
            yield from options_of(type(row.default), f'{prefix}{row.name}.')
        else:
            default: Any = row.default
            yield f'{prefix}{row.name}', default, row.metadata['option']


def values_of(config: object, prefix: str = '') -> dict[str, ParameterValue]:
    """Returns the values of a configuration under the names of ``options_of``."""
    values: dict[str, ParameterValue] = {}
    for row in fields(config):  # type: ignore[arg-type]
        value = getattr(config, row.name)
        if is_dataclass(value):
            values.update(values_of(value, f'{prefix}{row.name}.'))
        else:
            values[f'{prefix}{row.name}'] = value
    return values


def config_from_values(default: T, values: Mapping[str, ParameterValue]) -> T:
    """Returns a copy of a configuration with the named values in it.

    Raises:
        ConfigurationError: A word that is not among the choices, a number out of its range, or
            values that do not fit each other.
    """
    changes: dict[str, Any] = {}
    for row in fields(default):  # type: ignore[arg-type]
        current = getattr(default, row.name)
        if is_dataclass(current):
            prefix = f'{row.name}.'
            inner = {k[len(prefix) :]: v for k, v in values.items() if k.startswith(prefix)}
            if inner:
                changes[row.name] = config_from_values(current, inner)
        elif row.name in values:
            changes[row.name] = check_value(row.name, values[row.name], row.metadata['option'])
    return replace(default, **changes)  # type: ignore[type-var]


def check_value(name: str, value: ParameterValue, rule: Option) -> ParameterValue:
    """Returns the value when it is within its option's range and choices, else raises."""
    if rule.choices and value not in rule.choices:
        raise ConfigurationError(f'{name} is {value!r}. Choose one of {", ".join(rule.choices)}.')
    too_low = rule.low is not None and isinstance(value, (int, float)) and value < rule.low
    too_high = rule.high is not None and isinstance(value, (int, float)) and value > rule.high
    if too_low or too_high:
        raise ConfigurationError(
            f'{name} is {value}. It must be from {rule.low} to {rule.high} {rule.unit}'.rstrip()
            + '.'
        )
    return value

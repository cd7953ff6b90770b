# SPDX-License-Identifier: Apache-2.0
"""What a parameter is: a dataclass field with its meaning, unit, range and choices.

A nested dataclass is a group: its fields are named ``group.field``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import field, fields, is_dataclass, replace
from typing import Any, NamedTuple, TypeVar

from seg_ros.core.errors import ConfigurationError

__all__ = [
    'Option',
    'ParameterValue',
    'config_from_values',
    'option',
    'options_of',
    'values_of',
]

ParameterValue = bool | int | float | str | tuple[str, ...] | tuple[float, ...]

T = TypeVar('T')


class Option(NamedTuple):
    """What the field of a configuration says beside its default.

    Attributes:
        doc: One sentence for the descriptor, the YAML and the manual.
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

    @property
    def takes_bool(self) -> bool:
        """Whether true and false are two of the words; YAML reads them as no words."""
        return 'true' in self.choices


def option(default: T, doc: str, **more: Any) -> T:
    """Returns a dataclass field with its option attached."""
    made: T = field(default=default, metadata={'option': Option(doc, **more)})
    return made


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


def config_from_values(default: T, values: Mapping[str, ParameterValue], prefix: str = '') -> T:
    """Returns a copy of a configuration with the named values in it.

    Args:
        default: Has the values that are not named.
        values: New values by name, below the prefix.
        prefix: Of the group, for messages.

    Raises:
        ConfigurationError: A word that is not among the choices, a number out of its range, or
            values that do not fit each other.
    """
    changes: dict[str, Any] = {}
    for row in fields(default):  # type: ignore[arg-type]
        current = getattr(default, row.name)
        if is_dataclass(current):
            group = f'{row.name}.'
            inner = {k[len(group) :]: v for k, v in values.items() if k.startswith(group)}
            if inner:
                changes[row.name] = config_from_values(current, inner, f'{prefix}{group}')
        elif row.name in values:
            changes[row.name] = check_value(
                prefix + row.name, values[row.name], row.metadata['option']
            )
    return replace(default, **changes)  # type: ignore[type-var]


def check_value(name: str, value: ParameterValue, rule: Option) -> ParameterValue:
    """Returns the value when it is within its option's range and choices, else raises."""
    if isinstance(value, bool) and rule.takes_bool:
        value = 'true' if value else 'false'
    if rule.choices and value not in rule.choices:
        raise ConfigurationError(f'{name} is {value!r}. Choose one of {", ".join(rule.choices)}.')
    # The other way round a NaN would be neither too low nor too high
    too_low = rule.low is not None and isinstance(value, (int, float)) and not value >= rule.low
    too_high = rule.high is not None and isinstance(value, (int, float)) and not value <= rule.high
    if too_low or too_high:
        raise ConfigurationError(
            f'{name} is {value}. It must be from {rule.low} to {rule.high} {rule.unit}'.rstrip()
            + '.'
        )
    numbers = value if isinstance(value, tuple) else (value,)
    if not all(math.isfinite(item) for item in numbers if isinstance(item, float)):
        listed = list(value) if isinstance(value, tuple) else value
        raise ConfigurationError(f'{name} is {listed}. Every number of it must be finite.')
    return value

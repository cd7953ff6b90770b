# SPDX-License-Identifier: Apache-2.0
"""Drawings: what was drawn with the mouse, as parameters of the node and as a params file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from seg_ros.core.errors import ConfigurationError
from seg_ros.core.parameters.node_config import NodeConfig
from seg_ros.core.parameters.option import ParameterValue, config_from_values, values_of

__all__ = ['Drawing', 'drawings_from_json', 'parameters_of', 'params_file']

WATCHED = ('names', 'classes', 'polygons', 'min_share', 'max_share', 'confirm_s', 'hold_s',
           'speed_percent')  # fmt: skip
DIGITS = {'image': 4, 'ground': 2}  # a tenth of a pixel of a picture of 1000; a centimetre

HEAD = """\
# SPDX-License-Identifier: Apache-2.0
# Drawn with seg_ros view. Pass it after the other parameters:
#
#   seg_ros run --ros-args --params-file segmentation.yaml --params-file {name}
#
# They are read at configure: start the node again, or clean it up and configure it.
"""


@dataclass(frozen=True)
class Drawing:
    """A polygon that somebody drew.

    Attributes:
        kind: ``ego_mask``, ``stop_zone`` or ``watched_zone``.
        frame: ``image``: corners are shares of width and height; ``ground``: metres, base frame.
        corners: x and y (u and v) of each.
        name: Of a watched zone.
        classes: What it counts, with blanks between.
    """

    kind: str
    frame: str
    corners: tuple[tuple[float, float], ...]
    name: str = ''
    classes: str = 'pedestrian'

    def numbers(self) -> tuple[float, ...]:
        """Returns the corners one after the other, with as many digits as mean something."""
        return tuple(round(value, DIGITS[self.frame]) for row in self.corners for value in row)


def drawings_from_json(rows: Any) -> list[Drawing]:
    """Returns what a page sent.

    Raises:
        ConfigurationError: It is nothing that can be drawn.
    """
    try:
        drawings = [
            Drawing(
                str(row['kind']),
                str(row['frame']),
                tuple((float(x), float(y)) for x, y in row['corners']),
                str(row.get('name', '')),
                str(row.get('classes', 'pedestrian')),
            )
            for row in rows
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigurationError(
            f'These are no drawings ({error!r}). Load the page anew.'
        ) from error
    if not drawings:
        raise ConfigurationError('Nothing is drawn yet. Click the corners into the picture.')
    for row in drawings:
        if row.frame not in DIGITS or (row.kind == 'ego_mask' and row.frame != 'image'):
            raise ConfigurationError(f'A {row.kind} cannot be drawn on the {row.frame}.')
        if len(row.corners) < 3:
            raise ConfigurationError(
                f'{row.name or row.kind.replace("_", " ")} has {len(row.corners)} corners. Three '
                'or more make a polygon.'
            )
    return drawings


def parameters_of(drawings: Sequence[Drawing], config: NodeConfig) -> dict[str, ParameterValue]:
    """Returns the parameters that drawings change, checked as the node checks them.

    Watched zones are added to those that there are; one of the same name takes its place.

    Raises:
        ConfigurationError: The node would refuse them, with the reason.
    """
    values: dict[str, ParameterValue] = {}
    zones: dict[str, dict[str, Any]] = {
        zone.name: {
            'classes': ' '.join(zone.classes),
            'polygons': _polygon(zone.frame, [value for row in zone.corners for value in row]),
            **{name: getattr(zone, name) for name in WATCHED[3:]},
        }
        for zone in config.zones.zones()
    }
    defaults = {name: getattr(type(config.zones), name)[0] for name in WATCHED[3:]}
    for row in drawings:
        match row.kind, row.frame:
            case 'ego_mask', _:
                values['stop.ego_mask'] = row.numbers()
            case 'stop_zone', 'image':
                values |= {'stop.zone': 'image', 'stop.image_polygon': row.numbers()}
            case 'stop_zone', _:
                values |= {'stop.zone': 'polygon', 'stop.polygon_m': row.numbers()}
            case 'watched_zone', _:
                if not row.name:
                    raise ConfigurationError('A watched zone needs a name: its topics have it.')
                changed = {
                    'classes': row.classes,
                    'polygons': _polygon(row.frame, row.numbers()),
                    'max_share': 0.0,  # an alarm as soon as any of it is covered
                }
                zones[row.name] = defaults | zones.get(row.name, {}) | changed
            case _:
                raise ConfigurationError(f'{row.kind} is nothing that can be drawn.')
    if any(row.kind == 'watched_zone' for row in drawings):
        values['zones.names'] = tuple(zones)
        for name in WATCHED[1:]:
            values[f'zones.{name}'] = tuple(zone[name] for zone in zones.values())
    config_from_values(config, values)
    return values


def params_file(values: Mapping[str, ParameterValue], name: str) -> str:
    """Returns the text of a params file with these values, for any node.

    Args:
        values: By the names of parameters.
        name: Of the file.
    """
    rows = {
        key: list(value) if isinstance(value, tuple) else value for key, value in values.items()
    }
    body = yaml.safe_dump(
        {'/**': {'ros__parameters': rows}}, sort_keys=False, default_flow_style=None, width=10_000
    )
    return HEAD.format(name=name) + body


def live_parameters(config: NodeConfig, rows: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Returns what may change at any time, with what people must know of it.

    Args:
        config: As it is now.
        rows: The options by name.
    """
    values = values_of(config)
    return [
        {
            'name': name,
            'value': values[name],
            'doc': rule.doc,
            'unit': rule.unit,
            'low': rule.low,
            'high': rule.high,
            'choices': list(rule.choices),
        }
        for name, rule in rows.items()
        if rule.live
    ]


def _polygon(frame: str, numbers: Sequence[float]) -> str:
    return ' '.join([frame, *(f'{value:g}' for value in numbers)])

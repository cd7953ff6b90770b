# SPDX-License-Identifier: Apache-2.0
"""Reads ``spec.yaml``: what an engine's numbers mean, and where it comes from.

``name``, ``network_size: [width, height]`` and ``classes`` (rows of ``{id, name, colour, roles}``)
must be there; ``KEYS`` lists the rest. ``normalisation`` and ``merge`` say how a network was
wrapped (``seg_ros.inference.onnx.wrapping``). ``domain`` says which pictures are like those that
the network was found to work on (``seg_ros.core.stop.domain``).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from seg_ros.core.errors import ConfigurationError, EngineError
from seg_ros.core.labels import LabelClass, LabelMap
from seg_ros.core.stop.domain import Domain
from seg_ros.files import load_yaml, read_text

__all__ = [
    'SPEC_FILE',
    'Spec',
    'domain_of',
    'label_map_of',
    'network_size_of',
    'origin_of',
    'parse_network_size',
    'read_spec',
]

SPEC_FILE = 'spec.yaml'

Spec = dict[str, Any]

# Every key of a spec, with the type of its value and the words for it
KEYS: dict[str, tuple[type, str]] = {
    'name': (str, 'a word (in quotes if YAML takes it for something else)'),
    'description': (str, 'a text'),
    'network_size': (list, '[width, height]'),
    'classes': (list, 'a list of classes'),
    'unlabelled': (int, 'a pixel value, usually 255'),
    'training': (dict, 'a mapping'),
    'metrics': (dict, 'a mapping'),
    'licence': (str, 'a text'),
    'training_data': (str, 'a text that names every set, that of the pretraining, too'),
    'normalisation': (dict, 'a mapping'),
    'merge': (list, 'a list of rows'),
    'domain': (dict, 'a mapping, as seg_ros calibrate-engine writes it'),
}
CLASS_KEYS = {'id', 'name', 'colour', 'roles'}
REQUIRED_CLASS_KEYS = {'id', 'name', 'colour'}


def read_spec(path: Path, required: Sequence[str]) -> Spec:
    """Returns the mapping in a spec file, its keys known and of the right type.

    Raises:
        EngineError: The file cannot be read, is not YAML, or has a wrong, unknown or missing key.
    """
    try:
        spec = load_yaml(read_text(path))
    except OSError as error:
        raise EngineError(
            f'Cannot read {path}: {error.strerror}. An engine is a folder that holds {SPEC_FILE} '
            'and model.onnx.'
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise EngineError(f'{path} is not YAML; correct it there: {error}') from error
    if not isinstance(spec, dict):
        raise EngineError(
            f'{path} holds {type(spec).__name__}; expected is a mapping with {", ".join(KEYS)}.'
        )
    for key, value in spec.items():
        if key not in KEYS:
            raise EngineError(
                f"{path}: '{key}' is no key of a spec. The keys are {', '.join(KEYS)}."
            )
        expected, words = KEYS[key]
        if not isinstance(value, expected):
            raise EngineError(f'{path}: {key} is {value!r}; expected is {words}.')
    if missing := [key for key in required if key not in spec]:
        raise EngineError(f'{path}: {missing[0]} is missing; add {KEYS[missing[0]][1]}.')
    return spec


def label_map_of(spec: Spec, path: Path) -> LabelMap:
    """Returns the classes of a spec.

    Raises:
        EngineError: A wrong class, or ids that are not the channels 0, 1, 2, … of the network.
    """
    try:
        label_map = LabelMap(
            tuple(_label_class(row) for row in spec['classes']), spec.get('unlabelled', 255)
        )
    except ConfigurationError as error:
        raise EngineError(f'{path}: {error}') from error
    ids = sorted(row.id for row in label_map.classes)
    if ids != list(range(len(ids))):
        raise EngineError(
            f'{path}: the class ids are {ids}; expected is each of 0 to {len(ids) - 1}, because '
            'an id is a channel of the logits. Name every channel, also one that means nothing.'
        )
    return label_map


def network_size_of(spec: Spec, path: Path) -> tuple[int, int]:
    """Returns width and height of the images that the network takes.

    Raises:
        EngineError: It is not two whole numbers above zero.
    """
    size = spec['network_size']
    if len(size) != 2 or not all(type(value) is int and value > 0 for value in size):
        raise EngineError(
            f'{path}: network_size is {size}; expected is [width, height] in pixels, such as '
            '[640, 360].'
        )
    return size[0], size[1]


def domain_of(spec: Spec, path: Path) -> Domain | None:
    """Returns which pictures the engine knows, None where nobody has measured it.

    Raises:
        EngineError: It cannot be read, or is of another version.
    """
    try:
        return Domain.of_spec(spec['domain']) if 'domain' in spec else None
    except ConfigurationError as error:
        raise EngineError(f'{path}: {error}') from error


def origin_of(spec: Spec) -> str:
    """Returns under which licence an engine is and what it has seen, for people."""
    training = spec.get('training', {})
    seen = spec.get('training_data', '')
    if not seen and training.get('data'):
        data = training['data']
        seen = ', '.join(map(str, data)) if isinstance(data, list) else str(data)
        if training.get('pretraining', 'none') != 'none':
            seen += f'; pretraining: {training["pretraining"]}'
    unknown = 'unknown, its spec.yaml names none'
    return f'licence: {spec.get("licence") or unknown}; training data: {seen or unknown}'


def parse_network_size(text: str) -> tuple[int, int]:
    """Returns width and height that a text such as '640x360' names.

    Raises:
        ConfigurationError: It names none.
    """
    width, _, height = text.lower().partition('x')
    if not (width.isdecimal() and height.isdecimal()) or not int(width) * int(height):
        raise ConfigurationError(
            f"The network size is '{text}'. Give width and height in pixels, such as 640x360."
        )
    return int(width), int(height)


def _label_class(row: object) -> LabelClass:
    if not isinstance(row, dict) or not REQUIRED_CLASS_KEYS <= set(row) <= CLASS_KEYS:
        raise ConfigurationError(
            f'a class is {row!r}; expected is {{id: 0, name: road, colour: [128, 64, 128], roles: '
            '[drivable]}, roles being optional.'
        )
    colour, roles = row['colour'], row.get('roles', [])
    if not isinstance(colour, list) or not isinstance(roles, list):
        raise ConfigurationError(
            f"Class '{row['name']}' has colour {colour!r} and roles {roles!r}; both are lists: "
            'colour: [128, 64, 128], roles: [drivable].'
        )
    return LabelClass(row['id'], row['name'], tuple(colour), tuple(roles))

# SPDX-License-Identifier: Apache-2.0
"""Parameters as ROS is given them: sections of files, ``name:=value``, and whose each of them is.

The node, the gate, ``replay``, ``demo`` and ``evaluate`` read them here, so that a file has one
meaning. Its sections match as rclcpp's and rclpy's since Jazzy do (Humble's rclpy knows only
``/**`` and the full name), its words are typed as rcl's parser types them, which is not as YAML
does: ``1e3`` and ``.nan`` are numbers, ``~`` is text, ``on`` is true.
"""

from __future__ import annotations

import difflib
import math
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import yaml

from seg_ros.core.errors import ConfigurationError
from seg_ros.core.parameters.node_config import NodeConfig
from seg_ros.core.parameters.option import Option, ParameterValue, config_from_values, options_of
from seg_ros.core.parameters.renamed import RENAMED, with_new_names
from seg_ros.files import read_bounded

__all__ = [
    'NODE',
    'Given',
    'GivenValue',
    'config_of_given',
    'did_you_mean',
    'given_parameters',
    'typed_word',
    'values_of_mapping',
]

NODE = '/segmentation'  # by its full name, unless it is remapped
KEY = 'ros__parameters'
NODE_KEY = re.compile(r'(/(\*\*?|[A-Za-z_][A-Za-z0-9_]*))+')  # what rcl takes as one
OWN_OF_ROS = ('use_sim_time', 'start_type_description_service')  # every node has them
OWN_GROUPS_OF_ROS = ('qos_overrides.',)
LISTED = 5  # names in one sentence

TRUE = {'Y', 'y', 'yes', 'Yes', 'YES', 'true', 'True', 'TRUE', 'on', 'On', 'ON'}
FALSE = {'N', 'n', 'no', 'No', 'NO', 'false', 'False', 'FALSE', 'off', 'Off', 'OFF'}
WHOLE = re.compile(r'([+-]?)(0[xX][0-9a-fA-F]+|[0-9]+)')  # what strtol takes, with base 0
OCTAL = re.compile(r'0[0-7]*')
DECIMAL = re.compile(r'[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?')
HEXADECIMAL = re.compile(r'[+-]?0[xX]([0-9a-fA-F]+\.?[0-9a-fA-F]*|\.[0-9a-fA-F]+)([pP][+-]?\d+)?')
NO_NUMBER = re.compile(r'[+-]?(inf|infinity|nan)', re.IGNORECASE)
DOTTED = re.compile(r'\.(nan|NaN|NAN)|[+-]?\.(inf|Inf|INF)')

KINDS: dict[type, tuple[str, str]] = {  # one of it, several
    bool: ('true or false', 'true or false'),
    int: ('a whole number', 'whole numbers'),
    float: ('a number with a point', 'numbers with a point'),
    str: ('a text', 'texts'),
}

GivenWord = bool | int | float | str
GivenValue = GivenWord | tuple[GivenWord, ...]
ConfigT = TypeVar('ConfigT')


class Given(NamedTuple):
    """What a node is given.

    Attributes:
        values: By name, under old names too, with what every node of ROS has.
        warnings: What is not used, a sentence each.
    """

    values: Mapping[str, GivenValue]
    warnings: Sequence[str]


class Section(NamedTuple):
    """The parameters below one ``ros__parameters``.

    Attributes:
        key: As it is written; for rcl ``node`` and ``/node`` are two sections.
        values: By name.
    """

    key: str
    values: dict[str, GivenValue]

    @property
    def node(self) -> str:
        """The node that it is for, perhaps with ``*`` and ``**``; a slash first."""
        return self.key if self.key.startswith('/') else f'/{self.key}'

    def is_for(self, node: str) -> bool:
        """Whether the key matches a node's full name."""
        # As in rclcpp's parameter_map.cpp: /** is any number of names, /* is one
        pattern = re.escape(self.node).replace(r'/\*\*', r'(/\w+)*').replace(r'/\*', r'/\w+')
        return re.fullmatch(pattern, node) is not None

    @property
    def names_one_node(self) -> bool:
        """Whether whoever wrote it thought of this node; else it may hold others' parameters."""
        return '*' not in self.node.rpartition('/')[2]


def given_parameters(
    files: Iterable[Path],
    assignments: Iterable[str] = (),
    node: str = NODE,
    config: type[Any] = NodeConfig,
) -> Given:
    """Returns what a node is given by files and ``name:=value``.

    Args:
        files: In their order. What comes later wins, within a file, too; as with rcl, a section
            whose key has come before adds to that one, in its place.
        assignments: Like ``stop.hold_s:=1.5`` or ``segmentation:stop.hold_s:=1.5``; they win,
            wherever they stand (with rcl they are one more section of ``/**``). One word is a list
            of one, where there is to be a list: ``mount.z:=1.25``.
        node: Its full name.
        config: Has its parameters.

    Raises:
        ConfigurationError: A file that cannot be read or has nothing for the node, or a name that
            does not exist where this node is meant.
    """
    defaults = {name: default for name, default, _ in options_of(config)}
    names = defaults.keys()
    merged: dict[str, dict[str, GivenValue]] = {}
    warnings: list[str] = []
    for file in files:
        sections = _sections(file)
        ours = [section for section in sections if section.is_for(node)]
        if not ours:
            raise ConfigurationError(_nothing_for(node, file, sections))
        if strange := next(
            (row.key for row in sections if not NODE_KEY.fullmatch(row.node)), None
        ):
            raise ConfigurationError(
                f'{file} has the section {strange}, which ROS takes for no node: names are of '
                'letters, digits and _, no digit first; * and ** stand for whole names.'
            )
        for section in ours:
            if unknown := [name for name in section.values if not _exists(name, names)]:
                said = f'{file}, {section.node}: {_no_such(unknown, names)}'
                if section.names_one_node:
                    raise ConfigurationError(f'{said} {_where_all_are(config)}')
                warnings.append(f'{said} This node does not use what another may mean.')
            merged.setdefault(section.key, {}).update(section.values)
    values: dict[str, GivenValue] = {}
    for section_values in merged.values():
        values.update(section_values)
    for text in assignments:
        name, value = _assigned(text, node)
        if not _exists(name, names):
            raise ConfigurationError(f'{_no_such([name], names)} {_where_all_are(config)}')
        values[name] = _as_list(value, defaults.get(RENAMED.get(name, name)))
    return Given(values, warnings)


def config_of_given(
    given: Given, default: ConfigT, warn: Callable[[str], object] = lambda _: None
) -> ConfigT:
    """Returns the configuration that a node has with what it is given.

    Args:
        given: Of ``given_parameters``.
        default: Has all that is not given.
        warn: Is told of old names.

    Raises:
        ConfigurationError: A value of the wrong type, out of its range, or that does not fit
            another one.
    """
    rules = {name: (value, rule) for name, value, rule in options_of(type(default))}
    checked = {
        name: _checked(name, value, *rules[name])
        for name, value in with_new_names(given.values, warn).items()
        if name in rules
    }
    return config_from_values(default, checked)


def values_of_mapping(text: str, what: str) -> dict[str, GivenValue]:
    """Returns the parameters of a mapping like ``{stop.hold_s: 2.0}``; nothing has none.

    Args:
        text: YAML.
        what: It is the value of, for messages.

    Raises:
        ConfigurationError: It is no such mapping.
    """
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError) as error:
        msg = f'{what}:={text}: this is no YAML: {_on_one_line(error)}.'
        raise ConfigurationError(msg) from error
    if node is None:
        return {}
    if not isinstance(node, yaml.MappingNode):
        raise ConfigurationError(f"{what}:={text}: write it like {what}:='{{stop.hold_s: 2.0}}'.")
    return dict(_YamlReader(f'{what}:={text}').values(node, ''))


def did_you_mean(word: str, words: Iterable[str]) -> str:
    """Returns ``(did you mean …?)`` with the likeliest of the words; empty where none is like."""
    close = difflib.get_close_matches(word, list(words), 1)
    return f' (did you mean {close[0]}?)' if close else ''


def typed_word(text: str) -> GivenWord:
    """Returns a plain word as rcl's parser types it: true, a number, or text."""
    if text in TRUE | FALSE:
        return text in TRUE
    if (match := WHOLE.fullmatch(text)) and (value := _whole(*match.groups())) is not None:
        return value
    if DOTTED.fullmatch(text) or NO_NUMBER.fullmatch(text):
        return float(text.replace('.', ''))
    if DECIMAL.fullmatch(text):
        number = float(text)
        is_zero = not re.search('[1-9]', re.split('[eE]', text)[0])
        # Else strtod says that it is out of range, and rcl takes it as text
        return number if is_zero or sys.float_info.min <= abs(number) < math.inf else text
    return float.fromhex(text) if HEXADECIMAL.fullmatch(text) else text


def _whole(sign: str, digits: str) -> int | None:
    """Returns what strtol makes of it with base 0; None of what it does not take."""
    if digits[:2] in ('0x', '0X'):
        value = int(digits, 16)
    elif digits.startswith('0'):
        if not OCTAL.fullmatch(digits):
            return None
        value = int(digits, 8)
    else:
        value = int(digits)
    value = -value if sign == '-' else value
    return value if -(2**63) <= value < 2**63 else None


# Files


def _sections(file: Path) -> list[Section]:
    """Returns the sections of a file, each name once, in the order in which they first come."""
    reader = _YamlReader(file)
    if not file.is_file():
        what = 'it is no file' if file.exists() else 'there is no such file'
        raise ConfigurationError(f'{file} was to be read as a parameter file, but {what}.')
    try:
        documents = list(yaml.compose_all(read_bounded(file), Loader=yaml.SafeLoader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f', line {mark.line + 1}' if mark else ''
        tab = ' Tabs cannot indent: use spaces.' if "'\\t'" in str(error.problem) else ''
        msg = f'{file}{place}: this is no YAML: {error.problem}.{tab}'
        raise ConfigurationError(msg) from error
    except (OSError, yaml.YAMLError, RecursionError, ValueError) as error:
        why = getattr(error, 'strerror', None) or _on_one_line(error)
        msg = f'{file} was to be read as a parameter file, but: {why}.'
        raise ConfigurationError(msg) from error
    sections: dict[str, Section] = {}
    for document in documents:
        for key, values in reader.sections(document, ''):
            sections.setdefault(key, Section(key, {})).values.update(values)
    return list(sections.values())


class _YamlReader:
    """Reads the nodes of a YAML file.

    Args:
        file: Its name, for messages.
    """

    def __init__(self, file: Path | str) -> None:
        self._file = file
        self._seen: set[int] = set()

    def sections(self, node: Any, prefix: str) -> Iterator[tuple[str, dict[str, GivenValue]]]:
        """Yields key and parameters of every section below a node."""
        if not isinstance(node, yaml.MappingNode):
            where = f'below {prefix} ' if prefix else ''
            msg = f'{where}come the names of nodes and {KEY}:, like in config/segmentation.yaml.'
            raise self._error(node, msg[0].upper() + msg[1:])
        for name, value in self._rows(node):
            if name == KEY and prefix:
                if not (isinstance(value, yaml.MappingNode) and value.value):
                    raise self._error(value, f'{KEY} of {prefix} has no parameters. Give one.')
                yield prefix, dict(self.values(value, ''))
            elif name == KEY:
                raise self._error(value, f'whose {KEY} are they? Put /**: above it.')
            elif isinstance(value, yaml.MappingNode):
                key = f'{prefix}/{name}' if prefix else name
                if '//' in key:
                    raise self._error(value, f'{key} has two slashes. Write {name} without one.')
                yield from self.sections(value, key)
            else:
                advice = f'{name} must stand below {KEY}:, like in config/segmentation.yaml.'
                raise self._error(value, advice)

    def values(self, node: Any, prefix: str) -> Iterator[tuple[str, GivenValue]]:
        """Yields the parameters of a group, each by its full name."""
        for name, value in self._rows(node):
            if isinstance(value, yaml.MappingNode) and value.value:
                yield from self.values(value, f'{prefix}{name}.')
            else:
                yield f'{prefix}{name}', self.value(value, f'{prefix}{name}')

    def value(self, node: Any, name: str) -> GivenValue:
        """Returns a word or a list of words; what rcl takes as none is an empty list."""
        if isinstance(node, yaml.ScalarNode):
            return self._word(node, name)
        items = node.value
        if not all(isinstance(item, yaml.ScalarNode) for item in items):
            raise self._error(node, f'{name} is a list of lists or groups. Give one list.')
        words = tuple(self._word(item, name) for item in items)
        if len({type(word) for word in words}) > 1:
            advice = 'Write them alike: 1.0 for 1 beside 1.4, quotes around each of several texts.'
            raise self._error(node, f'{name} has values of different kinds. {advice}')
        return words

    def _word(self, node: yaml.ScalarNode, name: str) -> GivenWord:
        text: str = node.value
        if node.style in ("'", '"'):
            return text
        if not text:
            raise self._error(node, f"{name} has no value. Give one; the empty text is ''.")
        return typed_word(text)

    def _rows(self, node: yaml.MappingNode) -> Iterator[tuple[str, Any]]:
        for key, value in node.value:
            if id(value) in self._seen:
                raise self._error(
                    value, 'ROS takes no anchors and aliases (& and *). Write it out.'
                )
            self._seen.add(id(value))
            if not isinstance(key, yaml.ScalarNode) or not key.value:
                raise self._error(key, 'a name must be a word.')
            yield key.value, value

    def _error(self, node: Any, sentence: str) -> ConfigurationError:
        line = f', line {node.start_mark.line + 1}' if isinstance(self._file, Path) else ''
        return ConfigurationError(f'{self._file}{line}: {sentence}')


def _nothing_for(node: str, file: Path, sections: Sequence[Section]) -> str:
    """Says what a file has instead of something for a node."""
    if not sections:
        return f'{file} has no parameters. Begin it with "/**:" and, below it, "{KEY}:".'
    keys = [section.node for section in sections]
    has = ', '.join(keys[:LISTED]) + (f' and {len(keys) - LISTED} more' * (len(keys) > LISTED))
    name = node.rpartition('/')[2]
    advice = f'Call its section {node} or /**'
    written_out = [key for key in keys if '*' not in key]
    if same := next((key for key in written_out if key.rpartition('/')[2] == name), None):
        advice += f', or name the node as there (replay: --node {same}; node: -r __ns:=NAMESPACE)'
    elif close := difflib.get_close_matches(node, keys, 1):
        advice = f'Did you mean {node} by {close[0]}? {advice}'
    return f'{file} has nothing for the node {node}, only for {has}. {advice}.'


# Names and values


def _exists(name: str, names: Iterable[str]) -> bool:
    return (
        name in names
        or name in RENAMED
        or name in OWN_OF_ROS
        or name.startswith(OWN_GROUPS_OF_ROS)
    )


def _no_such(unknown: Sequence[str], names: Iterable[str]) -> str:
    said = [f'{name}{did_you_mean(name, names)}' for name in unknown[:LISTED]]
    more = f' and {len(unknown) - LISTED} more' if len(unknown) > LISTED else ''
    return f'There is no parameter {", ".join(said)}{more}.'


def _where_all_are(config: type[Any]) -> str:
    if config is NodeConfig:
        return 'config/segmentation.yaml has them all.'
    return f'There are {", ".join(name for name, _, _ in options_of(config))}.'


def _assigned(text: str, node: str) -> tuple[str, GivenValue]:
    given, sign, value = text.partition(':=')
    whose, colon, name = given.rpartition(':')
    if not (sign and name):
        raise ConfigurationError(f'-p {text}: write it like stop.hold_s:=1.5')
    if colon and not Section(f'/{whose.lstrip("/")}', {}).is_for(node):
        raise ConfigurationError(f'-p {text} is for the node {whose}, but this is {node}.')
    try:
        word = yaml.compose(value, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError) as error:
        msg = f'-p {text}: this is no YAML: {_on_one_line(error)}.'
        raise ConfigurationError(msg) from error
    if word is None:
        raise ConfigurationError(f'-p {text} has no value. The empty text is {name}:="\'\'".')
    return name, _YamlReader(f'-p {text}').value(word, name)


def _as_list(value: GivenValue, default: ParameterValue | None) -> GivenValue:
    """Returns one word as a list, where the parameter is one of such words."""
    is_word_of_list = isinstance(default, tuple) and type(value) is type(default[0])
    return (value,) if is_word_of_list else value  # type: ignore[return-value]  # no tuple then


def _checked(
    name: str, value: GivenValue, default: ParameterValue, rule: Option
) -> ParameterValue:
    """Returns a value of the type that rclpy would take."""
    if isinstance(default, tuple):
        if isinstance(value, tuple) and value and type(value[0]) is type(default[0]):
            alike: Any = value  # the reader saw to that
            checked: ParameterValue = alike
            return checked
    elif type(value) is type(default) or (isinstance(value, bool) and rule.takes_bool):
        return value
    example = _likely_meant(value, default)
    raise ConfigurationError(f'{name} is {_said(value)}. Give {_kind_of(example)}')


def _likely_meant(value: GivenValue, default: ParameterValue) -> ParameterValue:
    """Returns a value as it should have been written; the default where that is not to be seen."""
    is_list = isinstance(default, tuple)
    kind = type(default[0] if isinstance(default, tuple) else default)
    items: tuple[Any, ...] = value if isinstance(value, tuple) else (value,)
    if kind is float:
        items = tuple(float(item) if type(item) is int else item for item in items)
    if not items or any(type(item) is not kind for item in items):
        return default
    meant: ParameterValue = items if is_list else items[0]
    return meant if is_list or len(items) == 1 else default


def _said(value: GivenValue) -> str:
    if isinstance(value, tuple):
        return f'[{", ".join(_said(item) for item in value)}]'
    return str(value).lower() if isinstance(value, bool) else repr(value)


def _kind_of(example: ParameterValue) -> str:
    """Says what a parameter takes."""
    if isinstance(example, tuple):
        return f'a list of {KINDS[type(example[0])][1]}, like {_said(example)}.'
    return f'{KINDS[type(example)][0]}, like {_said(example)}.'


def _on_one_line(error: Exception) -> str:
    return ' '.join(str(error).split()).rstrip('.') or type(error).__name__

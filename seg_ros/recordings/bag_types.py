# SPDX-License-Identifier: Apache-2.0
"""The message types of a bag: one that is not told, half or garbage spoils no other one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from seg_ros.messages.plain import typestore

__all__ = ['normal_name', 'typestore_of']

IDL_RULE = '=' * 80 + '\n'


def normal_name(name: str) -> str:
    """Returns the name of a type as ROS 2 spells it: ``sensor_msgs/msg/Image``.

    Older recorders, and those of others, write ``sensor_msgs/Image``, what listens to DDS
    ``sensor_msgs::msg::dds_::Image_``.
    """
    if name.endswith('_') and '::dds_::' in name:
        name = name[:-1].replace('::dds_::', '::')
    parts = name.replace('::', '/').split('/')
    return f'{parts[0]}/msg/{parts[1]}' if len(parts) == 2 else '/'.join(parts)


def typestore_of(definitions: Mapping[str, Any]) -> tuple[Any, dict[str, str]]:
    """Returns a rosbags typestore, and why a type is not read by the definition in the bag.

    What the bag does not define, or not well, is taken from ROS 2 as far as that has it.

    Args:
        definitions: ``rosbags.interfaces.MessageDefinition`` of each type, by its name.
    """
    known = typestore().fielddefs
    found: dict[str, Any] = {}
    wanted: set[str] = set()
    wrong: dict[str, str] = {}
    for name, definition in definitions.items():
        wanted.add(name)
        if not definition.data.strip():
            if name not in known:  # else it is a bag of an older distribution, as is usual
                wrong[name] = 'the bag does not define it'
            continue
        try:
            types = _parsed(name, definition)
        except Exception as error:  # the parsers have several, and a bag may hold anything
            first_line = next(iter(str(error).splitlines()), repr(error))
            wrong[name] = f'its definition in the bag cannot be read ({first_line})'
            continue
        missing = sorted(_parts(types) - types.keys() - known.keys())
        if name not in types or not any(fields for _, fields in types.values()):
            wrong[name] = 'its definition in the bag is of something else'
        elif missing:
            wrong[name] = f'its definition in the bag lacks {", ".join(missing)}'
        else:
            found = {**types, **found}
            wanted |= types.keys()
    return _store(found, wanted, wrong), wrong


def _store(found: Mapping[str, Any], wanted: Iterable[str], wrong: dict[str, str]) -> Any:
    """Returns a typestore with what was found, and else what ROS 2 has of it."""
    from rosbags.typesys import Stores, get_typestore

    store = get_typestore(Stores.EMPTY)
    types = _with_parts(wanted, {**typestore().fielddefs, **found})
    try:
        store.register(types)
    except Exception:  # one of them is none: who is it?
        store = get_typestore(Stores.EMPTY)
        for name in wanted:
            try:
                store.register(_with_parts([name], types))
            except Exception as error:
                wrong[name] = f'its definition in the bag is none ({error!r})'
    return store


def _with_parts(names: Iterable[str], types: Mapping[str, Any]) -> dict[str, Any]:
    """Returns types and those that they are made of, as far as they are known."""
    found: dict[str, Any] = {}
    left = [name for name in names if name in types]
    while left:
        name = left.pop()
        if name not in found:
            found[name] = types[name]
            left += [part for part in _parts({name: types[name]}) if part in types]
    return found


def _parsed(name: str, definition: Any) -> dict[str, Any]:
    from rosbags.interfaces import MessageDefinitionFormat
    from rosbags.typesys import get_types_from_idl, get_types_from_msg

    text = definition.data
    if definition.format == MessageDefinitionFormat.MSG:
        return dict(get_types_from_msg(text, name))
    if not text.startswith(f'{IDL_RULE}IDL: '):
        return dict(get_types_from_idl(text))
    found: dict[str, Any] = {}
    for part in text.split(IDL_RULE)[1:]:
        found.update(get_types_from_idl(part.split('\n', 1)[1]))
    return found


def _parts(types: Mapping[str, Any]) -> set[str]:
    """Returns every message type that definitions are made of."""
    return {part for _, fields in types.values() for _, what in fields for part in _named(what)}


def _named(what: Any) -> Iterator[str]:
    if isinstance(what, str):
        if what.count('/') == 2:
            yield what
    elif isinstance(what, Iterable):
        for part in what:
            yield from _named(part)

# SPDX-License-Identifier: Apache-2.0
"""Quality of service as bags write it: a YAML text, or part of a metadata.yaml."""

from __future__ import annotations

import functools
from typing import Any

import yaml

from seg_ros.files import load_yaml

__all__ = ['qos_of', 'qos_of_text']


def qos_of_text(text: str) -> list[Any]:
    """Returns the ``rosbags.interfaces.Qos`` of each publisher.

    Raises:
        ValueError: The text is something else.
    """
    return list(_parsed(text))


def qos_of(content: Any) -> list[Any]:
    """Returns the same of what a metadata.yaml has, which is a list or again a text.

    Raises:
        ValueError: It is something else.
    """
    from rosbags.rosbag2.metadata import parse_qos

    if isinstance(content, str):
        return qos_of_text(content)
    try:
        return list(parse_qos(content))
    except Exception as error:  # whatever a dictionary that is none leads to
        raise ValueError(f'it is no quality of service ({error!r})') from error


@functools.lru_cache(maxsize=256)  # most topics of a bag have the same few
def _parsed(text: str) -> tuple[Any, ...]:
    try:
        content = load_yaml(text)
    except yaml.YAMLError as error:
        raise ValueError('it is no YAML') from error
    if isinstance(content, str):  # a text in a text, and so on without end
        raise ValueError('it is a text and no list')
    return tuple(qos_of(content or []))

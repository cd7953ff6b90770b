# SPDX-License-Identifier: Apache-2.0
"""What a metadata.yaml says of a bag. It is a hint: what the files say counts.

Recorders have written it with the times of the last file only, people edit it, rename files and
copy folders half; nothing in it decides what is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from seg_ros.core.units import NS_PER_S
from seg_ros.files import load_yaml, read_text
from seg_ros.recordings.bag_qos_text import qos_of
from seg_ros.recordings.bag_types import normal_name

__all__ = ['METADATA', 'BagIndex', 'read_index']

METADATA = 'metadata.yaml'
LARGEST = 16 << 20  # bytes: thousands of topics, each with what ten publishers offer
NEAR_NS = NS_PER_S // 1000  # less is no difference between two clocks of a recorder


@dataclass(frozen=True)
class BagIndex:
    """What a metadata.yaml says, as far as it can be read.

    Attributes:
        files: Where the files are, seen from the folder.
        counts: Messages of each topic; None where it does not tell.
        span_ns: First and last time; None where it does not tell.
        offers: Quality of service of each topic that has one.
        kinds: Type of each topic.
        trouble: Why it cannot be read, empty if it can.
    """

    files: tuple[str, ...] = ()
    counts: Mapping[str, int] | None = None
    span_ns: tuple[int, int] | None = None
    offers: Mapping[str, list[Any]] = field(default_factory=dict)
    kinds: Mapping[str, str] = field(default_factory=dict)
    trouble: str = ''

    def differences(
        self,
        counts: Mapping[str, int],
        span_ns: tuple[int, int],
        offers: Mapping[str, list[Any]],
        kinds: Mapping[str, str],
    ) -> list[str]:
        """Returns in which ways the files are something else.

        Args:
            counts: Messages of each topic in the files.
            span_ns: Time of the first and of the last message.
            offers: Quality of service of each topic in the files.
            kinds: Type of each topic in the files.
        """
        found = []
        there = {topic: count for topic, count in counts.items() if count}
        told = self.counts
        if told is not None:
            told = {topic: count for topic, count in told.items() if count}
            if sum(told.values()) != sum(there.values()):
                found.append(f'{sum(told.values())} messages instead of {sum(there.values())}')
            elif told != there:
                found.append('other numbers of messages of the topics')
        if self.span_ns is not None:
            begin_ns, last_ns = self.span_ns
            if abs(begin_ns - span_ns[0]) > NEAR_NS:
                found.append(f'a begin that is {_apart(begin_ns, span_ns[0])}')
            if abs(last_ns - span_ns[1]) > NEAR_NS:
                found.append(f'an end that is {_apart(last_ns, span_ns[1])}')
        if others := sorted(
            topic
            for topic, rows in offers.items()
            if rows and self.offers.get(topic, rows) != rows
        ):
            found.append(f'another quality of service of {", ".join(others)}')
        if others := sorted(
            topic for topic, kind in kinds.items() if self.kinds.get(topic, kind) != kind
        ):
            found.append(f'another type of {", ".join(others)}')
        return found


def read_index(folder: Path) -> BagIndex | None:
    """Returns what the metadata.yaml of a folder says, None where there is none."""
    path = folder / METADATA
    try:
        content = load_yaml(read_text(path, LARGEST))
    except FileNotFoundError:
        return None
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        why = getattr(error, 'strerror', None) or str(error).replace('\n', ' ')
        return BagIndex(trouble=f'it is no YAML ({why})')
    bag = _part(content, 'rosbag2_bagfile_information')
    if not bag:
        return BagIndex(trouble='it says nothing about a bag')
    offers: dict[str, list[Any]] = {}
    kinds: dict[str, str] = {}
    counts: dict[str, int] | None = {} if 'topics_with_message_count' in bag else None
    for row in _rows(bag, 'topics_with_message_count'):
        topic = _part(row, 'topic_metadata')
        name, count = topic.get('name'), _whole(row, 'message_count')
        if not isinstance(name, str):
            continue
        if isinstance(kind := topic.get('type'), str):
            kinds.setdefault(name, normal_name(kind))
        known = None if counts is None or count is None else counts.get(name, 0) + count
        counts = None if counts is None or known is None else {**counts, name: known}
        try:
            found = qos_of(topic.get('offered_qos_profiles') or [])
        except ValueError:
            found = []
        offers[name] = [*offers.get(name, []), *found]
    total = _whole(bag, 'message_count')
    if counts is not None and total is not None and total != sum(counts.values()):
        counts = {'': total}
    begin_ns = _whole(_part(bag, 'starting_time'), 'nanoseconds_since_epoch')
    length_ns = _whole(_part(bag, 'duration'), 'nanoseconds')
    span_ns = None
    if begin_ns is not None and length_ns is not None:
        span_ns = begin_ns, begin_ns + length_ns
    return BagIndex(
        tuple(name for name in _rows(bag, 'relative_file_paths') if _is_name(name)),
        counts,
        span_ns,
        offers,
        kinds,
    )


def _part(content: Any, name: str) -> dict[str, Any]:
    part = content.get(name) if isinstance(content, dict) else None
    return part if isinstance(part, dict) else {}


def _rows(content: dict[str, Any], name: str) -> list[Any]:
    rows = content.get(name)
    return rows if isinstance(rows, list) else []


def _whole(content: Any, name: str) -> int | None:
    value = content.get(name) if isinstance(content, dict) else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and bool(Path(value).name) and '\0' not in value


def _apart(told_ns: int, there_ns: int) -> str:
    difference_s = (told_ns - there_ns) / NS_PER_S
    return f'{abs(difference_s):.3f} s too {"late" if difference_s > 0 else "early"}'

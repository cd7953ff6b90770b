# SPDX-License-Identifier: Apache-2.0
"""A ROS 1 bag, whose messages come as those of ROS 2."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from rosbags.highlevel import AnyReader

from seg_ros.core.errors import ConfigurationError
from seg_ros.core.units import NS_PER_S

__all__ = ['Ros1Bag']


class Ros1Bag:
    """Reads a file.

    Args:
        path: Of the file.
        types: The typestore of ROS 2.
        tell: Is told, in sentences, what cannot be read.

    Attributes:
        rows: Its topics, as ``rosbags.interfaces.Connection``.
        types: Its own types.
        begin_ns, end_ns: Time of the first message, and after the last.

    Raises:
        ConfigurationError: It is no bag.
    """

    def __init__(self, path: Path, types: Any, tell: Callable[[str], None]) -> None:
        self._path, self._types2, self._tell = path, types, tell
        try:
            self._reader = AnyReader([path])
            self._reader.open()
        except Exception as error:  # the reader asserts, too, what a damaged bag does not keep
            said = str(error) or 'its index contradicts itself.'
            msg = (
                f'{path} cannot be read as a ROS 1 bag: {said} Name another one, or mend it: '
                'rosbag reindex'
            )
            raise ConfigurationError(msg) from error
        self.rows: list[Any] = list(self._reader.connections)
        self.types = self._reader.typestore
        has_messages = self._reader.message_count > 0
        self.begin_ns = self._reader.start_time if has_messages else 0
        self.end_ns = self._reader.end_time if has_messages else 0

    def close(self) -> None:
        self._reader.close()

    def messages(
        self, types: Mapping[str, str], start: int | None = None, stop: int | None = None
    ) -> Iterator[tuple[int, int, str, bytes]]:
        """Yields time, 0, topic and bytes of messages in the order of their times."""
        rows = [row for row in self.rows if types.get(row.topic) == row.msgtype]
        at_ns = self.begin_ns
        try:
            for row, at_ns, data in self._reader.messages(rows, start, stop) if rows else ():
                content = bytes(self._types2.ros1_to_cdr(data, row.msgtype))
                yield at_ns, 0, row.topic, content
        except Exception as error:  # each compression has its own
            at_s = (at_ns - self.begin_ns) / NS_PER_S
            self._tell(f'{self._path} cannot be read beyond {at_s:.1f} s of it: {error}')

"""Writes serialised messages into an MCAP bag from a thread, so that receiving never waits."""

from __future__ import annotations

import queue
import threading
from pathlib import Path
from typing import Any

from rclpy.qos import QoSProfile

from seg_ros.commands.shared.message_types import learn_type
from seg_ros.commands.shared.recorded_qos import recorded_qos
from seg_ros.recordings.new_bag import begin_bag

__all__ = ['BagWriter']


class BagWriter:
    """An MCAP bag that is being written; the bag is whole once ``close`` returns.

    Args:
        path: Folder of the bag; must not exist.

    Attributes:
        counts: Messages taken so far, by topic.
        error: What stopped the writing (a full disk, say); None while all is well.

    Raises:
        ConfigurationError: The folder exists or cannot be made, or rosbags is not installed.
    """

    def __init__(self, path: Path) -> None:
        self._writer = begin_bag(path)
        from rosbags.typesys import Stores, get_typestore

        self.counts: dict[str, int] = {}
        self.error: Exception | None = None
        self._types = get_typestore(Stores.ROS2_JAZZY)  # of its own: it learns types
        self._connections: dict[str, Any] = {}
        self._queue: queue.SimpleQueue[tuple[Any, int, bytes] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()  # rosbags writes from one thread, topics come from another
        self._thread = threading.Thread(target=self._run, name='bag', daemon=True)
        self._thread.start()

    def add_topic(self, topic: str, type_name: str, qos: QoSProfile) -> None:
        """Adds a topic that will be written.

        Raises:
            ConfigurationError: There is no definition of its type.
        """
        learn_type(self._types, type_name)
        with self._lock:
            self._connections[topic] = self._writer.add_connection(
                topic,
                type_name,
                typestore=self._types,
                offered_qos_profiles=[recorded_qos(qos)],
            )
        self.counts[topic] = 0

    def write(self, topic: str, received_ns: int, data: bytes) -> None:
        """Takes a serialised message of a topic that was added."""
        self._queue.put((self._connections[topic], received_ns, data))
        self.counts[topic] += 1

    def close(self) -> None:
        """Writes what waits, then index and metadata."""
        self._queue.put(None)
        self._thread.join()
        try:
            self._writer.close()
        except OSError as error:
            self.error = self.error or error

    def _run(self) -> None:
        while (item := self._queue.get()) is not None:
            if self.error is not None:
                continue
            try:
                with self._lock:
                    self._writer.write(*item)
            except Exception as error:  # it is reported by whoever looks at ``error``
                self.error = error

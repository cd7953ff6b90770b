# SPDX-License-Identifier: Apache-2.0
"""The bag that a replay writes: MCAP, compressed by the chunk, the same bytes every time."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from seg_ros.recordings.new_bag import bag_qos, begin_bag, resumed_bag, state_of_bag
from seg_ros.recordings.recording import RecordedTopic
from seg_ros.replay.snapshot import restored, snapshot

__all__ = ['OutputBag', 'cut_short']

DEPTH = 10
UNKNOWN_HASH = f'RIHS01_{"0" * 64}'  # of a type that nobody defines


class OutputBag:
    """Writes messages; what fails raises ``OSError``, and then ``cut_short`` makes it readable.

    Args:
        folder: Of the bag; new, unless it is continued.
        state: Of ``checkpoint``, to go on from there; what was written later is cut off.
    """

    def __init__(self, folder: Path, state: bytes | None = None) -> None:
        if state is None:
            self._writer = begin_bag(folder)
        else:
            kept = restored(state)
            self._writer = resumed_bag(folder, kept)
            file = self._storage.path.open('r+b')
            file.truncate(kept['end'])
            file.seek(kept['end'])
            self._storage.bio = file
            (folder / 'metadata.yaml').unlink(missing_ok=True)
        self._rows = {row.topic: row for row in self._writer.connections}

    def add_output(self, topic: str, type_name: str, typestore: Any, *, latched: bool) -> None:
        """Adds a topic of the node."""
        offer = bag_qos(reliable=True, latched=latched, depth=1 if latched else DEPTH)
        self._rows[topic] = self._writer.add_connection(
            topic, type_name, typestore=typestore, offered_qos_profiles=[offer]
        )

    def add_copy(self, topic: str, recorded: RecordedTopic, typestore: Any) -> None:
        """Adds a topic that is copied from a recording, with its definition and its QoS."""
        kind = recorded.type_name
        text, digest = recorded.definition or (None, '')
        if kind not in typestore.fielddefs:  # its bytes are copied all the same
            text, digest = text or '', digest or UNKNOWN_HASH
        self._rows[topic] = self._writer.add_connection(
            topic,
            kind,
            typestore=typestore,
            msgdef=text,
            rihs01=digest or typestore.hash_rihs01(kind),
            offered_qos_profiles=recorded.offers,
        )

    def write(self, topic: str, recorded_ns: int, data: bytes) -> None:
        self._writer.write(self._rows[topic], recorded_ns, data)

    def checkpoint(self) -> bytes:
        """Puts all so far on the disk; returns what ``__init__`` goes on from."""
        storage = self._storage
        if storage.chunk.bio.tell():
            storage.close_chunk()
        storage.bio.flush()
        os.fsync(storage.bio.fileno())
        return snapshot({**state_of_bag(self._writer), 'end': storage.bio.tell()})

    def close(self) -> None:
        """Writes the index and the metadata."""
        self._writer.close()

    def abandon(self) -> None:
        """Lets the file go as it is, without what waits to be written."""
        if self._storage is not None and self._storage.bio is not None:
            self._storage.bio.raw.close()

    @property
    def _storage(self) -> Any:
        return self._writer.storage


def cut_short(folder: Path, states: Sequence[bytes]) -> int:
    """Ends a bag at a checkpoint, with index and metadata, so that everybody can read it.

    Args:
        folder: Of the bag, which nobody writes to any more.
        states: Of its checkpoints, newest first; on a full disk an older one makes room.

    Returns:
        How many of the states do not count any more, because what they stand for was cut off.
    """
    for number, state in enumerate(states):
        bag = OutputBag(folder, state)
        try:
            bag.close()
        except OSError:
            bag.abandon()
        else:
            return number
    return max(0, len(states) - 1)  # without an index only we can read it

# SPDX-License-Identifier: Apache-2.0
"""A new bag: MCAP, compressed by the chunk, with the quality of service that a player offers."""

from __future__ import annotations

import io
from collections import defaultdict
from pathlib import Path
from typing import Any

from seg_ros.core.errors import ConfigurationError

__all__ = ['bag_qos', 'begin_bag', 'named', 'place_of_unfinished', 'resumed_bag', 'state_of_bag']

VERSION = 8  # every distribution since Humble reads it
FOREVER_S, FOREVER_NS = 9223372036, 854775807  # as rosbag2 writes an infinite duration


def begin_bag(folder: Path) -> Any:
    """Returns an open ``rosbags.rosbag2.Writer``.

    Args:
        folder: Of the bag; must not exist.

    Raises:
        ConfigurationError: The folder exists or cannot be made, or rosbags is not installed.
    """
    try:
        from rosbags.rosbag2 import (
            CompressionFormat,
            CompressionMode,
            StoragePlugin,
            Writer,
            WriterError,
        )
    except ImportError as error:
        msg = f'Recording needs rosbags ({error}). Install it: pip install rosbags'
        raise ConfigurationError(msg) from error
    try:
        writer = Writer(folder, version=VERSION, storage_plugin=StoragePlugin.MCAP)
        writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
        writer.open()
    except (WriterError, OSError) as error:
        msg = f'A bag was to be written to {folder}: {error} Name a new folder.'
        raise ConfigurationError(msg) from error
    return writer


def place_of_unfinished(folder: Path) -> Path:
    """Returns the folder that a bag is written to until it is whole.

    Raises:
        ConfigurationError: The bag is there, or one that was never finished.
    """
    outer = folder.with_name(f'{folder.name}.partial')
    for path in folder, outer:
        if path.exists():
            msg = f'A bag was to be written to {folder}: {path} is there. Name a new folder.'
            raise ConfigurationError(msg)
    return outer / folder.name  # the same name, for the file in it is called like its folder


def named(folder: Path) -> None:
    """Gives a bag that is whole its name.

    Raises:
        OSError: Somebody has taken it meanwhile.
    """
    outer = folder.with_name(f'{folder.name}.partial')
    (outer / folder.name).rename(folder)
    outer.rmdir()


def state_of_bag(writer: Any) -> dict[str, Any]:
    """Returns what a bag that is being written would need to be gone on with; no chunk is open.

    rosbags can only begin a bag, so that parts of its writer are used which are not public: as
    those of its reader in ``truncated_mcap``, for the versions that are known to fit.
    """
    storage = writer.storage
    return {
        'topics': [
            [row.topic, row.msgtype, row.msgdef.data, row.digest, row.ext.offered_qos_profiles]
            for row in writer.connections
        ],
        'counts': dict(writer.counts),
        'times': [writer.min_timestamp, writer.max_timestamp],
        'stored_times': [storage.message_start_time, storage.message_end_time],
        'chunks': [row.getvalue() for row in storage.chunks],
    }


def resumed_bag(folder: Path, state: dict[str, Any]) -> Any:
    """Returns the writer of a bag that was begun; its ``storage.bio`` is still to be opened."""
    from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
    from rosbags.rosbag2.storage_mcap import McapWriter
    from rosbags.rosbag2.storage_mcap import zstd as compression

    writer = Writer(folder / 'resumed', version=VERSION, storage_plugin=StoragePlugin.MCAP)
    writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
    writer.path, writer.metapath = folder, folder / 'metadata.yaml'
    storage: Any = McapWriter.__new__(McapWriter)
    storage.path = folder / f'{folder.name}.mcap'
    storage.bio = None
    storage.schemas, storage.channels, storage.channel_stats = [], [], {}
    storage.compression, storage.compressor = 'zstd', compression.compress
    writer.storage = storage
    storage.chunk = _empty_chunk()
    for topic, type_name, text, digest, offers in state['topics']:
        writer.add_connection(
            topic, type_name, msgdef=text, rihs01=digest, offered_qos_profiles=offers
        )
    storage.chunk = _empty_chunk()  # what it says of the topics is in the file already
    storage.chunks = [io.BytesIO(data) for data in state['chunks']]
    for chunk in storage.chunks:
        chunk.seek(0, io.SEEK_END)
    storage.message_start_time, storage.message_end_time = state['stored_times']
    storage.channel_stats.update(state['counts'])
    writer.counts.update(state['counts'])
    writer.min_timestamp, writer.max_timestamp = state['times']
    return writer


def _empty_chunk() -> Any:
    from rosbags.rosbag2.storage_mcap import PendingChunk

    return PendingChunk(2**63 - 1, 0, io.BytesIO(), defaultdict(list))


def bag_qos(*, reliable: bool, latched: bool, depth: int) -> Any:
    """Returns a ``rosbags.interfaces.Qos``, for a player to offer the same again."""
    from rosbags.interfaces import (
        Qos,
        QosDurability,
        QosHistory,
        QosLiveliness,
        QosReliability,
        QosTime,
    )

    forever = QosTime(FOREVER_S, FOREVER_NS)
    return Qos(
        history=QosHistory.KEEP_LAST,
        depth=max(1, depth),
        reliability=QosReliability.RELIABLE if reliable else QosReliability.BEST_EFFORT,
        durability=QosDurability.TRANSIENT_LOCAL if latched else QosDurability.VOLATILE,
        deadline=forever,
        lifespan=forever,
        liveliness=QosLiveliness.AUTOMATIC,
        liveliness_lease_duration=forever,
        avoid_ros_namespace_conventions=False,
    )

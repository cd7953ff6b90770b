# SPDX-License-Identifier: Apache-2.0
"""A new bag: MCAP, compressed by the chunk, with the quality of service that a player offers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from seg_ros.core.errors import ConfigurationError

__all__ = ['bag_qos', 'begin_bag']

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

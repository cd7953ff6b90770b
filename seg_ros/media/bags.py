"""Opens a bag to read, whatever wrote it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from seg_ros.core.errors import ConfigurationError

__all__ = ['open_bag']


@contextmanager
def open_bag(path: Path) -> Iterator[Any]:
    """Yields a ``rosbags.highlevel.AnyReader`` of a rosbag2 folder or of a single bag file.

    Raises:
        ConfigurationError: It is no bag that can be read, or rosbags is not installed.
    """
    try:
        from rosbags.highlevel import AnyReader, AnyReaderError
        from rosbags.typesys import Stores, get_typestore
    except ImportError as error:
        msg = f'Reading {path} needs rosbags ({error}). Install it: pip install rosbags'
        raise ConfigurationError(msg) from error
    # Bags of older distributions name their types without defining them.
    types = get_typestore(Stores.ROS2_JAZZY)
    try:
        reader = AnyReader([path], default_typestore=types)
        reader.open()
    except (AnyReaderError, OSError, ValueError) as error:
        msg = (
            f'{path} cannot be read as a ROS bag: {error} Name the folder with its metadata.yaml, '
            'or a single .mcap, .db3 or ROS 1 .bag file.'
        )
        raise ConfigurationError(msg) from error
    try:
        yield reader
    finally:
        reader.close()

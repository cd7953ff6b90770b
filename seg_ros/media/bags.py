"""Opens a bag to read, whatever wrote it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from seg_ros.core.errors import ConfigurationError

__all__ = ['is_truncated', 'open_bag']


@contextmanager
def open_bag(path: Path) -> Iterator[Any]:
    """Yields a ``rosbags.highlevel.AnyReader`` of a rosbag2 folder or of a single bag file.

    A recording that was cut off is read as far as it goes: an MCAP file without its end, and a
    folder without its metadata.yaml.

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
        reader = AnyReader(_files(path), default_typestore=types)
        _forgive(reader)
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


def is_truncated(reader: Any) -> bool:
    """Returns whether the end of a file of an open bag is missing."""
    storages = [getattr(row, 'storage', None) for row in reader.readers]
    parts = [part for row in storages for part in getattr(row, 'storages', [row])]
    return any(getattr(part, 'is_truncated', False) for part in parts)


def _files(path: Path) -> list[Path]:
    """What the reader opens: the bag, or the files in a folder that has no metadata."""
    if not path.is_dir() or (path / 'metadata.yaml').exists():
        return [path]
    return sorted(file for file in path.iterdir() if file.suffix in ('.mcap', '.db3')) or [path]


def _forgive(reader: Any) -> None:
    """Has every MCAP file of a reader that is not open yet read as far as it goes."""
    from rosbags.rosbag2.reader import DirectoryReader
    from rosbags.rosbag2.storage_mcap import McapReader

    from seg_ros.media.truncated_mcap import ForgivingMcapReader

    for row in reader.readers:
        storage = getattr(row, 'storage', None)  # ROS 1 has none
        if isinstance(storage, McapReader):
            row.storage = ForgivingMcapReader(row.path)
        elif isinstance(storage, DirectoryReader):
            storage.STORAGE_PLUGINS = {**storage.STORAGE_PLUGINS, 'mcap': ForgivingMcapReader}

"""Opens a bag to read, whatever wrote it."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from seg_ros.core.errors import ConfigurationError, SegRosError
from seg_ros.core.units import NS_PER_S

__all__ = ['bag_rows', 'is_truncated', 'open_bag']


@contextmanager
def open_bag(path: Path) -> Iterator[Any]:
    """Yields a ``rosbags.highlevel.AnyReader`` of a rosbag2 folder or of a single bag file.

    A recording that was cut off is read as far as it goes: an MCAP file without its end, and a
    folder without its metadata.yaml. Broken chunks in the middle are left out.

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


def bag_rows(
    path: Path,
    reader: Any,
    topics: Collection[str],
    start_ns: int | None = None,
    stop_ns: int | None = None,
) -> Iterator[tuple[Any, int, Any]]:
    """Yields connection, time of recording and bytes of the messages of topics, in their order.

    Raises:
        SegRosError: The bag is broken from somewhere on; what came before has been yielded.
    """
    rows = [row for row in reader.connections if row.topic in topics]
    if not rows:  # rosbags takes that for all
        return
    at_ns = reader.start_time
    try:
        for row, at_ns, data in reader.messages(rows, start_ns, stop_ns):
            yield row, at_ns, data
    except Exception as error:  # each storage and compression has its own
        at_s = (at_ns - reader.start_time) / NS_PER_S
        raise SegRosError(f'{path} cannot be read beyond {at_s:.1f} s of it: {error}') from error


def is_truncated(reader: Any) -> bool:
    """Returns whether the end of a file of an open bag is missing."""
    return any(getattr(file, 'is_truncated', False) for file in _open_files(reader))


def broken_parts(reader: Any) -> list[str]:
    """Returns what was left out so far in the middle of an open bag, in sentences."""
    return [part for file in _open_files(reader) for part in getattr(file, 'broken', ())]


def _open_files(reader: Any) -> list[Any]:
    """What reads each file of a bag; ROS 1 has none."""
    storages = [row.storage for row in reader.readers if hasattr(row, 'storage')]
    return [file for row in storages for file in getattr(row, 'storages', [row])]


def _files(path: Path) -> list[Path]:
    """What the reader opens: the bag, or the files in a folder that has no metadata."""
    if not path.is_dir() or (path / 'metadata.yaml').exists():
        return [path]
    return sorted(file for file in path.iterdir() if file.suffix in ('.mcap', '.db3')) or [path]


def _forgive(reader: Any) -> None:
    """Has every MCAP file of a reader that is not open yet read as far as it goes."""
    from rosbags.rosbag2.reader import DirectoryReader
    from rosbags.rosbag2.storage_mcap import McapReader

    from seg_ros.recordings.truncated_mcap import ForgivingMcapReader

    for row in reader.readers:
        storage = getattr(row, 'storage', None)  # ROS 1 has none
        if isinstance(storage, McapReader):
            row.storage = ForgivingMcapReader(row.path)
        elif isinstance(storage, DirectoryReader):
            storage.STORAGE_PLUGINS = {**storage.STORAGE_PLUGINS, 'mcap': ForgivingMcapReader}

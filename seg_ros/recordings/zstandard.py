# SPDX-License-Identifier: Apache-2.0
"""Compressed bytes, also where their end is missing. The zstd is the one that rosbags brings."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import IO, Any

from rosbags.rosbag2.storage_mcap import zstd

__all__ = ['as_far_as_it_goes', 'decompressed', 'unpack']

BLOCK_BYTES = 1 << 20


def decompressed(data: bytes) -> bytes:
    """Returns the content of one zstd frame.

    Raises:
        Exception: It is broken; each zstd has its own.
    """
    content: bytes = zstd.decompress(data)
    return content


def as_far_as_it_goes(data: bytes, compression: str) -> bytes:
    """Returns what is whole of compressed bytes whose end is missing."""
    if not compression:
        return data
    if compression == 'zstd':
        file = BytesIO()
        _copy(zstd.open(BytesIO(data), 'rb'), file)
        return file.getvalue()
    import lz4.frame  # type: ignore[import-untyped]

    content: bytes = lz4.frame.LZ4FrameDecompressor().decompress(data)
    return content


def unpack(packed: Path, path: Path) -> str:
    """Writes the content of a zstd file to another; returns why it ends early, if it does."""
    with packed.open('rb') as file, path.open('wb') as content:
        return _copy(zstd.open(file, 'rb'), content)


def _copy(source: Any, target: IO[bytes]) -> str:
    """Copies all that comes; returns what has ended it, empty at a proper end."""
    while True:
        try:
            block = source.read1(BLOCK_BYTES)  # what is there, also before a missing end
        except Exception as error:  # each zstd has its own
            return str(error)
        if not block:
            return ''
        target.write(block)

"""How far another process is, as the lines of JSON in its log say."""

from __future__ import annotations

import json
from pathlib import Path

__all__ = ['LatestCounts']


class LatestCounts:
    """Follows a log that has, among other lines, an object of counts in JSON now and then.

    Args:
        log: The file; it may still be written to.
    """

    def __init__(self, log: Path) -> None:
        self._log = log
        self._read_to = 0
        self._counts: dict[str, int] = {}

    def read(self) -> dict[str, int]:
        """Returns the latest counts, none before the first."""
        with self._log.open('rb') as log:
            log.seek(self._read_to)
            whole, newline, _ = log.read().rpartition(b'\n')
        self._read_to += len(whole) + len(newline)
        lines = [line for line in whole.splitlines() if line.startswith(b'{')]
        if lines:
            self._counts = json.loads(lines[-1])
        return self._counts

# SPDX-License-Identifier: Apache-2.0
"""The live page of a demo: its address while it runs, and a still of it in a file."""

from __future__ import annotations

import re
import threading
import urllib.error
import urllib.request
from pathlib import Path
from typing import final

from seg_ros.core.errors import SegRosError
from seg_ros.files import write_whole

__all__ = ['Still']

ADDRESS = re.compile(r'Look at (http://\S+)')
TIMEOUT_S = 20.0  # the page waits for a picture and a stop


@final
class Still:
    """Follows the log of ``seg_ros view`` and keeps one moment of its page.

    Args:
        log: Where the address is printed.
        path: Of the still; it is not written where the page could not be had.
    """

    def __init__(self, log: Path, path: Path) -> None:
        self._log, self._path = log, path
        self._address = ''
        self._taking: threading.Thread | None = None
        self._error: SegRosError | None = None

    def new_address(self) -> str:
        """Returns the address, once."""
        if self._address:
            return ''
        found = ADDRESS.search(self._log.read_text(encoding='utf-8', errors='replace'))
        self._address = found[1] if found else ''
        return self._address

    def take(self) -> None:
        """Takes the still in the background, the first time that it is called."""
        if self._taking is None and self._address:
            self._taking = threading.Thread(target=self._take, name='still', daemon=True)
            self._taking.start()

    def finish(self) -> None:
        """Returns once it is written, or could not be had.

        Raises:
            SegRosError: It could not be written: the disk is full, say.
        """
        if self._taking is not None:
            self._taking.join(TIMEOUT_S)
        if self._error is not None:
            raise self._error

    def _take(self) -> None:
        try:
            with urllib.request.urlopen(f'{self._address}still', timeout=TIMEOUT_S) as page:  # noqa: S310  our own
                content = page.read()
            write_whole(self._path, content)
        except SegRosError as error:
            self._error = error
        except (OSError, urllib.error.URLError):  # a demo is none the worse for it
            return

# SPDX-License-Identifier: Apache-2.0
"""Frame age: how old the newest frame is, whatever the clock of the stamps does meanwhile.

By its stamp alone a frame gets younger whenever the clock steps back; a clock that does so again
and again, a little each time, would keep one frame fresh for ever.
"""

from __future__ import annotations

__all__ = ['FrameAge']


class FrameAge:
    """Adds up the time that passes from one look to the next: it never falls."""

    def __init__(self) -> None:
        self._age_ns = 0
        self._now_ns: int | None = None
        self._steady_ns: int | None = None

    @property
    def ns(self) -> int:
        """The age at the last look."""
        return self._age_ns

    def begin(self, stamp_ns: int, now_ns: int) -> None:
        """Begins with a new frame.

        Args:
            stamp_ns: Of the frame.
            now_ns: The clock that the stamps come from.
        """
        self._age_ns = max(0, now_ns - stamp_ns)
        self._now_ns, self._steady_ns = now_ns, None

    def look(self, now_ns: int, steady_ns: int | None) -> None:
        """Lets time pass up to now; a step back has taken as long as it is.

        Args:
            now_ns: The clock that the stamps come from.
            steady_ns: A clock that goes on whatever happens; None where the other may rightly be
                slower, which sim time is.
        """
        passed_ns = 0 if self._now_ns is None else abs(now_ns - self._now_ns)
        if steady_ns is not None and self._steady_ns is not None:
            passed_ns = max(passed_ns, steady_ns - self._steady_ns)
        self._age_ns += passed_ns
        self._now_ns, self._steady_ns = now_ns, steady_ns

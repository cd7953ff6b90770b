"""Notices that the clock stands still: sim time in a pause, or whoever published it is gone."""

from __future__ import annotations

from seg_ros.core.units import NS_PER_S

__all__ = ['ClockWatch']


class ClockWatch:
    """Compares the clock that stamps come from with one that always goes."""

    def __init__(self) -> None:
        self._now_ns: int | None = None
        self._since_ns = 0

    def standing_s(self, now_ns: int, steady_ns: int) -> float:
        """Returns how long the clock has stood still by now.

        Args:
            now_ns: The clock that stamps come from; a step back is a movement, too.
            steady_ns: A clock that goes on whatever happens.
        """
        if now_ns != self._now_ns:
            self._now_ns, self._since_ns = now_ns, steady_ns
        return (steady_ns - self._since_ns) / NS_PER_S

"""Which moment of a recording it is, while it is played, paused and jumped about in."""

from __future__ import annotations

__all__ = ['Playhead']


class Playhead:
    """Turns steady time into time of the recording; asks no clock.

    Args:
        at_ns: Where in the recording to begin.
        now_ns: Steady time of the beginning, as all ``now_ns`` here.
        rate: Seconds of the recording per second.
        paused: Begin with a pause.
    """

    def __init__(
        self, at_ns: int, now_ns: int, rate: float = 1.0, *, paused: bool = False
    ) -> None:
        self._at_ns, self._since_ns = at_ns, now_ns
        self._rate = rate
        self._paused = paused

    @property
    def paused(self) -> bool:
        return self._paused

    def at_ns(self, now_ns: int) -> int:
        """Returns the moment of the recording."""
        if self._paused:
            return self._at_ns
        return self._at_ns + round((now_ns - self._since_ns) * self._rate)

    def due_ns(self, at_ns: int) -> float:
        """Returns the steady time of a moment of the recording; infinite during a pause."""
        if self._paused:
            return float('inf')
        return self._since_ns + (at_ns - self._at_ns) / self._rate

    def pause(self, paused: bool, now_ns: int) -> None:
        """Stands still, or goes on from there."""
        self.jump(self.at_ns(now_ns), now_ns)
        self._paused = paused

    def jump(self, at_ns: int, now_ns: int) -> None:
        """Goes on from another moment; a pause remains one."""
        self._at_ns, self._since_ns = at_ns, now_ns

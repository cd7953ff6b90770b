# SPDX-License-Identifier: Apache-2.0
"""What the words of the stop are worth, held against what the node could know."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

from seg_ros.core.units import NS_PER_S

__all__ = ['Window', 'Word', 'false_clears', 'longest_silence_s', 'stop_after_s', 'went_again_s']


class Word(NamedTuple):
    """One published Bool.

    Attributes:
        said_ns: When, by the publisher's system clock.
        stop: What it said.
    """

    said_ns: int
    stop: bool


class Window(NamedTuple):
    """A time in which nothing proves the way clear.

    Attributes:
        begin_ns: When the fault began, by the system clock.
        end_ns: When it was over.
        grace_s: How long the node may take to know.
    """

    begin_ns: int
    end_ns: int
    grace_s: float

    def holds(self, at_ns: int) -> bool:
        """Returns whether a go of this time is a false one."""
        return self.begin_ns + self.grace_s * NS_PER_S < at_ns <= self.end_ns


def false_clears(words: Sequence[Word], windows: Sequence[Window]) -> int:
    """Returns how many words said go where nothing proved the way clear."""
    return sum(not w.stop and any(row.holds(w.said_ns) for row in windows) for w in words)


def stop_after_s(words: Sequence[Word], begin_ns: int) -> float | None:
    """Returns how long after a fault began the first stop was said, None without one."""
    found = (word.said_ns for word in words if word.stop and word.said_ns >= begin_ns)
    first_ns = next(found, None)
    return None if first_ns is None else (first_ns - begin_ns) / NS_PER_S


def went_again_s(words: Sequence[Word], end_ns: int) -> float | None:
    """Returns how long after a fault ended go was said and no stop after it; None if not."""
    go_ns: int | None = None
    for word in words:
        if word.stop:
            go_ns = None
        elif go_ns is None:
            go_ns = max(word.said_ns, end_ns)
    return None if go_ns is None else (go_ns - end_ns) / NS_PER_S


def longest_silence_s(words: Sequence[Word], begin_ns: int, end_ns: int) -> float:
    """Returns the longest time between two words, or a word and an end of the time."""
    said = [word.said_ns for word in words if begin_ns <= word.said_ns <= end_ns]
    times = [begin_ns, *said, end_ns]
    return max(b - a for a, b in itertools.pairwise(times)) / NS_PER_S

# SPDX-License-Identifier: Apache-2.0
"""Evidence in time that somebody is there: it grows with every sighting and fades without one."""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ['Evidence', 'frames_to_believe']

# stop.confirm_frames counts frames of so many seconds. Two frames that are further apart are more
# evidence than two in a row, whose errors are alike; no single one is worth more than two.
FRAME_S = 0.05
MOST_FRAMES = 2.0
FADE_S = 1.0  # out of sight: to a third
ENOUGH = 0.5  # frames that may be lacking: what has faded in the frames between the sightings
# Frames in a row without a sighting that end what is not believed yet: a network that loses a
# speck in one frame of two still proves it, a flash does not live on.
MOST_MISSES = 2


@dataclass
class Evidence:
    """How sure it is that somebody is there, in frames of 50 ms.

    Attributes:
        frames: The worth of all sightings, less what has faded.
        sightings: How many.
        misses: Frames in a row without one.
        is_enough: Whether it is believed; then it stays so.
    """

    frames: float = 0.0
    sightings: int = 0
    misses: int = 0
    is_enough: bool = False

    def seen(self, step_s: float, confirm_frames: int, weight: float = 1.0) -> None:
        """Adds a sighting.

        Args:
            step_s: Since the frame before.
            confirm_frames: Frames that are enough, 50 ms apart.
            weight: 1 of somebody who is seen well, less of who is not; below 0 it is evidence
                that nobody is there.
        """
        worth = _worth(step_s) if self.sightings else 1.0
        self.frames = max(self.frames + weight * worth, 0.0)
        self.sightings += 1
        self.misses = 0
        self.is_enough |= self.frames >= confirm_frames - ENOUGH

    def missed(self, step_s: float) -> None:
        """Counts a frame in which nobody was seen there."""
        self.frames *= math.exp(-step_s / FADE_S)
        self.misses += 1

    @property
    def is_over(self) -> bool:
        """Whether what is not believed yet is to be forgotten."""
        return self.misses >= MOST_MISSES


def frames_to_believe(step_s: float, confirm_frames: int) -> int:
    """How many frames in a row with somebody in sight it takes, ``step_s`` apart."""
    return 1 + math.ceil(max(confirm_frames - ENOUGH - 1.0, 0.0) / _worth(step_s))


def _worth(step_s: float) -> float:
    return min(max(step_s / FRAME_S, 1.0), MOST_FRAMES)

# SPDX-License-Identifier: Apache-2.0
"""The rule that turns measured times into a choice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter

__all__ = ['LEAST_AGREEMENT', 'Candidate', 'Timing', 'choose']

LEAST_AGREEMENT = 0.99  # of the pixels that fp32 is sure of have the same label
AS_FAST = 1.05  # times the fastest: what repeated runs of one candidate differ by
KEEPS_UP = 0.7  # of the time between two images; the rest is for what else a frame costs


@dataclass(frozen=True)
class Candidate:
    """A way to run a network on the CPU.

    Attributes:
        backend: Its row in the registry.
        precision: Its arithmetic, never 'auto'.
        threads: Of inference, at least 1.
    """

    backend: str
    precision: str
    threads: int

    def __str__(self) -> str:
        plural = '' if self.threads == 1 else 's'
        return f'{self.backend} {self.precision}, {self.threads} thread{plural}'


@dataclass(frozen=True)
class Timing:
    """What was measured of a candidate; a time is 0 where it was not taken.

    Attributes:
        candidate: What ran.
        agreement: Share of the pixels that fp32 is sure of with its label, 0 to 1.
        agreement_all: The same of all pixels, also of those that any rounding decides.
        median_ms: Of one image, beside the cameras.
        p95_ms: The same, which 19 of 20 images do not exceed.
        busy_ms: Median beside the cameras and one neighbour that wants a whole core; 0 where it
            was too slow to be asked.
        why_not: Why it cannot be taken; empty where it can.
    """

    candidate: Candidate
    agreement: float = 0.0
    agreement_all: float = 0.0
    median_ms: float = 0.0
    p95_ms: float = 0.0
    busy_ms: float = 0.0
    why_not: str = ''


def choose(
    rows: Sequence[Timing], cores: int, image_period_ms: float, precision: str, threads: int
) -> tuple[Timing, str] | None:
    """Returns the best of what was measured and why, or None where nothing fits the wish.

    The network is the bottleneck when nothing that leaves a core free keeps up with the images;
    then it may have every core, else one is left to the camera and the executor. Among those the
    fastest wins; what is as fast within 5 % is decided by a busy neighbour, and what is as fast
    beside it, too, by fewer threads: they leave most to the camera and to what a frame costs else.

    Args:
        rows: What was measured.
        cores: That this process may use.
        image_period_ms: Between two images of all the cameras together.
        precision: That was asked for, or 'auto'.
        threads: That were asked for, or 0.
    """
    fitting = [
        row
        for row in rows
        if not row.why_not
        and precision in ('auto', row.candidate.precision)
        and threads in (0, row.candidate.threads)
    ]
    if not fitting:
        return None
    modest = [row for row in fitting if row.candidate.threads < max(2, cores)]
    keeps_up = any(row.median_ms <= KEEPS_UP * image_period_ms for row in modest)
    field = modest if keeps_up else fitting
    # Those that were compared in turns, where there are any: the others had a first look only
    field = [row for row in field if row.busy_ms] or field
    for time_ms in (attrgetter('median_ms'), attrgetter('busy_ms')):
        limit_ms = AS_FAST * min(map(time_ms, field))
        field = [row for row in field if time_ms(row) <= limit_ms]
    best = min(field, key=lambda row: (row.candidate.threads, row.busy_ms, row.median_ms))
    if keeps_up:
        why = 'it keeps up with the cameras and leaves a core free'
    else:
        why = 'the network is the bottleneck and may have every core'
    return best, f'measured {best.median_ms:.0f} ms an image; {why}'

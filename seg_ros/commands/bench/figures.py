# SPDX-License-Identifier: Apache-2.0
"""The figures of ``seg_ros bench``: what they mean, how they follow from the samples, their bars.

Every figure is a ratio within one run, so that another machine or a busy one can be compared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, NamedTuple

import numpy as np

from seg_ros.commands.bench.page import view_figures
from seg_ros.core.units import NS_PER_MS, NS_PER_S

__all__ = [
    'FIGURES',
    'Figure',
    'Play',
    'auto_over_best',
    'figures_of',
    'labels_per_s',
    'overlap_figures',
    'table_of',
]


Samples = Mapping[str, Any]


class Figure(NamedTuple):
    """One figure and its bar.

    Attributes:
        meaning: For people.
        bar: What it must reach.
        at_least: Whether it must be the bar or more; else the bar or less.
    """

    meaning: str
    bar: float
    at_least: bool

    def holds(self, value: float) -> bool:
        return value >= self.bar if self.at_least else value <= self.bar


FIGURES: Mapping[str, Figure] = {
    'node_over_bare_latency': Figure(
        'median latency, image published to label received, over bare inference', 1.35, False
    ),
    'node_over_bare_rate': Figure('labels a second over bare inferences a second', 0.9, True),
    'over_textbook_throughput': Figure('labels a second over the textbook node', 1.4, True),
    'over_textbook_p95': Figure('p95 latency over the textbook node, saturated', 0.5, False),
    'auto_over_best': Figure(
        'labels a second with backend auto over those with the best one set by hand', 0.95, True
    ),
    'multi_camera_min_share': Figure(
        'labels over fair share, of the worst of four cameras', 0.9, True
    ),
    'memory_growth': Figure('memory after the last frame over after the first tenth', 1.02, False),
    'transport_loss': Figure('1920x1080 frames lost on the way at 30 Hz', 0, False),
    'overlapped_of_ideal': Figure(
        'overlapped_rate_ratio over (CPU + GPU) / max(CPU, GPU), on the stand-in', 0.85, True
    ),
    'view_of_a_core': Figure(
        "the page's processor time for a viewer of 5 pictures a second, of a core", 0.06, False
    ),
    'view_unwatched_of_a_core': Figure('the same while nobody looks', 0.005, False),
}

AGE = 'received_to_published'
# Times of a frame that are not the work of its processor
NOT_CPU = {'wait', 'turn', 'batch', 'infer', AGE, 'stamp_to_published'}


@dataclass(frozen=True)
class Play:
    """What a camera sent and what came of it, without the warm-up.

    Attributes:
        latencies_ms: Stamp of the image to arrival of what came of it, in order of arrival.
        rate_hz: Arrivals a second while the camera sent.
    """

    latencies_ms: tuple[float, ...]
    rate_hz: float

    @classmethod
    def of(cls, sent: Sequence[int], received: Sequence[Sequence[int]], warm_up_s: float) -> Play:
        """Returns it for stamps that were sent and ``(stamp, arrival)`` that came.

        What arrives before the warm-up is over or after the last image was sent does not count.
        """
        first_ns, last_ns = sent[0] + warm_up_s * NS_PER_S, sent[-1]
        counted = [row for row in received if first_ns <= row[1] <= last_ns]
        return cls(
            tuple((arrival - stamp) / NS_PER_MS for stamp, arrival in counted),
            len(counted) / ((last_ns - first_ns) / NS_PER_S),
        )

    def percentile(self, percent: float) -> float:
        """Returns a percentile of the latency (ms)."""
        return float(np.percentile(self.latencies_ms, percent))


def figures_of(raw: Samples) -> dict[str, float | None]:
    """Returns every figure of ``FIGURES``, None where there are no samples for it.

    Args:
        raw: The samples as ``bench`` takes them; a part that was not measured is missing.
    """
    bare_ms = [row['bare']['infer_ms'] for row in raw.get('rounds', ())]
    bare_hz = [1e3 / (sum(times) / len(times)) for times in bare_ms]
    bare_calm_ms = [row['bare_calm']['infer_ms'] for row in raw.get('rounds', ())]
    calm, busy, textbook = (_plays(raw, part) for part in ('calm', 'busy', 'textbook'))
    values: dict[str, float | None] = dict.fromkeys(FIGURES)
    if calm:
        values['node_over_bare_latency'] = median(
            play.percentile(50) / median(times)
            for play, times in zip(calm, bare_calm_ms, strict=True)
        )
        values['node_over_bare_rate'] = median(
            play.rate_hz / hz for play, hz in zip(busy, bare_hz, strict=True)
        )
    if textbook:
        pairs = list(zip(busy, textbook, strict=True))
        values['over_textbook_throughput'] = median(a.rate_hz / b.rate_hz for a, b in pairs)
        values['over_textbook_p95'] = median(a.percentile(95) / b.percentile(95) for a, b in pairs)
    if 'choice' in raw:
        values['auto_over_best'] = auto_over_best(raw)[1]
    if 'cameras' in raw:
        values['multi_camera_min_share'] = _min_share(raw['cameras'])
    if 'memory' in raw:
        values['memory_growth'] = raw['memory']['late_bytes'] / raw['memory']['early_bytes']
    if 'transport' in raw:
        values['transport_loss'] = float(
            sum(len(row['sent']) - len(row['received']) for row in raw['transport'].values())
        )
    if 'overlap' in raw:
        values['overlapped_of_ideal'] = _overlap(raw)['of_ideal']
    return {**values, **view_figures(raw)}


def auto_over_best(raw: Samples) -> tuple[str, float]:
    """Returns the best candidate, and what ``auto`` reaches of its rate in the same round.

    The best is the one with the largest median among those that ran in every round.
    """
    rates: dict[str, list[float]] = {}
    for row in raw['choice']['rounds']:
        for name, samples in row.items():
            play = Play.of(samples['sent'], samples['received'], raw['settings']['warm_up_s'])
            rates.setdefault(name, []).append(play.rate_hz)
    auto = rates.pop('auto')
    ran = {name: found for name, found in rates.items() if len(found) == len(auto)}
    best = max(ran, key=lambda name: median(ran[name]))
    return best, median(ours / theirs for ours, theirs in zip(auto, ran[best], strict=True))


def overlap_figures(raw: Samples) -> dict[str, float]:
    """Returns what two batches on their way are worth, on a GPU that is none; {} without samples.

    ``overlapped_rate_ratio``: frames a second with ``pipeline_depth`` 2 over those with 1.
    ``stand_in_wait_cpu_ms.{asleep, spinning}``: processor time of an inference that is waited for.
    ``cpu_overlapped_rate_ratio``: the rate with the network of a CPU backend in a thread of its
    own, two batches on their way, over that of the node as it is, which has one at a time.
    ``cpu_overlapped_age_ratio``: the same of the time from an image's arrival to its label.
    """
    found = {}
    if 'overlap' in raw:
        waits = raw['overlap']['wait_cpu_ms'].items()
        found['overlapped_rate_ratio'] = _overlap(raw)['ratio']
        found |= {f'stand_in_wait_cpu_ms.{name}': value for name, value in waits}
    if 'cpu_overlap' in raw:
        rows = raw['cpu_overlap']['rounds']
        found['cpu_overlapped_rate_ratio'] = median(
            row['2']['rate_hz'] / row['1']['rate_hz'] for row in rows
        )
        found['cpu_overlapped_age_ratio'] = median(
            row['2']['stages_ms'][AGE] / row['1']['stages_ms'][AGE] for row in rows
        )
    return found


def _overlap(raw: Samples) -> dict[str, float]:
    gpu_ms = raw['overlap']['execute_ms']
    ratios, shares = [], []
    for row in raw['overlap']['rounds']:
        stages = row['1']['stages_ms']
        cpu_ms = sum(value for name, value in stages.items() if name not in NOT_CPU)
        ratios.append(row['2']['rate_hz'] / row['1']['rate_hz'])
        shares.append(ratios[-1] / ((cpu_ms + gpu_ms) / max(cpu_ms, gpu_ms)))
    return {'ratio': median(ratios), 'of_ideal': median(shares)}


def labels_per_s(raw: Samples) -> float | None:
    """Returns the labels that came in a second of saturation, None where nobody measured."""
    rates = [play.rate_hz for play in _plays(raw, 'busy')]
    return median(rates) if rates else None


def _plays(raw: Samples, part: str) -> list[Play]:
    """Returns the plays of a part of every round."""
    warm_up_s = raw['settings']['warm_up_s']
    return [
        Play.of(row[part]['sent'], row[part]['received'], warm_up_s)
        for row in raw.get('rounds', ())
        if part in row
    ]


def _min_share(cameras: Samples) -> float:
    """Returns what the worst camera got of its fair share.

    That is all that it sent, or an even part of what the machine can do, if that is less.
    """
    done = sum(len(received) for received in cameras['received'])
    possible = max(done, cameras['bare_hz'] * cameras['seconds'])
    return min(
        len(received) / min(len(sent), possible / len(cameras['sent']))
        for sent, received in zip(cameras['sent'], cameras['received'], strict=True)
    )


def table_of(
    values: Mapping[str, float | None],
    no_textbook: str,
    no_overlap: str = '',
    no_choice: str = '',
) -> str:
    """Returns a table with each figure beside its bar.

    Args:
        values: As ``figures_of`` returns them.
        no_textbook: Why there was no textbook node to compare with, '' where there was one.
        no_overlap: Why nothing could overlap, '' where it could.
        no_choice: Why ``auto`` had no choice, '' where it had.
    """
    reasons = {'textbook': no_textbook, 'overlapped': no_overlap, 'auto': no_choice}
    lines = []
    for name, figure in FIGURES.items():
        value = values[name]
        bar = f'{"at least" if figure.at_least else "at most"} {figure.bar:g}'
        if value is None:
            why = next((text for part, text in reasons.items() if part in name), '')
            verdict, text = 'not measured', why or figure.meaning
        else:
            verdict, text = 'ok' if figure.holds(value) else 'MISSED', figure.meaning
        number = '-' if value is None else f'{value:.3f}'
        lines.append(f'{name:<25}{number:>8}  {bar:<14}{verdict:<13} {text}')
    return '\n'.join(lines)

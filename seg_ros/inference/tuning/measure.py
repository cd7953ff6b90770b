# SPDX-License-Identifier: Apache-2.0
"""Measures every candidate beside the load of cameras, and whether its labels are those of fp32.

Every candidate runs a few images; the fastest that agree then run in turns, so that whatever else
the machine does meanwhile hits all of them alike: first beside the cameras, then beside a busy
neighbour, too.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

import cv2
import numpy as np

from seg_ros.core.errors import SegRosError
from seg_ros.core.types import RgbBatch
from seg_ros.inference.base import InferenceBackend, InferenceResult
from seg_ros.inference.cpu_backend import available_cores, bf16_instructions
from seg_ros.inference.engine import Engine
from seg_ros.inference.tuning.choice import LEAST_AGREEMENT, Candidate, Timing

__all__ = ['Effort', 'candidates', 'measure', 'seeded_pictures', 'thread_counts']

FINALISTS = 4
LEAST_ROUNDS = 2
MS_PER_S = 1e3
REFERENCE = 'fp32'
SURE = round(0.7 * 255)  # of a label; below that rounding may decide. bf16 gives 98.2 % of all
# pixels of CamVid the label of fp32, 99.9 % of those, and the same mean IoU; int8 99.3 %
OUT_OF_TIME = 'there was no time left for it'

Make = Callable[[Candidate], InferenceBackend]
"""Makes a candidate's backend, loaded and warm; raises SegRosError where it cannot run here."""

Load = Callable[[int], AbstractContextManager[None]]
"""Puts the cameras' load and so many busy neighbours on the machine."""

Tell = Callable[[str, float], object]
"""Takes what is going on and the share that is done."""


@dataclass(frozen=True)
class Effort:
    """How much is measured.

    Attributes:
        first_runs: Images of every candidate.
        rounds: In which the finalists take turns, beside the cameras, at most.
        busy_rounds: The same beside a busy neighbour.
        budget_s: After which no other candidate is begun.
        turns_s: After which no other round is begun, of both kinds; two there are in any case.
    """

    first_runs: int = 5
    rounds: int = 12
    busy_rounds: int = 6
    budget_s: float = 8.0
    turns_s: float = 3.0  # all in all less than the node's 20 s


def thread_counts(cores: int) -> list[int]:
    """Returns the numbers of threads that are tried, the most first."""
    return sorted({cores, max(1, cores - 1), max(1, cores // 2)}, reverse=True)


def candidates(engine: Engine, precision: str = 'auto', threads: int = 0) -> list[Candidate]:
    """Returns what is measured, the ones with fp32 first: the others are held against them.

    Args:
        engine: What shall run.
        precision: The only one, or 'auto' for every one.
        threads: The only number, or 0.
    """
    kinds = [('onnxruntime', 'fp32'), ('openvino', 'fp32')]
    if bf16_instructions():
        kinds.append(('openvino', 'bf16'))
    if engine.cpu_int8_path is not None:
        kinds.append(('openvino', 'int8'))
    if engine.int8_path is not None:
        kinds.append(('onnxruntime', 'int8'))
    counts = [threads] if threads else thread_counts(available_cores())
    kinds = [kind for kind in kinds if precision in ('auto', kind[1])]
    return [Candidate(*kind, count) for count in counts for kind in kinds]


def measure(
    wanted: Sequence[Candidate],
    make: Make,
    pictures: RgbBatch,
    load: Load,
    tell: Tell = lambda _text, _share: None,
    effort: Effort | None = None,
) -> list[Timing]:
    """Returns a row per candidate, in their order.

    Args:
        wanted: What is measured.
        make: Makes the backend of one.
        pictures: ``(N, H, W, 3)`` at network size; times go over all of them.
        load: What runs beside it.
        tell: Is told how far it is.
        effort: How much is measured.

    Raises:
        SegRosError: Nothing at all can give the labels of fp32.
    """
    effort = effort or Effort()
    reference = _reference(wanted, make, pictures)
    rows: dict[Candidate, Timing] = {}
    finalists: dict[Candidate, InferenceBackend] = {}
    end_s = time.monotonic() + effort.budget_s
    try:
        with load(0):
            for number, candidate in enumerate(wanted):
                tell(f'Measuring {candidate}', 0.8 * number / len(wanted))
                if time.monotonic() > end_s:
                    rows[candidate] = Timing(candidate, why_not=OUT_OF_TIME)
                    continue
                try:
                    backend = make(candidate)
                except SegRosError as error:
                    rows[candidate] = Timing(candidate, why_not=str(error))
                    continue
                finalists[candidate] = backend
                rows[candidate] = _first_look(candidate, backend, pictures, reference, effort)
                _drop_slowest(finalists, rows)
            tell('Measuring the fastest in turns', 0.8)
            for candidate, times_ms in _in_turns(
                finalists, pictures, effort.rounds, effort
            ).items():
                rows[candidate] = replace(
                    rows[candidate],
                    median_ms=_rounded(np.median(times_ms)),
                    p95_ms=_rounded(np.percentile(times_ms, 95)),
                )
        tell('Measuring the fastest beside a busy neighbour', 0.9)
        with load(1):
            for candidate, times_ms in _in_turns(
                finalists, pictures, effort.busy_rounds, effort
            ).items():
                rows[candidate] = replace(rows[candidate], busy_ms=_rounded(np.median(times_ms)))
    finally:
        for backend in finalists.values():
            backend.close()
    return [rows[candidate] for candidate in wanted]


def seeded_pictures(size_wh: tuple[int, int], count: int = 3) -> RgbBatch:
    """Returns pictures with a sky, a road, walls and things on it, the same in every run."""
    width, height = size_wh
    random = np.random.default_rng(11)
    pictures = np.empty((count, height, width, 3), np.uint8)
    for picture in pictures:
        horizon = int(height * random.uniform(0.4, 0.55))
        picture[:horizon] = np.linspace(
            random.integers(120, 200, 3), random.integers(190, 250, 3), horizon
        )[:, np.newaxis]
        picture[horizon:] = random.integers(70, 130)
        for _ in range(12):  # walls and trees along both sides
            x, w = int(random.integers(0, width)), int(random.integers(width // 20, width // 5))
            if abs(x + w / 2 - width / 2) > width / 6:
                top = int(random.integers(0, horizon))
                colour = tuple(int(value) for value in random.integers(30, 200, 3))
                cv2.rectangle(picture, (x, top), (x + w, horizon + height // 12), colour, -1)
        for side in (-1, 1):  # kerb and lane marking
            for reach, colour in ((1.0, (170, 160, 150)), (0.45, (235, 235, 235))):
                foot = (int(width * (0.5 + side * reach * 0.6)), height)
                cv2.line(picture, (width // 2, horizon), foot, colour, max(1, width // 120))
        for _ in range(5):  # people and cars
            y = int(random.uniform(horizon, height * 0.8))
            tall = max(2, (y - horizon) // 2 + height // 14)
            wide = max(1, int(tall * random.choice([0.35, 1.6])))
            x = int(random.integers(0, width))
            colour = tuple(int(value) for value in random.integers(20, 220, 3))
            cv2.ellipse(picture, (x, y), (max(1, wide // 2), tall // 2), 0, 0, 360, colour, -1)
        noise = random.normal(0.0, 6.0, picture.shape)
        smooth = cv2.GaussianBlur(picture, (3, 3), 0)
        picture[:] = np.clip(smooth + noise, 0, 255).astype(np.uint8)
    return pictures


def _reference(wanted: Sequence[Candidate], make: Make, pictures: RgbBatch) -> InferenceResult:
    """Returns what the first backend says that computes in fp32 here."""
    names = dict.fromkeys(row.backend for row in wanted)
    threads = max((row.threads for row in wanted), default=1)
    failure: SegRosError | None = None
    for name in names:
        try:
            backend = make(Candidate(name, REFERENCE, threads))
        except SegRosError as error:
            failure = failure or error
            continue
        try:
            said = backend.infer(pictures, with_confidence=True)
            assert said.confidence is not None
            return InferenceResult(said.labels.copy(), said.confidence.copy())
        finally:
            backend.close()
    raise failure or SegRosError('There is nothing to measure: no backend has that precision.')


def _first_look(
    candidate: Candidate,
    backend: InferenceBackend,
    pictures: RgbBatch,
    reference: InferenceResult,
    effort: Effort,
) -> Timing:
    try:
        assert reference.confidence is not None
        same = backend.infer(pictures).labels == reference.labels
        sure = same[reference.confidence >= SURE]
        agreement = float(np.mean(sure if sure.size else same))
        times_ms = [_time_ms(backend, pictures, run) for run in range(effort.first_runs)]
    except SegRosError as error:
        return Timing(candidate, why_not=str(error))
    differs = agreement < LEAST_AGREEMENT
    return Timing(
        candidate,
        round(agreement, 5),
        round(float(np.mean(same)), 5),
        _rounded(np.median(times_ms)),
        _rounded(max(times_ms)),
        why_not=f'its labels differ from fp32 ({agreement:.1%} agree)' if differs else '',
    )


def _drop_slowest(
    finalists: dict[Candidate, InferenceBackend], rows: dict[Candidate, Timing]
) -> None:
    """Closes what cannot win: what may not be taken, and all but the fastest."""
    able = [row for row in finalists if not rows[row].why_not]
    kept = sorted(able, key=lambda row: rows[row].median_ms)[:FINALISTS]
    for candidate in [row for row in finalists if row not in kept]:
        finalists.pop(candidate).close()


def _in_turns(
    finalists: dict[Candidate, InferenceBackend],
    pictures: RgbBatch,
    rounds: int,
    effort: Effort,
) -> dict[Candidate, list[float]]:
    times_ms: dict[Candidate, list[float]] = {candidate: [] for candidate in finalists}
    end_s = time.monotonic() + effort.turns_s
    for run in range(rounds):
        if run >= LEAST_ROUNDS and time.monotonic() > end_s:
            break
        for candidate, backend in finalists.items():
            times_ms[candidate].append(_time_ms(backend, pictures, run))
    return times_ms


def _time_ms(backend: InferenceBackend, pictures: RgbBatch, run: int) -> float:
    """Returns the time of one image."""
    index = run % len(pictures)
    start_s = time.perf_counter()
    backend.infer(pictures[index : index + 1])
    return (time.perf_counter() - start_s) * MS_PER_S


def _rounded(ms: np.floating | float) -> float:
    return round(float(ms), 2)

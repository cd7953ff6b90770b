# SPDX-License-Identifier: Apache-2.0
"""``seg_ros faults``: breaks everything around the node, and judges every word of its stop.

Camera, node and witness are processes on a ROS graph of their own. The camera shows an empty road,
so that go is right; then something breaks (``cases.py``), and from a second later on every go that
the node says is false (``judgement.py``). Then it is mended, and the node must go on by itself.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import rclpy

from seg_ros.commands.faults.cases import CASES, Case, cases_named
from seg_ros.commands.faults.judgement import (
    Window,
    false_clears,
    longest_silence_s,
    stop_after_s,
    went_again_s,
)
from seg_ros.commands.faults.scene import write_engine
from seg_ros.commands.faults.stage import HOLD_S, START_S, FaultStage
from seg_ros.commands.shared.own_graph import own_graph
from seg_ros.commands.shared.progress import Progress
from seg_ros.core.errors import ConfigurationError
from seg_ros.files import write_whole
from seg_ros.inference.engine import load_engine

__all__ = ['Outcome', 'add_arguments', 'main', 'table']

ENGINE = 'roadsynth'  # its classes; its network does not run
DEATH_S = 0.1  # two heartbeats
HEALTHY_S = 0.3  # without a stop
POLL_S = 0.02
BEGIN, END = '<!-- written by seg_ros faults -->', '<!-- end -->'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--short', action='store_true', help='some 30 cases, in three minutes')
    parser.add_argument(
        '--only', default='', metavar='TEXT', help='cases with this in their names'
    )
    parser.add_argument('--list', action='store_true', help='print the names of the cases')
    parser.add_argument(
        '-o', '--output', type=Path, default=Path('out/faults.json'), help='(out/faults.json)'
    )
    parser.add_argument(
        '--table', type=Path, metavar='FILE', help='write the table into this page, too'
    )


def main(arguments: argparse.Namespace) -> int:
    """Runs the cases; returns 1 when a go was false or the node did not recover, else 0."""
    cases = cases_named(short=arguments.short, only=arguments.only)
    if not cases:
        raise ConfigurationError(f'--only {arguments.only}: no case has this name. Try --list.')
    if arguments.list:
        print('\n'.join(cases))
        return 0
    output: Path = arguments.output
    logs = output.with_suffix('')
    logs.mkdir(parents=True, exist_ok=True)
    for log in logs.glob('*.log'):
        log.unlink()
    graph = own_graph(os.environ, os.getpid())
    os.environ.clear()
    os.environ.update(graph.environment)
    with Progress(sys.stderr) as progress, tempfile.TemporaryDirectory() as folder:
        if graph.warning:
            progress.say(graph.warning)
        engine = Path(folder) / 'engine'
        write_engine(load_engine(ENGINE).folder, engine)
        rclpy.init(args=[])
        try:
            outcomes = list(_outcomes(cases, engine, logs, progress))
        finally:
            rclpy.try_shutdown()
    total = sum(row.false_clear for row in outcomes)
    figures = {'cases': [asdict(row) for row in outcomes], 'false_clear_total': total}
    write_whole(output, json.dumps(figures, indent=1) + '\n')
    if arguments.table:
        _write_table(arguments.table, outcomes)
    lost = [row.name for row in outcomes if not row.recovered]
    print(f'{len(outcomes)} faults, {sum(row.published for row in outcomes)} words of the stop, '
          f'{total} of them a false go. {output} has them, {logs} the logs.')  # fmt: skip
    for row in outcomes:
        if row.false_clear:
            print(f'False go, {row.false_clear} times: {row.name}.')
    for name in lost:
        print(f'Not recovered: {name}.')
    return 1 if total or lost else 0


@dataclass(frozen=True)
class Outcome:
    """What came of a fault.

    Attributes:
        name: Of the case.
        group: What broke.
        published: Words of the stop from its begin until the node was well again.
        false_clear: How many of them said go where nothing proved the way clear.
        stop_s: From its begin to the first stop; None where none was said.
        silence_s: Longest time without a word while it lasted.
        kinds: What the stop was about while it lasted, the most frequent first.
        recovered: Whether the node said go again within 2 s (and the hold); where a process died,
            whether a stop was said within two heartbeats.
        recovery_s: How long that took; None if it did not.
        rss_before_mb: What the node's process had in memory before.
        rss_after_mb: And after.
    """

    name: str
    group: str
    published: int
    false_clear: int
    stop_s: float | None
    silence_s: float
    kinds: tuple[str, ...]
    recovered: bool
    recovery_s: float | None
    rss_before_mb: float
    rss_after_mb: float


def _outcomes(
    cases: Mapping[str, Case], engine: Path, logs: Path, progress: Progress
) -> Iterator[Outcome]:
    """Runs the cases, those with sim time on a stage of their own."""
    for sim_time in (False, True):
        names = [name for name, case in cases.items() if case.sim_time == sim_time]
        if not names:
            continue
        with _staged(engine, logs, sim_time=sim_time) as stage:
            for name in names:
                progress.show(name)
                outcome = _run(stage, name, cases[name])
                if outcome.false_clear or not outcome.recovered:
                    progress.say(_line(outcome))
                yield outcome


@contextmanager
def _staged(engine: Path, logs: Path, *, sim_time: bool) -> Iterator[FaultStage]:
    stage = FaultStage(engine, logs, os.environ, sim_time=sim_time)
    try:
        yield stage
    finally:
        stage.close()


def _run(stage: FaultStage, name: str, case: Case) -> Outcome:
    """Breaks, waits, mends, and judges what was said."""
    if not stage.wait_for_go(START_S):
        stage.show_all_well()
        stage.restart_node()
        if not stage.wait_for_go(START_S):
            kinds = ', '.join(sorted({row.kind for _, row in list(stage.reasons)[-20:]}))
            raise ConfigurationError(f'The node says no go, though all is well: {kinds}.')
    rss_before_mb = stage.rss_mb()
    first = len(stage.words)
    if case.windows is not None:
        begun_ns = time.time_ns()
        windows = case.windows(stage)
        ended_ns = healed_ns = time.time_ns()
    else:
        begun_ns = _time_of(case.begin(stage))
        time.sleep(case.lasts_s)
        ended_ns = time.time_ns()
        grace_s = DEATH_S if case.is_death else case.grace_s
        windows = [Window(begun_ns, ended_ns, grace_s)] if case.must_stop else []
        healed_ns = _time_of(case.end(stage))
    most_s = case.recovery_s + HOLD_S
    is_well = _wait_until_well(stage, healed_ns, START_S if case.is_death else most_s)
    words = stage.words[first:]
    stop_s = stop_after_s(words, begun_ns)
    recovery_s = stop_s if case.is_death else went_again_s(words, healed_ns) if is_well else None
    limit_s = DEATH_S if case.is_death else most_s
    return Outcome(
        name,
        case.group,
        len(words),
        false_clears(words, windows),
        _rounded(stop_s),
        round(longest_silence_s(words, begun_ns, ended_ns), 3),
        _kinds(stage, begun_ns, ended_ns),
        recovery_s is not None and recovery_s <= limit_s,
        _rounded(recovery_s),
        round(rss_before_mb, 1),
        round(stage.rss_mb(), 1),
    )


def _time_of(answer: Any) -> int:
    """The time at which hands were through: what they say themselves, or now."""
    return answer if isinstance(answer, int) and answer > 1 else time.time_ns()


def _rounded(value_s: float | None) -> float | None:
    return None if value_s is None else round(value_s, 3)


def _wait_until_well(stage: FaultStage, since_ns: int, timeout_s: float) -> bool:
    """Returns whether go was said since then, and nothing but go for a moment."""
    deadline_s = time.monotonic() + timeout_s + HEALTHY_S
    while time.monotonic() < deadline_s:
        words = [word for word in stage.words[-400:] if word.said_ns >= since_ns]
        well_s = went_again_s(words, since_ns)
        if well_s is not None and words[-1].said_ns - since_ns > (well_s + HEALTHY_S) * 1e9:
            return True
        time.sleep(POLL_S)
    return False


def _kinds(stage: FaultStage, begun_ns: int, ended_ns: int) -> tuple[str, ...]:
    said = Counter(row.kind for at_ns, row in list(stage.reasons) if begun_ns <= at_ns <= ended_ns)
    said.pop('clear', None)
    return tuple(kind for kind, _ in said.most_common())


# The table


def table(outcomes: Sequence[Outcome]) -> str:
    """Returns the outcomes as a table in Markdown."""
    rows = [
        '| fault | the stop is about | words | false go | stop after, s | go again after, s |',
        '|---|---|---|---|---|---|',
    ]
    for group in dict.fromkeys(row.group for row in outcomes):
        rows += [f'| **{group}** | | | | | |']
        rows += [_line(row) for row in outcomes if row.group == group]
    words = sum(row.published for row in outcomes)
    false = sum(row.false_clear for row in outcomes)
    grown_mb = outcomes[-1].rss_after_mb - outcomes[0].rss_before_mb
    total = (
        f'{len(outcomes)} of {len(CASES)} faults, {words} words, {false} of them a false go; the '
        f'node had {grown_mb:+.1f} MB more at the end than at the beginning.'
    )
    return '\n'.join([*rows, '', total])


def _line(row: Outcome) -> str:
    kinds = ', '.join(f'`{kind}`' for kind in row.kinds[:3]) or '–'
    stop_s = '–' if row.stop_s is None else f'{row.stop_s:.2f}'
    go_s = '–' if row.recovery_s is None else f'{row.recovery_s:.2f}'
    return f'| {row.name} | {kinds} | {row.published} | {row.false_clear} | {stop_s} | {go_s} |'


def _write_table(page: Path, outcomes: Sequence[Outcome]) -> None:
    text = page.read_text(encoding='utf-8')
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ConfigurationError(f'{page} has no place for a table. Add {BEGIN} and {END}.')
    write_whole(page, f'{before}{BEGIN}\n\n{table(outcomes)}\n\n{END}{after}')

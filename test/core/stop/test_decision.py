# SPDX-License-Identifier: Apache-2.0
"""The kinds of a stop are one table, and what people read agrees with it."""

from __future__ import annotations

import pickle
import re

import pytest

from seg_ros.core.stop.config import StopConfig
from seg_ros.core.stop.decision import Cause, StopKind
from seg_ros.core.stop.zones import stopping_distance_m
from test.paths import REPOSITORY

NAME = re.compile(r'`([a-z_]+)`')
KIND = re.compile(r'`([a-z_]+)` as its reason')


def documented() -> set[str]:
    """The kinds that the manual's section of the stop names, in its table and below it."""
    section = (REPOSITORY / 'docs/stop.md').read_text().split('## The pedestrian stop\n')[1]
    table, below = section.split('\n## ')[0].split('| reason (`kind`) |')[1].split('\n\n', 1)
    cells = [row.rsplit('|', 2)[1] for row in table.splitlines()[2:]]
    return {name for text in cells for name in NAME.findall(text)} | set(KIND.findall(below))


def test_the_manual_names_every_kind_and_no_other() -> None:
    assert documented() == {str(kind) for kind in StopKind}


def test_the_catalogue_has_every_kind_with_its_cause_a_meaning_and_a_remedy() -> None:
    page = (REPOSITORY / 'docs/stop-reasons.md').read_text()
    head, *rows = re.findall(r'^\| `([a-z_]+)` \| (\w+) \| (.+) \| (.+) \|$', page, re.MULTILINE)
    assert head[0] == 'kind'
    found = {(kind, cause) for kind, cause, _, _ in rows}
    assert found == {(kind.value, kind.cause.value) for kind in StopKind}
    assert all(len(meaning) > 10 and len(remedy) > 4 for _, _, meaning, remedy in rows)


def test_the_worked_example_of_the_manual_is_what_the_stop_computes() -> None:
    page = (REPOSITORY / 'docs/stop.md').read_text()
    rows = re.findall(r'^\| ([\d.]+) m/s \| ([\d.]+) m \| ([\d.]+) m \|$', page, re.MULTILINE)
    assert len(rows) == 3
    for speed, zone, stand in ((float(a), float(b), float(c)) for a, b, c in rows):
        length_m = stopping_distance_m(speed, StopConfig())
        assert zone == pytest.approx(length_m, abs=0.05)
        assert zone - stand == pytest.approx(stopping_distance_m(0.0, StopConfig()))


def test_only_clear_is_no_stop() -> None:
    assert [kind for kind in StopKind if kind.cause is Cause.CLEAR] == [StopKind.CLEAR]


def test_people_come_before_faults_and_the_nearest_danger_first() -> None:
    people = sorted((kind for kind in StopKind if kind.cause is Cause.PERSON), key=by_rank)
    assert people == [StopKind.PERSON, StopKind.APPROACHING, StopKind.HOLD]
    others = {kind.rank for kind in StopKind if kind.cause is not Cause.PERSON}
    assert min(others) > max(kind.rank for kind in people)


@pytest.mark.parametrize('kind', StopKind)
def test_a_kind_is_its_name_wherever_it_is_written_and_survives_a_pickle(kind: StopKind) -> None:
    assert kind == kind.value == str(kind) == f'{kind}'
    assert pickle.loads(pickle.dumps(kind)) is kind
    assert StopKind.named(kind.value) is kind


def test_a_kind_of_a_later_version_counts_as_a_fault() -> None:
    assert StopKind.named('not_yet_thought_of').cause is Cause.FAULT


def by_rank(kind: StopKind) -> int:
    return kind.rank

# SPDX-License-Identifier: Apache-2.0
"""Children are watched, named when they die, and never left behind."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from seg_ros.commands.shared import children as module
from seg_ros.commands.shared.children import Child, Children, LatestCounts
from seg_ros.core.errors import SegRosError

SLEEPS = 'import time; print("ready", flush=True); time.sleep(60)'
STUBBORN = f'import signal; [signal.signal(n, signal.SIG_IGN) for n in (2, 15)]; {SLEEPS}'


def python(code: str) -> list[str]:
    return [sys.executable, '-c', code]


def until_ready(child: Child) -> None:
    deadline_s = time.monotonic() + 10.0
    while 'ready' not in child.log.read_text():
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


def until_ended(child: Child) -> int:
    deadline_s = time.monotonic() + 10.0
    while (code := child.exit_code) is None:
        assert time.monotonic() < deadline_s
        time.sleep(0.01)
    return code


def test_a_child_that_died_is_named_with_the_end_of_its_log(tmp_path: Path) -> None:
    code = 'print("\\n".join(f"line {n}" for n in range(30))); raise SystemExit(3)'
    with Children(tmp_path, os.environ) as children:
        child = children.start('camera', python(code))
        until_ended(child)
        with pytest.raises(SegRosError, match='camera ended early, with exit code 3') as caught:
            child.check()
    assert str(caught.value).endswith('line 28\n  line 29')
    assert 'line 17' not in str(caught.value)


def test_a_child_may_end_without_an_error_where_that_is_said(tmp_path: Path) -> None:
    with Children(tmp_path, os.environ) as children:
        child = children.start('camera', python('pass'))
        until_ended(child)
        child.check(may_end=True)
        with pytest.raises(SegRosError, match='exit code 0'):
            child.check()


def test_leaving_stops_every_child(tmp_path: Path) -> None:
    with Children(tmp_path, os.environ) as children:
        started = [children.start(name, python(SLEEPS)) for name in ('one', 'two')]
        for child in started:
            until_ready(child)
            child.check()
    assert all(child.exit_code is not None for child in started)


def test_a_child_that_ignores_signals_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, 'STOP_TIMEOUT_S', 0.1)
    with Children(tmp_path, os.environ) as children:
        child = children.start('node', python(STUBBORN))
        until_ready(child)
    assert child.exit_code == -9


def test_the_latest_whole_line_of_json_counts(tmp_path: Path) -> None:
    log = tmp_path / 'recorder.log'
    counts = LatestCounts(log)
    pieces = [
        ('', {}),
        ('Starting\n', {}),
        ('{"/label": 1}\n{"/label": 2}\n', {'/label': 2}),
        ('Something else\n{"/lab', {'/label': 2}),
        ('el": 3}\n', {'/label': 3}),
    ]
    for text, expected in pieces:
        with log.open('a') as file:
            file.write(text)
        assert counts.read() == expected

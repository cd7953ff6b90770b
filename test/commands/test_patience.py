# SPDX-License-Identifier: Apache-2.0
"""A command that waits shows that it lives."""

from __future__ import annotations

import io
import time
from collections.abc import Callable

import pytest

from seg_ros.commands.shared import patience as module
from seg_ros.commands.shared.patience import Patience


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, 'TICK_S', 0.02)
    monkeypatch.setattr(module, 'DOT_S', 0.04)


def until(condition: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 20.0
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.005)


def test_a_terminal_sees_what_is_waited_for_and_is_left_clean() -> None:
    stream = Terminal()
    with Patience(stream) as patience:
        patience.show('Looking')
        assert stream.getvalue().endswith('  Looking')
        until(lambda: 'Looking  0 s' in stream.getvalue())
    assert stream.getvalue().endswith('\r\x1b[K')


def test_a_log_gets_dots_only_after_a_while_and_ends_its_line() -> None:
    stream = io.StringIO()
    with Patience(stream) as patience:
        patience.show('Looking')
        until(lambda: stream.getvalue().count('.') >= 3)
    assert set(stream.getvalue()) == {'.', '\n'}
    quick = io.StringIO()
    with Patience(quick) as patience:
        patience.show('Looking')
    assert quick.getvalue() == ''

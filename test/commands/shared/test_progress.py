# SPDX-License-Identifier: Apache-2.0
"""Progress is one line on a terminal, and few lines in a log."""

from __future__ import annotations

import io

from seg_ros.commands.shared.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_has_one_line_that_changes_and_is_gone_in_the_end() -> None:
    terminal = Terminal()
    with Progress(terminal) as progress:
        progress.say('Demo')
        progress.show('1 of 2')
        progress.show('2 of 2')
    assert terminal.getvalue() == '\r\x1b[KDemo\n\r\x1b[K  1 of 2\r\x1b[K  2 of 2\r\x1b[K'


def test_a_log_gets_a_line_now_and_then_and_nothing_for_terminals() -> None:
    log = io.StringIO()
    with Progress(log) as progress:
        progress.say('Demo')
        for index in range(100):
            progress.show(f'{index} of 100')
    assert log.getvalue() == 'Demo\n  0 of 100\n'

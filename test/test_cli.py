# SPDX-License-Identifier: Apache-2.0
"""The command line itself, before any command."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from seg_ros.cli import COMMANDS, main
from test.paths import REPOSITORY

SAY_THREADS = """
import os, sys
from seg_ros.cli import main
assert 'numpy' not in sys.modules, 'numpy has read the variable already'
try:
    main(['--version'])
except SystemExit:
    print(os.environ['OPENBLAS_NUM_THREADS'])
"""

SAY_THREADS_OF_ROS2_RUN = """
import os, sys
from seg_ros.ros.process import main_process
assert 'numpy' not in sys.modules, 'numpy has read the variable already'
sys.argv = ['segmentation_node', '--help']
try:
    main_process()
except SystemExit as end:
    assert 'numpy' in sys.modules and end.code == 0
    print(os.environ['OPENBLAS_NUM_THREADS'])
"""


@pytest.mark.parametrize(
    'program', [SAY_THREADS, SAY_THREADS_OF_ROS2_RUN], ids=['cli', 'ros2 run']
)
@pytest.mark.parametrize(('chosen', 'taken'), [(None, '1'), ('4', '4')])
def test_numpy_gets_one_thread_unless_the_user_chose_a_number(
    chosen: str | None, taken: str, program: str
) -> None:
    environment = {k: v for k, v in os.environ.items() if k != 'OPENBLAS_NUM_THREADS'}
    if chosen is not None:
        environment['OPENBLAS_NUM_THREADS'] = chosen
    said = subprocess.run(
        [sys.executable, '-c', program],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout.split()[-1] == taken


@pytest.mark.parametrize(
    ('line', 'option'), [('seg_ros play ba', '--loop'), ('seg_ros calibrate ', '--lane-width')]
)
def test_a_shell_is_offered_the_commands_and_the_options_of_the_one_that_is_typed(
    line: str, option: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """argcomplete 3 sets these two variables, calls the command without words, and exits."""
    offered: list[argparse.ArgumentParser] = []

    def complete(parser: argparse.ArgumentParser) -> None:
        offered.append(parser)
        raise SystemExit(0)

    monkeypatch.setitem(sys.modules, 'argcomplete', SimpleNamespace(autocomplete=complete))
    monkeypatch.setenv('_ARGCOMPLETE', '1')
    monkeypatch.setenv('COMP_LINE', line)
    with pytest.raises(SystemExit):
        main([])
    (parser,) = offered
    (rows,) = (row for row in parser._actions if isinstance(row, argparse._SubParsersAction))
    assert set(rows.choices) == set(COMMANDS)
    command = rows.choices[line.split()[1]]
    assert option in {word for row in command._actions for word in row.option_strings}


def test_ros2_run_starts_what_is_tested_here() -> None:
    setup = (REPOSITORY / 'setup.py').read_text(encoding='utf-8')
    assert "'segmentation_node = seg_ros.ros.process:main_process'" in setup

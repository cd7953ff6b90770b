# SPDX-License-Identifier: Apache-2.0
"""The command line itself, before any command."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

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


def test_ros2_run_starts_what_is_tested_here() -> None:
    setup = (REPOSITORY / 'setup.py').read_text(encoding='utf-8')
    assert "'segmentation_node = seg_ros.ros.process:main_process'" in setup

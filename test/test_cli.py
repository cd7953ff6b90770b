# SPDX-License-Identifier: Apache-2.0
"""The command line itself, before any command."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

SAY_THREADS = """
import os, sys
from seg_ros.cli import main
assert 'numpy' not in sys.modules, 'numpy has read the variable already'
try:
    main(['--version'])
except SystemExit:
    print(os.environ['OPENBLAS_NUM_THREADS'])
"""


@pytest.mark.parametrize(('chosen', 'taken'), [(None, '1'), ('4', '4')])
def test_numpy_gets_one_thread_unless_the_user_chose_a_number(
    chosen: str | None, taken: str
) -> None:
    environment = {k: v for k, v in os.environ.items() if k != 'OPENBLAS_NUM_THREADS'}
    if chosen is not None:
        environment['OPENBLAS_NUM_THREADS'] = chosen
    said = subprocess.run(
        [sys.executable, '-c', SAY_THREADS],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout.split()[-1] == taken

# SPDX-License-Identifier: Apache-2.0
"""The Python of the training environment, for tests that play the user with both environments."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from test.paths import REPOSITORY

TRAINING_PYTHON = os.environ.get('SEG_ROS_TRAINING_PYTHON', '')

needs_training = pytest.mark.skipif(
    not TRAINING_PYTHON, reason='torch has an environment of its own: make test-training'
)


def run_training(*words: str | Path, folder: Path) -> str:
    """Run `python -m WORDS` of the training environment in a folder; returns what it printed."""
    environment = {**os.environ, 'PYTHONPATH': str(REPOSITORY), 'OMP_NUM_THREADS': '1'}
    done = subprocess.run(
        [TRAINING_PYTHON, '-m', *map(str, words)],
        cwd=folder,
        env=environment,
        text=True,
        capture_output=True,
        timeout=300.0,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout

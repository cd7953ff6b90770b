# SPDX-License-Identifier: Apache-2.0
"""How much of ``seg_ros/core`` its own tests run: lines, and branches, each of them.

    make coverage                               # some minutes; fails below 95 %

Only tests that are about the core are run: what a test of the node passes by is not held by it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from test.paths import REPOSITORY

LEAST_PERCENT = 95.0
TESTS = ('test/core', 'test/test_decisions.py', 'test/test_parameters.py')
LISTED = 12  # files, those with the most branches that no test takes


def main() -> int:
    """Returns 1 when there are fewer lines or branches than there should be, else 0."""
    with tempfile.TemporaryDirectory() as folder:
        data = f'--data-file={folder}/data'
        run = [sys.executable, '-m', 'coverage']
        words = ['run', '--branch', '--source=seg_ros/core', data, '-m', 'pytest', *TESTS]
        # Threads that wait for each other in turns make a busy machine ten times slower
        env = {**os.environ, 'OPENBLAS_NUM_THREADS': '1'}
        subprocess.run([*run, *words, *sys.argv[1:]], cwd=REPOSITORY, check=True, env=env)
        found = Path(folder) / 'found.json'
        words = ['json', '--quiet', data, '-o', str(found)]
        subprocess.run([*run, *words], cwd=REPOSITORY, check=True)
        figures = json.loads(found.read_text())
    files = sorted(
        (row['summary']['missing_branches'], row['summary']['missing_lines'], name, row)
        for name, row in figures['files'].items()
    )
    for branches, lines, name, row in files[: -LISTED - 1 : -1]:
        if branches + lines:
            print(f'{name}: lines {row["missing_lines"]}, branches {row["missing_branches"]}')
    total = figures['totals']
    percents = {
        'lines': 100.0 * total['covered_lines'] / total['num_statements'],
        'branches': 100.0 * total['covered_branches'] / total['num_branches'],
    }
    for name, count in (('lines', 'num_statements'), ('branches', 'num_branches')):
        print(f'{percents[name]:.1f} % of {total[count]} {name} of seg_ros/core')
    return int(min(percents.values()) < LEAST_PERCENT)


if __name__ == '__main__':
    sys.exit(main())

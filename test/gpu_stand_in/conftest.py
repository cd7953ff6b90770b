# SPDX-License-Identifier: Apache-2.0
"""Runs each test file of this folder in a process of its own, which has a GPU as far as it sees.

A driver that is loaded once stays: here every other test must find this machine without one. The
process sends its reports back, so that each test is a test of this run, and one that crashes is a
test that fails.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from test.gpu_stand_in.stand_in import StandIn, build, environment
from test.paths import REPOSITORY

REPORTS = 'SEG_ROS_STAND_IN_REPORTS'  # the file that the process inside writes to
TIMEOUT_S = 600.0  # of a file, on a machine that has much else to do
HERE = Path(__file__).parent

ran: dict[Path, dict[str, list[dict[str, Any]]]] = {}
ends: dict[Path, str] = {}


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> bool | None:
    """Takes the reports of the process inside; outside nothing is run."""
    path = Path(item.path)
    if REPORTS in os.environ or path.parent != HERE:
        return None
    if path not in ran:
        run_inside(item, path)
    hook, config = item.ihook, item.config
    hook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    for row in ran[path].get(item.nodeid, []):
        report = config.hook.pytest_report_from_serializable(config=config, data=row)
        hook.pytest_runtest_logreport(report=report)
    if item.nodeid not in ran[path]:
        report = pytest.TestReport(
            item.nodeid, item.location, {}, 'failed', f'It did not end: {ends[path]}', 'call'
        )
        hook.pytest_runtest_logreport(report=report)
    hook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


def run_inside(item: pytest.Item, path: Path) -> None:
    """Runs those tests of a file that were asked for."""
    asked = [row.nodeid for row in item.session.items if Path(row.path) == path]
    reports: dict[str, list[dict[str, Any]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / 'reports.jsonl'
        words = [sys.executable, '-m', 'pytest', '-q', '-p', 'no:cacheprovider', *asked]
        try:
            build(Path(folder))
            child = subprocess.run(
                words,
                env=environment(Path(folder), **{REPORTS: str(file)}),
                cwd=REPOSITORY,
                capture_output=True,
                text=True,
                timeout=TIMEOUT_S,
                check=False,
            )
            ends[path] = f'exit {child.returncode}\n{child.stdout[-2000:]}{child.stderr[-2000:]}'
        except subprocess.TimeoutExpired:
            ends[path] = f'its process took more than {TIMEOUT_S:.0f} s'
        if file.exists():
            for line in file.read_text(encoding='utf-8').splitlines():
                row = json.loads(line)
                reports.setdefault(row['nodeid'], []).append(row)
    whole = {
        name: rows for name, rows in reports.items() if any(r['when'] == 'teardown' for r in rows)
    }
    ran[path] = whole


@pytest.hookimpl(trylast=True)
def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Sends a report out."""
    if REPORTS in os.environ:
        data = report._to_json()
        data['$report_type'] = 'TestReport'
        with Path(os.environ[REPORTS]).open('a', encoding='utf-8') as file:
            file.write(json.dumps(data, default=str) + '\n')


@pytest.fixture
def gpu() -> Iterator[StandIn]:
    """The GPU that is none; nothing must be wrong or open at the end of a test."""
    stand_in = StandIn()
    with stand_in.unharmed():
        yield stand_in


@pytest.fixture
def careless_gpu() -> StandIn:
    """The same for a test that looks at the end by itself."""
    return StandIn()

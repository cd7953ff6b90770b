# SPDX-License-Identifier: Apache-2.0
"""A mounting that the lane contradicts is told in the diagnostics and, once, in the log."""

from __future__ import annotations

from pathlib import Path

import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus

from test.ros.graph import Graph, latest_status, values_of, wait_for
from test.ros.nodes import canned

PROBLEM = 'set mount.pitch to 0.060'


def test_a_contradicted_mounting_is_an_error_of_the_camera(
    graph: Graph, engine: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    messages = graph.collect(DiagnosticArray, '/diagnostics')
    node = graph.node(**canned(engine))
    wait_for(
        lambda: values_of(latest_status(messages)).get('mounting') == 'not contradicted',
        'the diagnostics',
    )
    port = node._ports['camera']
    port.decisions._mounting.problem = PROBLEM
    port.statistics.received = 1  # a camera that sends nothing has other troubles
    wait_for(lambda: values_of(latest_status(messages))['mounting'] == PROBLEM, 'the problem')
    status = latest_status(messages)
    assert (status.level, status.message) == (DiagnosticStatus.ERROR, PROBLEM)
    count = len(messages)
    wait_for(lambda: len(messages) > count + 3, 'more of them')
    port.decisions._mounting.problem = ''
    wait_for(lambda: latest_status(messages).message != PROBLEM, 'its end')
    log = capfd.readouterr()
    assert (log.out + log.err).count(f'Camera camera: {PROBLEM}.') == 1
    assert 'agree with the mounting again' in log.out + log.err

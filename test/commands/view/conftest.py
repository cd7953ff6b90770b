# SPDX-License-Identifier: Apache-2.0
"""What the tests on the graph share, and a node that is looked at."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from test.ros.drive import Drive
from test.ros.fixtures import *  # noqa: F403
from test.ros.graph import Graph, wait_for
from test.ros.mounted_camera import WHERE, camera_info, person_at
from test.ros.nodes import canned
from test.ros.processes import started_on

Serve = Callable[..., int]


@pytest.fixture
def serve(domain_id: int, tmp_path: Path) -> Iterator[Serve]:
    """Starts ``seg_ros view`` with more words; returns its port."""
    log = tmp_path / 'view.log'
    with started_on(domain_id, log, ['seg_ros.cli', 'view', '--port', '0']) as start:

        def serving(*words: str) -> int:
            process = start(*words)

            def port() -> int:
                text = log.read_text()
                assert process.poll() is None, text
                found = re.search(r'Look at http://[^:]+:(\d+)/', text)
                return int(found[1]) if found else 0

            return wait_for(port, 'the address is printed')

        yield serving


@pytest.fixture
def drive(graph: Graph, engine: Path) -> Iterator[Drive]:
    """The node, and a camera with somebody in front of it."""
    graph.node(**canned(engine, **WHERE, **{'stop.zone': 'polygon', 'stop.polygon_m': [9.0, 1.5]}))
    made = Drive(graph, image=person_at(8.0, 0.0), info=camera_info())
    yield made
    made.close()

# SPDX-License-Identifier: Apache-2.0
"""What every test on the graph needs: an own domain, an engine, the graph.

A conftest.py whose tests need them says ``from test.ros.fixtures import *``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from test.ros.graph import Graph, graph_of
from test.tiny_onnx import write_engine

__all__ = ['domain_id', 'engine', 'graph']


@pytest.fixture(scope='session')
def domain_id() -> int:
    """A DDS domain of this process alone, so that parallel runs do not see each other."""
    os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    number = 1 + os.getpid() % 100
    os.environ['ROS_DOMAIN_ID'] = str(number)
    return number


@pytest.fixture(scope='session')
def engine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny engine; with the canned backend an image in its colours gets exactly those labels."""
    return write_engine(tmp_path_factory.mktemp('engines') / 'tiny')


@pytest.fixture
def graph(domain_id: int) -> Iterator[Graph]:
    with graph_of(domain_id) as made:
        yield made

# SPDX-License-Identifier: Apache-2.0
"""What the tests of replay share."""

from __future__ import annotations

from pathlib import Path

import pytest

from seg_ros.core.parameters.node_config import NodeConfig
from seg_ros.core.parameters.option import config_from_values
from test.tiny_onnx import write_engine


@pytest.fixture(scope='session')
def engine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny engine; with the canned backend an image in its colours gets exactly those labels."""
    return write_engine(tmp_path_factory.mktemp('engines') / 'tiny')


@pytest.fixture
def config(engine: Path) -> NodeConfig:
    return config_from_values(NodeConfig(), {'engine': str(engine), 'backend': 'canned'})

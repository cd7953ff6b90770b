# SPDX-License-Identifier: Apache-2.0
"""Launch files without launch: the stand-in is in place for every test of this folder."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

STAND_IN = Path(__file__).parent / 'stand_in'


@pytest.fixture(autouse=True)
def launch_packages(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    if importlib.util.find_spec('launch_ros') is not None:
        pytest.skip('launch_ros is installed: this test is for machines without it')
    monkeypatch.syspath_prepend(str(STAND_IN))
    yield
    for name in list(sys.modules):
        if name.split('.')[0] in ('launch', 'launch_ros') or name == 'seg_ros.ros.launching':
            del sys.modules[name]

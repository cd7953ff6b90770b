# SPDX-License-Identifier: Apache-2.0
"""Builds and backends of which a test says when they end, and a GPU that the registry sees."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from seg_ros.inference import registry
from seg_ros.inference.canned_backend import CannedBackend
from seg_ros.inference.engine import Engine
from seg_ros.inference.tensorrt.backend import TensorrtBackend
from seg_ros.inference.tensorrt.background_build import BackgroundBuild, BuildState
from test.fake_tensorrt import FakeMachine


class Named(CannedBackend):
    """A fake whose labels are all the same number."""

    def __init__(self, engine: Engine, name: str, label: int) -> None:
        super().__init__(engine, labels=lambda images: np.full(images.shape[:3], label, np.uint8))
        self.name = name
        self.detail = f'{name} in detail'
        self.closed = 0

    def close(self) -> None:
        self.closed += 1
        super().close()


class FakeBuild:
    """A build that ends when it is told."""

    def __init__(self) -> None:
        self.ended = threading.Event()
        self.failure = ''
        self.closed = False

    def state(self) -> BuildState:
        return BuildState(self.ended.is_set(), self.failure, 'Timing tactics', 0.4, 12.3)

    def wait(self) -> BuildState:
        self.ended.wait()
        return self.state()

    def end(self, failure: str = '') -> None:
        self.failure = failure
        self.ended.set()

    def close(self) -> None:
        self.closed = True
        self.end('it was ended')


def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    end_s = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end_s, 'it did not happen in time'
        time.sleep(0.002)


def build_of(code: str) -> BackgroundBuild:
    return BackgroundBuild([sys.executable, '-c', code])


class Stub:
    """A build of which the test says when it has ended."""

    def __init__(self, command: list[str]) -> None:
        self.command = command
        self.build = build_of('import sys; sys.stdin.read(1); print(\'{"plan": "x"}\')')
        stubs.append(self)

    def end(self) -> None:
        assert self.build._process.stdin is not None
        self.build._process.stdin.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.build, name)


stubs: list[Stub] = []


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> FakeMachine:
    """A machine with a GPU, as far as the registry sees."""
    machine = FakeMachine()

    def made(*words: Any, **more: Any) -> TensorrtBackend:
        return TensorrtBackend(*words, stack=machine.stack, **more)

    monkeypatch.setattr('seg_ros.inference.tensorrt.backend.gpu_stack', lambda: machine.stack)
    monkeypatch.setattr(registry, 'BackgroundBuild', Stub)
    stubs.clear()
    return machine

# SPDX-License-Identifier: Apache-2.0
"""One backend that serves at once and another that takes over between two frames when it can."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple, Protocol

from seg_ros.core.errors import SegRosError
from seg_ros.core.types import RgbBatch
from seg_ros.inference.base import (
    InferenceBackend,
    InferenceResult,
    OverlappingBackend,
    Pending,
    check_batch,
)
from seg_ros.inference.tensorrt.background_build import BuildState

__all__ = ['BackendStatus', 'Build', 'SwitchableBackend', 'backend_status', 'is_measuring']

STOP_TIMEOUT_S = 10.0  # a build is killed after 5 s; the rest is a plan that is just loading

BUILDING, LOADING, READY, FAILED = 'building', 'loading', 'ready', 'failed'
MEASURING = 'measuring'


class BackendStatus(NamedTuple):
    """What a backend is about.

    Attributes:
        state: 'ready'; 'building', 'measuring' or 'loading' while another serves meanwhile;
            'failed' when that other serves for good.
        progress: Of the build, 0 to 1.
        reason: A sentence for people; empty where there is nothing to say.
    """

    state: str
    progress: float
    reason: str


class Build(Protocol):
    """What makes the other backend possible; ``BackgroundBuild`` is one."""

    def state(self) -> BuildState: ...

    def wait(self) -> BuildState: ...

    def close(self) -> None: ...


class SwitchableBackend:
    """Serves with a backend until a better one can be made; see ``InferenceBackend``.

    Args:
        serving: Serves from the start; closed when it is no longer needed.
        build: Is waited for, in a thread.
        make: Makes the better backend after that, in the same thread, loaded and warm.
        better: Name of the better backend, for people.
        is_tune: Whether what is waited for is a measurement of what is the better one; then no
            image should come before it has ended (``is_measuring``).

    Attributes:
        name: Of the backend that serves now.
        detail: Of the backend that serves now.
    """

    def __init__(
        self,
        serving: InferenceBackend,
        build: Build,
        make: Callable[[], InferenceBackend],
        better: str,
        *,
        is_tune: bool = False,
    ) -> None:
        self.engine = serving.engine
        self._serve_with(serving)
        self._build = build
        self._make = make
        self._better = better
        self._is_tune = is_tune
        self._next: InferenceBackend | None = None
        self._state = BUILDING
        self._failure = ''
        self._is_closed = False
        self._lock = threading.Lock()  # of _next and _is_closed
        self._thread = threading.Thread(target=self._prepare, name='plan-switch', daemon=True)
        self._thread.start()

    @property
    def max_batch(self) -> int:
        """Of the backend that serves now."""
        return self._serving.max_batch

    @property
    def overlaps(self) -> bool:
        """Whether the backend that serves now does."""
        return self._overlapping is not None and self._overlapping.overlaps

    @property
    def is_measuring(self) -> bool:
        """Whether nobody knows yet what is to serve, and whoever serves would be in the way."""
        return self._is_tune and self._next is None and self._state in (BUILDING, LOADING)

    def status(self) -> BackendStatus:
        """Returns what is going on; never waits."""
        if self._state == FAILED and self._is_tune:
            return BackendStatus(
                FAILED, 0.0, f'{self.name} serves; what is fastest is not known: {self._failure}'
            )
        if self._state == FAILED:
            return BackendStatus(
                FAILED, 0.0, f'{self.name} serves, for {self._better} failed: {self._failure}'
            )
        if self._state == READY:
            if self._is_tune:
                return BackendStatus(
                    READY, 1.0, f'{self.name} serves, measured to be the fastest: {self.detail}'
                )
            return BackendStatus(READY, 1.0, f'{self.name} serves since its plan is built')
        build = self._build.state()
        if self._state == LOADING:
            return BackendStatus(LOADING, 1.0, f'{self.name} serves while {self._better} loads')
        if self._is_tune:
            return BackendStatus(
                MEASURING,
                build.share,
                f'it is measured what is fastest here: {build.share:.0%} after '
                f'{build.elapsed_s:.0f} s ({build.phase})',
            )
        return BackendStatus(
            BUILDING,
            build.share,
            f'{self.name} serves while the plan of {self._better} is built: {build.share:.0%} '
            f'after {build.elapsed_s:.0f} s ({build.phase})',
        )

    def infer(self, images: RgbBatch, *, with_confidence: bool = False) -> InferenceResult:
        """Returns labels, and confidence if asked for; see ``InferenceBackend.infer``.

        The frame with which the better backend takes over is its first; if it fails on it, the
        old one serves that frame and all that follow.
        """
        check_batch(images, self.engine)
        with self._lock:
            better, self._next = self._next, None
        if better is None:
            return self._serving.infer(images, with_confidence=with_confidence)
        try:
            result = better.infer(images, with_confidence=with_confidence)
        except SegRosError as error:
            self._fail(str(error))
            with suppress(SegRosError):  # of what has just failed
                better.close()
            return self._serving.infer(images, with_confidence=with_confidence)
        old = self._serving
        self._serve_with(better)
        self._state = READY
        with suppress(SegRosError):  # the frame is served, whatever becomes of the old one
            old.close()
        return result

    def room(self, count: int) -> RgbBatch:
        """Returns that of the backend that serves now, which overlaps."""
        assert self._overlapping is not None
        return self._overlapping.room(count)

    def begin(self, images: RgbBatch, *, with_confidence: bool = False) -> Pending:
        """Lets the backend that serves begin; see ``OverlappingBackend.begin``.

        With the frame with which the better one takes over it waits: if that fails, it is the old
        one's.
        """
        if self._next is None and self._overlapping is not None and self.overlaps:
            return self._overlapping.begin(images, with_confidence=with_confidence)
        result = self.infer(images, with_confidence=with_confidence)
        return lambda: result

    def close(self) -> None:
        """Ends the build and closes what is open; a second call does nothing."""
        with self._lock:
            self._is_closed = True
            better, self._next = self._next, None
        self._build.close()
        self._thread.join(STOP_TIMEOUT_S)
        if better is not None:
            better.close()
        self._serving.close()

    def _serve_with(self, backend: InferenceBackend) -> None:
        self._serving, self.name, self.detail = backend, backend.name, backend.detail
        self._overlapping = backend if isinstance(backend, OverlappingBackend) else None

    def _prepare(self) -> None:
        """Waits for the build and makes the better backend; runs in a thread."""
        build = self._build.wait()
        if build.failure:
            self._fail(build.failure)
            return
        self._state = LOADING
        try:
            better = self._make()
        except SegRosError as error:
            self._fail(str(error))
            return
        except Exception as error:  # of a library: this thread would end, and nobody be told
            self._fail(f'{type(error).__name__}: {error}')
            return
        with self._lock:
            if not self._is_closed:
                self._next = better
                return
        better.close()

    def _fail(self, why: str) -> None:
        self._failure = why
        self._state = FAILED


def backend_status(backend: InferenceBackend) -> BackendStatus:
    """Returns what a backend is about; most are simply ready."""
    if isinstance(backend, SwitchableBackend):
        return backend.status()
    return BackendStatus(READY, 1.0, '')


def is_measuring(backend: InferenceBackend) -> bool:
    """Whether it is still being measured what is to serve, so that nothing should run beside."""
    return isinstance(backend, SwitchableBackend) and backend.is_measuring

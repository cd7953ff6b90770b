# SPDX-License-Identifier: Apache-2.0
"""A backend that lives in one thread, because what it holds belongs to the thread that uses it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from queue import SimpleQueue
from typing import Any, TypeVar

from seg_ros.core.errors import BackendError
from seg_ros.core.types import RgbBatch
from seg_ros.inference.base import (
    InferenceBackend,
    InferenceResult,
    OverlappingBackend,
    Pending,
)

__all__ = ['OneThreadBackend']

Result = TypeVar('Result')


class OneThreadBackend:
    """Makes, runs and closes another backend in one thread; see ``InferenceBackend``.

    A CUDA context is current in a thread. The node makes a backend in the thread that configures
    or in the one that waits for a plan, runs it in the worker's and closes it in the executor's:
    whoever asks, here the GPU has one owner, and nothing is left in threads that have ended. A
    thread of its own also loads a plan while another backend still serves the worker.

    Args:
        make: Makes the backend, loaded and warm.
    """

    def __init__(self, make: Callable[[], InferenceBackend]) -> None:
        self._orders: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        self._lock = threading.Lock()  # of _is_closed and the order in the queue
        self._is_closed = False
        # A daemon: a GPU that hangs must not keep the process from ending.
        self._thread = threading.Thread(target=self._work, name='gpu', daemon=True)
        self._thread.start()
        try:
            self._backend = self._asked(make).result()
        except BaseException:
            self._end()
            raise
        self.name = self._backend.name
        self.detail = self._backend.detail
        self.engine = self._backend.engine
        backend = self._backend
        self._overlapping = backend if isinstance(backend, OverlappingBackend) else None

    @property
    def max_batch(self) -> int:
        return self._backend.max_batch

    @property
    def overlaps(self) -> bool:
        """Whether the other does."""
        return self._overlapping is not None and self._overlapping.overlaps

    def room(self, count: int) -> RgbBatch:
        """Returns the other's, which asks nothing of the GPU."""
        assert self._overlapping is not None
        return self._overlapping.room(count)

    def infer(self, images: RgbBatch, *, with_confidence: bool = False) -> InferenceResult:
        """Returns labels, and confidence if asked for; see ``InferenceBackend.infer``."""
        infer = partial(self._backend.infer, images, with_confidence=with_confidence)
        return self._asked_open(infer).result()

    def begin(self, images: RgbBatch, *, with_confidence: bool = False) -> Pending:
        """Returns as soon as the GPU has its work; see ``OverlappingBackend.begin``.

        To hand it over and go on at once would let this thread hold Python's lock, while the
        other needs it for every call of CUDA.
        """
        assert self._overlapping is not None
        begin = partial(self._overlapping.begin, images, with_confidence=with_confidence)
        pending = self._asked_open(begin).result()
        return self._asked(pending).result

    def close(self) -> None:
        """Closes the backend after what was asked before; a second call does nothing."""
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
            asked = self._asked(self._backend.close)
        try:
            asked.result()
        finally:
            self._end()

    def _asked_open(self, work: Callable[[], Result]) -> Future[Result]:
        """Asks for what a closed backend does not do any more."""
        with self._lock:
            if self._is_closed:
                raise BackendError(
                    f"Backend '{self.name}' of engine '{self.engine.name}' is closed. Create a "
                    'new one.'
                )
            return self._asked(work)

    def _asked(self, work: Callable[[], Result]) -> Future[Result]:
        future: Future[Result] = Future()
        self._orders.put((future, work))
        return future

    def _end(self) -> None:
        self._orders.put(None)
        self._thread.join()

    def _work(self) -> None:
        while (order := self._orders.get()) is not None:
            future, work = order
            try:
                future.set_result(work())
            except BaseException as error:  # whoever asked is told
                future.set_exception(error)
            del order, future, work  # nothing is kept alive while this waits

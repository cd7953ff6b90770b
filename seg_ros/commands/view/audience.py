# SPDX-License-Identifier: Apache-2.0
"""Audience: who looks at which camera, the newest view of each, and what they ask to be changed.

The only thing that the threads of the server and the thread of the graph share.
"""

from __future__ import annotations

import queue
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from seg_ros.core.errors import SegRosError

__all__ = ['Audience', 'LiveView', 'Request', 'TooMany']

MOST_VIEWERS = 8
ANSWER_TIMEOUT_S = 240.0  # an engine is loaded meanwhile


class TooMany(SegRosError):
    """As many look already as this machine can serve."""


@dataclass(frozen=True)
class LiveView:
    """What is shown of one camera.

    Attributes:
        number: Rises from view to view; the audience gives it.
        scene: For the page, as JSON has it.
        picture: A JPEG, empty while there is none.
        picture_number: Changes with the picture.
    """

    number: int = 0
    scene: dict[str, Any] = field(default_factory=dict)
    picture: bytes = b''
    picture_number: int = 0


class Request:
    """Something that only the thread of the graph can do, and its answer.

    Args:
        do: Is called by it.
    """

    def __init__(self, do: Callable[[], Any]) -> None:
        self._do = do
        self._is_done = threading.Event()
        self._answer: Any = None
        self._error: Exception | None = None

    def run(self) -> None:
        try:
            self._answer = self._do()
        except Exception as error:  # it is raised again where somebody waits for the answer
            self._error = error
        self._is_done.set()

    def wait(self) -> Any:
        """Returns the answer; raises what came of it instead."""
        if not self._is_done.wait(ANSWER_TIMEOUT_S):
            raise SegRosError('No answer came in time. Look at the log of the node.')
        if self._error is not None:
            raise self._error
        return self._answer


class Audience:
    """Thread-safe. Cameras are known by their names; the empty name stands for the first one."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._viewers: Counter[str] = Counter()
        self._views: dict[str, LiveView] = {}
        self._shown = 0
        self._requests: queue.SimpleQueue[Request] = queue.SimpleQueue()

    # Of the server's threads

    @contextmanager
    def seat(self, camera: str) -> Iterator[None]:
        """Within it somebody looks at a camera.

        Raises:
            TooMany: So many look already.
        """
        with self._changed:
            if self._viewers.total() >= MOST_VIEWERS:
                raise TooMany(f'{MOST_VIEWERS} look already. Close one of the other pages.')
            self._viewers[camera] += 1
            self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._viewers[camera] -= 1
                self._viewers += Counter()  # leaves out who is nobody
                self._changed.notify_all()

    def next(self, camera: str, after: int, timeout_s: float) -> LiveView | None:
        """Returns a view that is newer than one of that number; None if none comes in time."""
        with self._changed:
            self._changed.wait_for(lambda: self._view(camera).number > after, timeout_s)
            view = self._view(camera)
            return view if view.number > after else None

    def newest(self, camera: str) -> LiveView:
        with self._changed:
            return self._view(camera)

    def ask(self, do: Callable[[], Any]) -> Any:
        """Has the thread of the graph do something; returns what it returns, or raises."""
        request = Request(do)
        with self._changed:
            self._requests.put(request)
            self._changed.notify_all()
        return request.wait()

    # Of the graph's thread

    def cameras(self) -> list[str]:
        """Returns which cameras somebody looks at."""
        with self._changed:
            return sorted(self._viewers)

    def show(self, camera: str, view: LiveView) -> None:
        with self._changed:
            self._shown += 1
            self._views[camera] = replace(view, number=self._shown)
            self._changed.notify_all()

    def forget(self, camera: str) -> None:
        """Nobody is to see a view that was made for others."""
        with self._changed:
            self._views.pop(camera, None)

    def requests(self) -> Iterator[Request]:
        """Yields what is asked for by now."""
        while not self._requests.empty():
            yield self._requests.get()

    def await_somebody(self, timeout_s: float) -> None:
        """Sleeps until somebody looks or asks for something."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._viewers.total() > 0 or not self._requests.empty(), timeout_s
            )

    def _view(self, camera: str) -> LiveView:
        return self._views.get(camera, LiveView())

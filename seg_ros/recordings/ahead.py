# SPDX-License-Identifier: Apache-2.0
"""Runs an iterator ahead of its consumer, in a thread, as far as a budget of memory allows."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator
from typing import Generic, TypeVar, final

__all__ = ['Ahead']

LEAVE_S = 1.0

Item = TypeVar('Item')


@final
class Ahead(Generic[Item]):
    """Iterates over what a thread has made already; a context manager.

    Args:
        items: Is iterated over in the thread, and closed there. What it raises is raised by
            ``next`` in its turn.
        budget: How much may wait to be taken, by the sum of ``cost``; one item always may.
        cost: What an item weighs.
    """

    def __init__(
        self, items: Iterator[Item], budget: float, cost: Callable[[Item], float] = lambda _: 1.0
    ) -> None:
        self._items = items
        self._budget = budget
        self._cost = cost
        self._ready: deque[Item] = deque()
        self._weight = 0.0
        self._finished = self._full = False
        self._error: BaseException | None = None
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name='ahead', daemon=True)

    def __enter__(self) -> Ahead[Item]:
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        with self._changed:
            self._finished = True
            self._changed.notify_all()
        self._thread.join(LEAVE_S)  # it may be in the middle of a long item

    def __iter__(self) -> Ahead[Item]:
        return self

    def __next__(self) -> Item:
        with self._changed:
            self._changed.wait_for(lambda: self._ready or self._finished)
            if not self._ready:
                if self._error is not None:
                    raise self._error
                raise StopIteration
            item = self._ready.popleft()
            self._weight -= self._cost(item)
            self._changed.notify_all()
            return item

    @property
    def waiting(self) -> int:
        """How many items wait to be taken."""
        return len(self._ready)

    @property
    def far_enough(self) -> bool:
        """Whether there are no more items, or no budget for more."""
        return self._finished or self._full

    def _run(self) -> None:
        try:
            for item in self._items:
                if not self._store(item):
                    break
            if isinstance(self._items, Generator):
                self._items.close()
        except BaseException as error:  # it is raised where the item was wanted
            self._error = error
        with self._changed:
            self._finished = True
            self._changed.notify_all()

    def _store(self, item: Item) -> bool:
        weight = self._cost(item)
        with self._changed:
            while self._ready and not self._finished and self._weight + weight > self._budget:
                self._full = True
                self._changed.wait()
            self._full = False
            if self._finished:
                return False
            self._ready.append(item)
            self._weight += weight
            self._changed.notify_all()
            return True

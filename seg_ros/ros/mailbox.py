# SPDX-License-Identifier: Apache-2.0
"""Latest frame wins: one slot a camera between the executor and the worker thread."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Generic, TypeVar

__all__ = ['Mailbox']

Item = TypeVar('Item')


class Mailbox(Generic[Item]):
    """Holds the newest item of each camera; an older one that was not taken is dropped.

    The camera that has waited longest is served first, so that none starves.
    """

    def __init__(self) -> None:
        self._waiting: OrderedDict[str, Item] = OrderedDict()
        self._condition = threading.Condition()
        self._closed = False

    def put(self, camera: str, item: Item) -> bool:
        """Stores a camera's newest item; returns whether an older one was dropped for it."""
        with self._condition:
            dropped = camera in self._waiting
            self._waiting[camera] = item
            self._condition.notify()
            return dropped

    def take(self, most: int = 1, *, wait: bool = True) -> list[tuple[str, Item]]:
        """Waits for an item and returns it with its camera; none once the mailbox is closed.

        Args:
            most: How many are taken together, of those that wait already: nobody waits for a
                partner.
            wait: Whether to wait; else there may be none.
        """
        with self._condition:
            while wait and not self._waiting and not self._closed:
                self._condition.wait()
            count = 0 if self._closed else min(most, len(self._waiting))
            return [self._waiting.popitem(last=False) for _ in range(count)]

    @property
    def closed(self) -> bool:
        return self._closed

    def close(self) -> None:
        """Drops what waits and lets ``take`` return nothing from now on."""
        with self._condition:
            self._closed = True
            self._waiting.clear()
            self._condition.notify_all()

"""How ``seg_ros bench`` talks to the processes it measures with: one JSON object a line.

Orders come on stdin and end with it; answers go to stdout, everything else to stderr.
"""

from __future__ import annotations

import json
import queue
import sys
import threading
from typing import Any

__all__ = ['Order', 'Orders', 'answer']

Order = dict[str, Any]


class Orders:
    """Reads orders in a thread, so that whoever obeys can look without waiting."""

    def __init__(self) -> None:
        self._waiting: queue.Queue[Order | None] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in sys.stdin:
            self._waiting.put(json.loads(line))
        self._waiting.put(None)

    def next(self) -> Order | None:
        """Waits for the next order; None at the end."""
        return self._waiting.get()

    def is_empty(self) -> bool:
        """Tells whether no order (and no end) has come since the last one."""
        return self._waiting.empty()


def answer(**facts: Any) -> None:
    print(json.dumps(facts), flush=True)

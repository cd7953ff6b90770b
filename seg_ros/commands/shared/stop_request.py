# SPDX-License-Identifier: Apache-2.0
"""SIGINT and SIGTERM as a question that a loop asks where nothing is half done."""

from __future__ import annotations

import signal
import time
from types import FrameType

__all__ = ['StopRequest']

SLICE_S = 0.05  # Python resumes a sleep after a signal (PEP 475), so sleeps are kept short


class StopRequest:
    """From its construction on, SIGINT and SIGTERM only set ``requested``.

    To be constructed in the main thread. rclpy must be told not to handle signals itself
    (``SignalHandlerOptions.NO``).
    """

    def __init__(self) -> None:
        self.requested = False
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._on_signal)

    def sleep_until(self, deadline_s: float) -> bool:
        """Sleeps until a time of ``time.monotonic``; returns False as soon as a stop is wanted."""
        while not self.requested:
            left_s = deadline_s - time.monotonic()
            if left_s <= 0.0:
                return True
            time.sleep(min(left_s, SLICE_S))
        return False

    def _on_signal(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        self.requested = True

# SPDX-License-Identifier: Apache-2.0
"""Renewal: when a subscription that has never heard its publisher is made anew.

One that took the place of another one can stay without a single message although its publisher
sends, its type and its QoS fit and others hear it (https://github.com/ros2/rclpy/issues/1147).
Nothing tells it from a publisher that is silent, so that it is made anew some times, and no more.
"""

from __future__ import annotations

__all__ = ['Renewal']

# Discovery takes seconds on a loaded machine; a publisher may be late for a reason of its own
WAITS_S = (5.0, 10.0, 20.0)


class Renewal:
    """Of one subscription."""

    def __init__(self) -> None:
        self._since_s: float | None = None  # a publisher has been there, unheard
        self._has_heard = False
        self._times = 0

    def made(self) -> None:
        """The subscription is a new one."""
        self._since_s = None
        self._has_heard = False

    def heard(self) -> None:
        """A message came through it."""
        self._has_heard = True
        self._times = 0

    def is_due(self, now_s: float, *, has_publisher: bool) -> bool:
        """Returns whether it shall be made anew now; counts that it is.

        Args:
            now_s: By the steady clock.
            has_publisher: Whether there is one whose type and QoS fit.
        """
        if self._has_heard or not has_publisher:
            self._since_s = None
            return False
        if self._since_s is None:
            self._since_s = now_s
        if self._times == len(WAITS_S) or now_s - self._since_s < WAITS_S[self._times]:
            return False
        self._times += 1
        return True

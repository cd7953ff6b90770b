# SPDX-License-Identifier: Apache-2.0
"""twist_mux 4.3.0 re-enacted, by a clock that is given: what a lock does with the velocities.

Sources: topic_handle.hpp (lines 81 to 105, 205 to 236) and twist_mux.cpp.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import yaml

from test.paths import REPOSITORY

__all__ = ['Lock', 'TwistMux', 'Velocity', 'shipped_lock']

LOCKS = REPOSITORY / 'config/consumers/twist_mux_locks.yaml'

Command = TypeVar('Command')


@dataclass
class Topic:
    """What locks and velocities share: a message has no stamp and counts from its arrival on.

    Attributes:
        priority: The greater one wins.
        timeout_s: Silence after which the topic has expired; 0.0 is never.
        arrival_ns: Of the newest message, by the clock of twist_mux; 0 before the first.
    """

    priority: int
    timeout_s: float
    arrival_ns: int = 0

    def has_expired(self, now_ns: int) -> bool:
        return self.timeout_s > 0.0 and now_ns - self.arrival_ns > self.timeout_s * 1e9


@dataclass
class Lock(Topic):
    """A topic of std_msgs/Bool."""

    data: bool = False

    def on_message(self, data: bool, now_ns: int) -> None:
        self.arrival_ns, self.data = now_ns, data

    def is_locked(self, now_ns: int) -> bool:
        return self.has_expired(now_ns) or self.data


@dataclass
class Velocity(Topic):
    """A topic of geometry_msgs/Twist."""

    def is_masked(self, lock_priority: int, now_ns: int) -> bool:
        return self.has_expired(now_ns) or self.priority < lock_priority


@dataclass
class TwistMux:
    """One lock, and velocity topics by name."""

    lock: Lock
    velocities: Mapping[str, Velocity]

    def on_velocity(self, name: str, command: Command, now_ns: int) -> Command | None:
        """Returns what is published: the velocity as it came, or nothing, not even a zero."""
        velocity = self.velocities[name]
        velocity.arrival_ns = now_ns
        lock_priority = self.lock.priority if self.lock.is_locked(now_ns) else 0
        passing = [
            row for row in self.velocities.values() if not row.is_masked(lock_priority, now_ns)
        ]
        has_priority = bool(passing) and max(passing, key=lambda row: row.priority) is velocity
        return command if has_priority else None


def shipped_lock(**changes: Any) -> Lock:
    """Returns the lock of config/consumers, with other values where they are given."""
    locks = yaml.safe_load(LOCKS.read_text())['twist_mux']['ros__parameters']['locks']
    values = {**locks['pedestrian_stop'], **changes}
    return Lock(values['priority'], values['timeout'])

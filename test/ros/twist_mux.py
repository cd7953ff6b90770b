"""twist_mux 4.3.0 re-enacted: topic_handle.hpp (lines 81 to 105, 205 to 236), twist_mux.cpp."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from geometry_msgs.msg import Twist
from std_msgs.msg import Bool

__all__ = ['Lock', 'TwistMux', 'shipped_lock']

LOCKS = Path(__file__).parents[2] / 'config/consumers/twist_mux_locks.yaml'


@dataclass
class Lock:
    """A lock topic, by receive time: the message has no stamp."""

    timeout_s: float
    priority: int = 254
    stamp_s: float = 0.0
    data: bool = False

    def callback(self, message: Bool) -> None:
        self.stamp_s, self.data = time.monotonic(), message.data

    def has_expired(self) -> bool:
        return self.timeout_s > 0.0 and time.monotonic() - self.stamp_s > self.timeout_s

    def is_locked(self) -> bool:
        return self.has_expired() or self.data


@dataclass
class TwistMux:
    """One velocity topic and one lock. While it is locked, nothing is published at all.

    Attributes:
        lock: The pedestrian stop.
        priority: Of the velocity topic.
        out: What was published.
    """

    lock: Lock
    priority: int = 10
    out: list[Twist] = field(default_factory=list)

    def callback(self, command: Twist) -> bool:
        """Takes a velocity; returns whether it was published."""
        is_masked = self.lock.is_locked() and self.priority < self.lock.priority
        if not is_masked:
            self.out.append(command)
        return not is_masked


def shipped_lock(**changes: Any) -> Lock:
    """Returns the lock of config/consumers, with other values where they are given."""
    locks = yaml.safe_load(LOCKS.read_text())['twist_mux']['ros__parameters']['locks']
    values = {**locks['pedestrian_stop'], **changes}
    return Lock(values['timeout'], values['priority'])

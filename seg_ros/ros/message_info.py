# SPDX-License-Identifier: Apache-2.0
"""A message and what the middleware knows of it, on every rclpy.

Humble's calls a subscription's callback with the message alone; later ones add the info (when it
was sent, its number) for callbacks that take two arguments.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from rclpy.subscription import Subscription

__all__ = ['MessageInfo', 'received_time_ns', 'source_time_ns', 'with_info']

MessageInfo = Mapping[str, Any]


def with_info(callback: Callable[[Any, MessageInfo], None]) -> Callable[..., None]:
    """Returns a callback for ``create_subscription``; where rclpy has no info it is empty."""
    if takes_info():
        return callback
    return lambda message: callback(message, {})


def takes_info() -> bool:
    """Returns whether this rclpy gives callbacks the info."""
    return hasattr(Subscription, 'CallbackType')


def source_time_ns(info: MessageInfo) -> int | None:
    """Returns when a message was sent, by its sender's system clock; None where nobody knows."""
    return int(info.get('source_timestamp', 0)) or None


def received_time_ns(info: MessageInfo) -> int:
    """Returns when a message came, by this machine's system clock; now where nobody knows."""
    return int(info.get('received_timestamp', 0)) or time.time_ns()

# SPDX-License-Identifier: Apache-2.0
"""Spins an executor through what rclpy raises for no good reason."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import rclpy
from rclpy.executors import Executor, ExternalShutdownException
from rclpy.impl.implementation_singleton import rclpy_implementation

__all__ = ['ended_by_signal', 'spin_while']


@contextmanager
def ended_by_signal() -> Iterator[None]:
    """Leaves its block quietly when SIGINT or SIGTERM ends the process, at whatever point."""
    try:
        yield
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except Exception:
        if rclpy.ok():  # else it was told to end while it started, and nothing of ROS works
            raise


def spin_while(
    condition: Callable[[], bool],
    executor: Executor,
    report: Callable[[str], object],
    timeout_s: float | None = None,
) -> None:
    """Serves callbacks while a condition holds.

    Args:
        condition: Looked at after every callback, and every ``timeout_s``.
        executor: Its nodes are served.
        report: Takes a sentence for the log when a request had to be refused.
        timeout_s: Longest time without a look at the condition; None waits for callbacks only.

    Raises:
        ExternalShutdownException: The context was shut down.
    """
    while condition():
        try:
            executor.spin_once(timeout_sec=timeout_s)
        except rclpy_implementation.InvalidHandle:
            # Something was destroyed by one thread while another was about to wait for it; the
            # next round waits without it.
            continue
        except rclpy_implementation.RCLError as error:
            # Jazzy's rclpy raises this here when a manager asks for a transition that the state
            # does not have; Kilted answers the request with success=False.
            report(f'Refused: {error}')

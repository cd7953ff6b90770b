# SPDX-License-Identifier: Apache-2.0
"""Waits for those who are to hear what is published."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from seg_ros.commands.shared.stop_request import StopRequest
from seg_ros.core.errors import ConfigurationError

__all__ = ['wait_for_subscribers']

SETTLE_S = 0.5  # the node subscribes anew once it has seen what the camera offers
WAIT_PERIOD_S = 0.05  # between looks at the graph


def wait_for_subscribers(
    without: Callable[[], Sequence[str]], timeout_s: float, stop: StopRequest
) -> None:
    """Returns once each topic has had a subscriber for a while, or a stop is wanted.

    Args:
        without: Returns the topics that have none.
        timeout_s: How long that may be so.
        stop: Is asked whether to go on.

    Raises:
        ConfigurationError: The time is over.
    """
    now_s = time.monotonic()
    give_up_s, settled_s = now_s + timeout_s, now_s + SETTLE_S
    while now_s < settled_s and stop.sleep_until(now_s + WAIT_PERIOD_S):
        now_s = time.monotonic()
        missing = without()
        if missing:
            settled_s = now_s + SETTLE_S
        if missing and now_s > give_up_s:
            msg = (
                f'Nobody subscribed to {", ".join(missing)} within {timeout_s} s. Start the '
                'reader, with the same ROS_DOMAIN_ID, or leave --wait-for-subscriber out.'
            )
            raise ConfigurationError(msg)

# SPDX-License-Identifier: Apache-2.0
"""The parameters of the gate, ``seg_ros gate``."""

from __future__ import annotations

from dataclasses import dataclass

from seg_ros.core.parameters.option import option

__all__ = ['GateConfig']


@dataclass(frozen=True)
class GateConfig:
    """What the gate goes by. Without its timeouts a stop that has died would let all through."""

    stamped: bool = option(
        False, 'Until cmd_vel_in has a publisher: whether its type is TwistStamped.'
    )
    stop_timeout_s: float = option(
        0.5,
        'Age of the newest go, by when it was sent, that counts as a stop.',
        unit='s',
        low=0.01,
        high=60.0,
    )
    command_timeout_s: float = option(
        0.5,
        'Age of the newest velocity, in the same way, after which zero is published.',
        unit='s',
        low=0.01,
        high=60.0,
    )
    rate_hz: float = option(
        20.0, 'Rate at which zero is repeated.', unit='Hz', low=1.0, high=200.0
    )

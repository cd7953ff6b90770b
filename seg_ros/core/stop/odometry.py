# SPDX-License-Identifier: Apache-2.0
"""Odometry monitor: what of odometry can be believed of this vehicle.

A number that is wrong by far blinds whoever computes with it: at 50 m/s everybody who stands is
taken for somebody else in every frame, and a corridor of 3e4 m/s has gigabytes of corners.
"""

from __future__ import annotations

import math

from seg_ros.core.stop.config import StopConfig
from seg_ros.core.stop.decision import Fault, StopKind
from seg_ros.core.stop.frame_age import FrameAge
from seg_ros.core.stop.zones import Motion
from seg_ros.core.units import NS_PER_S
from seg_ros.core.vehicle import VehicleConfig

__all__ = ['OdometryMonitor']

# Stamps that are given at arrival are late by up to a period of slow odometry, 20 Hz: a speed may
# be so much older than its stamp says.
STAMP_JITTER_S = 0.05
# Messages in a row that end a fault: of two publishers that disagree every second one is wrong.
GOOD_MESSAGES = 3
NO_LIMITS = (-math.inf, math.inf)


class OdometryMonitor:
    """Judges one message after the other; times are of the clock that stamps come from.

    Args:
        vehicle: What it can do.

    Attributes:
        fastest_mps: The largest speed that was believed, forward or backward.
    """

    def __init__(self, vehicle: VehicleConfig) -> None:
        self._vehicle = vehicle
        self._motion: Motion | None = None  # the newest one that is believed
        # The speeds that all messages before it allow at its stamp: small steps that are each
        # within the jitter of stamps may not add up to a jump
        self._possible_mps = NO_LIMITS
        self._age = FrameAge()
        self._is_looked_at = True  # since the newest motion came
        self.fastest_mps = 0.0
        self._fault: Fault | None = None
        self._fault_ns = 0
        self._good = 0  # messages in a row since the fault

    def take(self, motion: Motion, clock_jump_s: float) -> None:
        """Takes a message, whatever its numbers; an old one changes nothing.

        Args:
            motion: Of the message.
            clock_jump_s: A step back of the stamps above which all is new.
        """
        known = self._motion
        step_s = 0.0 if known is None else (motion.stamp_ns - known.stamp_ns) / NS_PER_S
        if step_s < -clock_jump_s:
            known = None
        problem = _impossible(motion, self._vehicle)
        if not problem and known is not None:
            if step_s < 0.0:
                return
            problem = self._jump(known, motion, step_s)
        if problem:
            self._fault = Fault(StopKind.ODOMETRY_IMPLAUSIBLE, problem)
            self._fault_ns, self._good = motion.stamp_ns, 0
            return
        least, most = self._possible_after(step_s) if known is not None else NO_LIMITS
        jitter_mps = self._vehicle.max_acceleration_mps2 * STAMP_JITTER_S
        self._possible_mps = (
            max(least, motion.speed_mps - jitter_mps),
            min(most, motion.speed_mps + jitter_mps),
        )
        self._motion, self._is_looked_at = motion, False
        self.fastest_mps = max(self.fastest_mps, abs(motion.speed_mps))
        self._good += 1
        if self._good >= GOOD_MESSAGES:
            self._fault = None

    def look(self, now_ns: int, steady_ns: int | None) -> None:
        """Lets time pass: no step of the clock keeps what came long ago fresh.

        Args:
            now_ns: The clock that the stamps come from.
            steady_ns: A clock that never steps; None where the other may rightly be slower.
        """
        if self._motion is not None and not self._is_looked_at:
            self._age.begin(self._motion.stamp_ns, now_ns)
            self._is_looked_at = True
        self._age.look(now_ns, steady_ns)

    def fresh(self, now_ns: int, timeout_s: float) -> Motion | None:
        """Returns the newest motion that is believed, None where it is too old."""
        motion = self._motion
        if motion is None or self._age_ns(motion, now_ns) > timeout_s * NS_PER_S:
            return None
        return motion

    def fault(self, now_ns: int, config: StopConfig) -> Fault | None:
        """Returns why nothing is clear by odometry, None where that is no reason to stop.

        Args:
            now_ns: The clock that the stamps come from.
            config: ``odometry`` and ``odometry_timeout_s`` are asked.
        """
        timeout_s = config.odometry_timeout_s
        if self._fault is not None and abs(now_ns - self._fault_ns) <= timeout_s * NS_PER_S:
            return self._fault
        if config.odometry == 'optional' or self.fresh(now_ns, timeout_s) is not None:
            return None
        if self._motion is not None:
            age_s = (now_ns - self._motion.stamp_ns) / NS_PER_S
            if age_s < -timeout_s:
                said = f'is stamped {-age_s:.2f} s ahead of the clock'
            else:
                said = f'is {max(age_s, self._known_age_ns / NS_PER_S):.2f} s old'
            return Fault(StopKind.NO_ODOMETRY, f'the newest odometry {said}')
        if self._fault is not None:
            return self._fault
        if config.odometry == 'required':
            return Fault(StopKind.NO_ODOMETRY, 'no odometry has come yet')
        return None

    @property
    def _known_age_ns(self) -> int:
        """Of the newest motion at the last look; 0 before one."""
        return self._age.ns if self._is_looked_at else 0

    def _age_ns(self, motion: Motion, now_ns: int) -> int:
        return max(abs(now_ns - motion.stamp_ns), self._known_age_ns)

    def _possible_after(self, step_s: float) -> tuple[float, float]:
        """The least and the largest speed that what was believed allows so much later."""
        change_mps = self._vehicle.max_acceleration_mps2 * step_s
        return self._possible_mps[0] - change_mps, self._possible_mps[1] + change_mps

    def _jump(self, known: Motion, motion: Motion, step_s: float) -> str:
        """Why a message cannot follow those that were believed, empty if it can."""
        least, most = self._possible_after(step_s)
        if least <= motion.speed_mps <= most:
            return ''
        return (
            f'odometry jumps from {known.speed_mps:.3g} to {motion.speed_mps:.3g} m/s within '
            f'{step_s:.3f} s, after what came before it {least:.3g} to {most:.3g} are possible '
            f'with vehicle.max_acceleration_mps2 {self._vehicle.max_acceleration_mps2:.4g}'
        )


def _impossible(motion: Motion, vehicle: VehicleConfig) -> str:
    """Why one message alone cannot be true of a vehicle, empty if it can."""
    speed, turn = motion.speed_mps, motion.yaw_rate_rps
    if not (math.isfinite(speed) and math.isfinite(turn)):
        return f'odometry says {speed} m/s and {turn} rad/s, which is no motion'
    if abs(speed) > vehicle.max_speed_mps:
        return (
            f'odometry says {speed:.4g} m/s, and vehicle.max_speed_mps is '
            f'{vehicle.max_speed_mps:.4g}'
        )
    if abs(turn) > vehicle.max_yaw_rate_rps:
        return (
            f'odometry says {turn:.4g} rad/s, and vehicle.max_yaw_rate_rps is '
            f'{vehicle.max_yaw_rate_rps:.4g}'
        )
    if abs(speed * turn) > vehicle.max_acceleration_mps2:
        return (
            f'odometry says {turn:.3g} rad/s at {speed:.3g} m/s, {abs(speed * turn):.3g} m/s^2 '
            'across the way, and vehicle.max_acceleration_mps2 is '
            f'{vehicle.max_acceleration_mps2:.4g}'
        )
    return ''

"""Picture monitor: a covered lens, darkness or a frozen camera proves nothing.

Such a picture shows an empty road as well as a free way does: it stops the vehicle, and the
outputs that have no reason in them fall silent. A consumer that hears nothing knows that something
is wrong; one that hears of no obstacles does not.
"""

from __future__ import annotations

from seg_ros.core.image.health import ImageHealth
from seg_ros.core.stop.config import StopConfig
from seg_ros.core.stop.decision import Fault, StopKind
from seg_ros.core.units import NS_PER_S

__all__ = ['PictureMonitor']


class PictureMonitor:
    """Judges whether the pictures of one camera can be believed."""

    def __init__(self) -> None:
        self._fingerprint: int | None = None
        self._changed_ns = 0
        self._stamp_ns = 0

    def update(self, health: ImageHealth, stamp_ns: int, config: StopConfig) -> Fault | None:
        """Returns why a picture proves nothing, None if it is believed.

        Args:
            health: Of the picture.
            stamp_ns: Header stamp of the frame.
            config: ``min_contrast``, ``frozen_timeout_s`` and ``clock_jump_s`` are asked.
        """
        steps_back = self._stamp_ns - stamp_ns > config.clock_jump_s * NS_PER_S
        self._stamp_ns = stamp_ns
        is_new = health.fingerprint != self._fingerprint
        if is_new or steps_back or stamp_ns < self._changed_ns:
            self._fingerprint, self._changed_ns = health.fingerprint, stamp_ns
        if health.contrast < config.min_contrast:
            return Fault(
                StopKind.LOW_CONTRAST,
                f'the contrast of the picture is {health.contrast:.1f}, less than '
                f'{config.min_contrast:.1f}: dark, over-exposed or covered',
            )
        same_s = (stamp_ns - self._changed_ns) / NS_PER_S
        if 0.0 < config.frozen_timeout_s <= same_s:
            return Fault(StopKind.FROZEN, f'the same picture has come for {same_s:.1f} s')
        return None

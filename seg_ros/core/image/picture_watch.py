"""Whether what a camera shows can be believed, for outputs that fall silent when it cannot."""

from __future__ import annotations

from seg_ros.core.image.health import ImageHealth
from seg_ros.core.stop.config import StopConfig

__all__ = ['PictureWatch']


class PictureWatch:
    """Follows the pictures of one camera; the rules are those of the stop.

    A covered lens or a frozen driver shows an empty road as well as a free way does. A consumer
    that hears nothing knows that something is wrong; one that hears of no obstacles does not.
    """

    def __init__(self) -> None:
        self._fingerprint: int | None = None
        self._fresh_ns = 0

    def believes(self, health: ImageHealth, stamp_ns: int, config: StopConfig) -> bool:
        """Whether the picture has contrast, and is not the same for too long.

        Args:
            health: Of the picture.
            stamp_ns: Header stamp of the frame.
            config: ``min_contrast`` and ``frozen_timeout_s`` are asked.
        """
        if health.fingerprint != self._fingerprint or stamp_ns < self._fresh_ns:
            self._fingerprint, self._fresh_ns = health.fingerprint, stamp_ns
        if health.contrast < config.min_contrast:
            return False
        same_s = (stamp_ns - self._fresh_ns) / 1e9
        return not 0.0 < config.frozen_timeout_s <= same_s

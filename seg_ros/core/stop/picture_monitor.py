# SPDX-License-Identifier: Apache-2.0
"""Picture monitor: a covered lens, darkness or a frozen camera proves nothing.

Such a picture shows an empty road as well as a free way does: it stops the vehicle, and the
outputs that have no reason in them fall silent. A consumer that hears nothing knows that something
is wrong; one that hears of no obstacles does not.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from seg_ros.core.image.health import ImageHealth
from seg_ros.core.stop.config import StopConfig
from seg_ros.core.stop.decision import Fault, StopKind
from seg_ros.core.units import NS_PER_S

__all__ = ['PictureMonitor']

# Pictures that are remembered: drivers keep 2 to 8 buffers, GStreamer's queues up to 32; a stuck
# ring gives out the same ones in turn.
REMEMBERED = 32


class PictureMonitor:
    """Judges whether the pictures of one camera can be believed.

    A camera lives where it shows what none of its last pictures showed. That is asked of the whole
    picture, and of every region in which the zone lies: half a picture may be stuck, or a clock
    may run over a still one. Elsewhere, black borders and a bleached sky are always the same.
    """

    def __init__(self) -> None:
        self._stamp_ns = 0
        self._next = 0
        self._forget(0, 0)

    def update(
        self,
        health: ImageHealth,
        stamp_ns: int,
        config: StopConfig,
        zone_regions: Collection[int] = (),
    ) -> Fault | None:
        """Returns why a picture proves nothing, None if it is believed.

        Args:
            health: Of the picture.
            stamp_ns: Header stamp of the frame.
            config: ``min_contrast``, ``frozen_timeout_s`` and ``clock_jump_s`` are asked.
            zone_regions: Indices of the regions in which the zone is.
        """
        steps_back = self._stamp_ns - stamp_ns > config.clock_jump_s * NS_PER_S
        self._stamp_ns = stamp_ns
        prints = np.array([health.fingerprint, *health.regions], np.int64)
        if steps_back or len(prints) != len(self._new_ns):
            self._forget(len(prints), stamp_ns)
        is_known = (self._remembered == prints).any(axis=0)
        self._remembered[self._next] = prints
        self._next = (self._next + 1) % REMEMBERED
        self._new_ns[~is_known | (self._new_ns > stamp_ns)] = stamp_ns
        if health.contrast < config.min_contrast:
            return Fault(
                StopKind.LOW_CONTRAST,
                f'the contrast of the picture is {health.contrast:.1f}, less than '
                f'{config.min_contrast:.1f}: dark, over-exposed or covered',
            )
        return self._stuck(stamp_ns, config.frozen_timeout_s, zone_regions)

    def _stuck(
        self, stamp_ns: int, timeout_s: float, zone_regions: Collection[int]
    ) -> Fault | None:
        if timeout_s <= 0.0:
            return None
        same_s = (stamp_ns - self._new_ns) / NS_PER_S
        if same_s[0] >= timeout_s:
            return Fault(StopKind.FROZEN, f'the same picture has come for {same_s[0]:.1f} s')
        asked = [1 + region for region in zone_regions if 1 + region < len(same_s)]
        longest_s = float(same_s[asked].max(initial=0.0))
        if longest_s < timeout_s:
            return None
        return Fault(
            StopKind.FROZEN,
            f'a part of the zone has shown nothing but old pictures for {longest_s:.1f} s',
        )

    def _forget(self, count: int, stamp_ns: int) -> None:
        self._remembered: NDArray[np.int64] = np.full((REMEMBERED, count), -1, np.int64)
        self._new_ns: NDArray[np.int64] = np.full(count, stamp_ns, np.int64)
        self._next = 0

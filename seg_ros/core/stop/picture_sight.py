# SPDX-License-Identifier: Apache-2.0
"""Picture sight: whether a network can see anything in a picture.

Evidence of it goes stale as a frame does: a single odd picture is no fault, half a second of them
is one.
"""

from __future__ import annotations

from seg_ros.core.labels import LabelMap
from seg_ros.core.stop.config import StopConfig
from seg_ros.core.stop.decision import Fault, StopKind
from seg_ros.core.stop.domain import Domain
from seg_ros.core.stop.picture_statistics import PictureStatistics, StatisticsOfPictures
from seg_ros.core.types import NetworkView
from seg_ros.core.units import NS_PER_S

__all__ = ['PictureSight']


class PictureSight:
    """Judges whether the pictures of one camera show something.

    Args:
        label_map: Of the label images.
        domain: Which pictures the engine knows; None where nobody has measured it.
    """

    def __init__(self, label_map: LabelMap, domain: Domain | None = None) -> None:
        self._statistics = StatisticsOfPictures(label_map)
        self._domain = domain
        self._seen_ns: int | None = None

    def reset(self) -> None:
        """Forgets every picture."""
        self._seen_ns = None

    def update(self, view: NetworkView, stamp_ns: int, config: StopConfig) -> Fault | None:
        """Returns why a picture shows nothing, None if it does, or one just before did.

        Args:
            view: The picture, with labels and confidence.
            stamp_ns: Header stamp of the frame.
            config: ``max_noise``, ``max_white_share``, ``domain_limit`` and ``stale_timeout_s``
                are asked.
        """
        fault = self.judge(view, config)
        if fault is None:
            self._seen_ns = stamp_ns
            return None
        timeout_ns = config.stale_timeout_s * NS_PER_S
        if self._seen_ns is not None and 0 <= stamp_ns - self._seen_ns <= timeout_ns:
            return None
        return fault

    def judge(self, view: NetworkView, config: StopConfig) -> Fault | None:
        """Returns why a picture by itself shows nothing, None if it does."""
        asks_domain = self._knows_size(view) and config.domain_limit > 0.0
        if not asks_domain and config.max_noise <= 0.0 and config.max_white_share >= 1.0:
            return None
        statistics = self._statistics.of(view)
        if fault := _blindness(statistics, config):
            return fault
        if self._domain is None or not asks_domain:
            return None
        limit = self._domain.limit * config.domain_limit
        distance = self._domain.distance(statistics.values)
        if distance <= limit:
            return None
        return Fault(
            StopKind.OUT_OF_DOMAIN,
            f'the picture is {distance / self._domain.limit:.1f} times as unlike those that the '
            f'engine knows as one may be, more than {config.domain_limit:.1f}: nothing can be '
            'seen, or the network was not made for such a place',
        )

    def _knows_size(self, view: NetworkView) -> bool:
        height, width = view.labels.shape
        has_all = self._domain is not None and view.confidence is not None
        return has_all and self._domain is not None and self._domain.size_wh == (width, height)


def _blindness(statistics: PictureStatistics, config: StopConfig) -> Fault | None:
    if 0.0 < config.max_noise < statistics.noise:
        return Fault(
            StopKind.PICTURE_BLIND,
            f'neighbouring pixels of the zone differ by {statistics.noise:.0f} grey levels, more '
            f'than {config.max_noise:.0f}, as noise does',
        )
    if statistics.saturated > config.max_white_share:
        return Fault(
            StopKind.PICTURE_BLIND,
            f'{statistics.saturated:.0%} of the zone is white, more than '
            f'{config.max_white_share:.0%}: over-exposed, or blinded by the sun',
        )
    return None

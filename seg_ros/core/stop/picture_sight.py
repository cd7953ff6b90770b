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

__all__ = ['PictureSight', 'nothing_shown']


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
        if self._domain is None or view.confidence is None or config.domain_limit <= 0.0:
            if config.max_noise <= 0.0 and config.max_white_share >= 1.0:
                return None
            return _blindness(*self._statistics.glance(view), config)
        statistics = self._statistics.of(view)
        if fault := _blindness(statistics.noise, statistics.saturated, config):
            return fault
        likeness = self._domain.likeness(statistics.values)
        if likeness.share > config.domain_limit:
            return Fault(
                StopKind.OUT_OF_DOMAIN,
                f'the picture has {likeness.share:.1f} times as much of "{likeness.kind}" as one '
                f'that the engine knows may have, more than {config.domain_limit:.1f}: nothing '
                'can be seen, or the network was not made for such a place',
            )
        return nothing_shown(statistics, config)


def nothing_shown(statistics: PictureStatistics, config: StopConfig) -> Fault | None:
    """Returns what no camera that sees a road shows, however well the network copes with it.

    Limits were taken from clean pictures alone, so that they hold for kinds of blindness that
    nobody has measured.

    Args:
        statistics: Of the picture.
        config: ``min_detail``, ``max_colour_discord``, ``min_rise``, ``max_shear``, ``max_tear``,
            ``max_softness``, ``max_shade``, ``max_jumps``, ``max_sky_below``, ``min_polarity``,
            ``max_echo``, ``max_seams``, ``max_joins``, ``max_astray`` and ``max_wrap`` are asked.
    """
    if statistics.least_detail < config.min_detail:
        return Fault(
            StopKind.NO_DETAIL,
            f'the ground ahead has a detail of {statistics.least_detail:.1f} grey levels, less '
            f'than {config.min_detail:.1f}: covered, or out of focus',
        )
    if statistics.discord > config.max_colour_discord:
        return Fault(
            StopKind.COLOURS_DISAGREE,
            f'what two colours show differs by {statistics.discord:.2f}, more than '
            f'{config.max_colour_discord:.2f}: noise, or channels of another encoding',
        )
    if statistics.rise < config.min_rise:
        return Fault(
            StopKind.PICTURE_TURNED,
            f'sky and buildings are {statistics.rise:.0%} of the picture above the ground, less '
            f'than {config.min_rise:.0%}: it is turned, or begins in the middle',
        )
    if statistics.shear > config.max_shear:
        return Fault(
            StopKind.ROWS_SHIFTED,
            f'the rows of the picture go on as well when shifted ({statistics.shear:.2f}, '
            f'more than {config.max_shear:.2f}): smeared, or of another length',
        )
    if statistics.tear > config.max_tear:
        return Fault(
            StopKind.ROWS_SHIFTED,
            f'the rows of the picture go on elsewhere ({statistics.tear:.2f}, more than '
            f'{config.max_tear:.2f}): torn apart on the way from the sensor',
        )
    if statistics.softness > config.max_softness:
        return Fault(
            StopKind.OUT_OF_FOCUS,
            f'{statistics.softness:.0%} of the outlines are soft, more than '
            f'{config.max_softness:.0%}: out of focus, smeared, or water or frost on the lens',
        )
    if statistics.shade > config.max_shade:
        return Fault(
            StopKind.PARTLY_COVERED,
            f'{statistics.shade:.0%} of the picture is of one smooth shade, more than '
            f'{config.max_shade:.0%}: dirt or a cover on the lens',
        )
    if statistics.jumps > config.max_jumps:
        return Fault(
            StopKind.FEW_SHADES,
            f'the picture stays the same or jumps ({statistics.jumps:.2f}, more than '
            f'{config.max_jumps:.2f}): shades between were lost on the way from the sensor',
        )
    if statistics.sky_below > config.max_sky_below:
        return Fault(
            StopKind.PICTURE_TURNED,
            f'{statistics.sky_below:.0%} of the sky has ground above it, more than '
            f'{config.max_sky_below:.0%}: it is turned, or begins in the middle',
        )
    if statistics.polarity < config.min_polarity:
        return Fault(
            StopKind.PICTURE_NEGATIVE,
            f'the picture is more like a negative ({statistics.polarity:.1f}, less than '
            f'{config.min_polarity:.1f}): bright and dark are exchanged',
        )
    if statistics.echo > config.max_echo:
        return Fault(
            StopKind.PICTURE_DOUBLED,
            f'what the picture shows is there a second time beside ({statistics.echo:.2f}, more '
            f'than {config.max_echo:.2f}): mirrored by a pane, two fields or frames in one, or '
            'several pictures side by side',
        )
    if statistics.seams > config.max_seams:
        return Fault(
            StopKind.ROWS_SHIFTED,
            f'straight steps go through {statistics.seams:.0%} of the height and of the width of '
            f'the picture, more than {config.max_seams:.0%}: broken into blocks, or begins in '
            'the middle',
        )
    if statistics.joins > config.max_joins:
        return Fault(
            StopKind.ROWS_SHIFTED,
            f'upright steps go through {statistics.joins:.0%} of the height in two places, more '
            f'than {config.max_joins:.0%}: parts of the picture are in wrong order',
        )
    if statistics.astray > config.max_astray:
        return Fault(
            StopKind.ROWS_SHIFTED,
            f'the edge of a part of the picture goes on elsewhere ({statistics.astray:.2f}, more '
            f'than {config.max_astray:.2f}): its parts are in wrong order',
        )
    if statistics.wrap > config.max_wrap:
        return Fault(
            StopKind.ROWS_SHIFTED,
            f'the picture goes on at its other end ({statistics.wrap:.2f}, more than '
            f'{config.max_wrap:.2f}): it begins in the middle',
        )
    return None


def _blindness(noise: float, saturated: float, config: StopConfig) -> Fault | None:
    if 0.0 < config.max_noise < noise:
        return Fault(
            StopKind.PICTURE_BLIND,
            f'neighbouring pixels of the zone differ by {noise:.0f} grey levels, more than '
            f'{config.max_noise:.0f}, as noise does',
        )
    if saturated > config.max_white_share:
        return Fault(
            StopKind.PICTURE_BLIND,
            f'{saturated:.0%} of the zone is white, more than {config.max_white_share:.0%}: '
            'over-exposed, or blinded by the sun',
        )
    return None

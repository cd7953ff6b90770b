# SPDX-License-Identifier: Apache-2.0
"""Zone monitor: how much of a named zone of picture or ground some classes cover.

The general form of the pedestrian stop: a crossing with somebody on it, a shelf that runs empty, a
person in the work cell of a robot, a doorway that is blocked.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from seg_ros.core.errors import ConfigurationError
from seg_ros.core.geometry.camera import GroundTable
from seg_ros.core.labels import KNOWN_ROLES, LabelMap
from seg_ros.core.stop.zones import ImageZone, PolygonZone
from seg_ros.core.types import LabelImage
from seg_ros.core.units import NS_PER_S
from seg_ros.core.watched_zones.config import WatchedZone, ZoneConfig

__all__ = ['ZoneMonitor', 'ZoneMonitors', 'ZoneState']

JUMP_S = 1.0  # a longer gap between stamps, or a step back, forgets what was so

Mask = NDArray[np.uint8]


@dataclass(frozen=True)
class ZoneState:
    """What is true of a zone.

    Attributes:
        name: Of the zone.
        alarm: Whether its share is, and was for long enough, out of its range.
        reason: In words.
        share: Of the zone that the counted classes cover; NaN while the zone is not seen.
        min_share: Least share without alarm.
        max_share: Greatest share without alarm.
    """

    name: str
    alarm: bool
    reason: str
    share: float
    min_share: float
    max_share: float


class ZoneMonitor:
    """Watches one zone.

    Args:
        zone: Where, what and how much.
        label_map: Knows the classes and roles.

    Raises:
        ConfigurationError: A class that is neither a name nor a role of the engine.
    """

    def __init__(self, zone: WatchedZone, label_map: LabelMap) -> None:
        self._zone = zone
        self._lut = _counted(zone, label_map)
        self._mask: Mask | None = None
        self._pixels = 0
        self._alarm = True  # true until the zone is proven right
        self._differs_ns: int | None = None
        self._stamp_ns: int | None = None

    def calibrate(self, shape_hw: tuple[int, int], table: GroundTable | None) -> None:
        """Takes the size of the label images and their ground table, None while unknown."""
        self._mask = _mask_of(self._zone, shape_hw, table)
        self._pixels = 0 if self._mask is None else cv2.countNonZero(self._mask)

    def update(self, labels: LabelImage, stamp_ns: int) -> ZoneState:
        """Returns the state with one more frame.

        Args:
            labels: ``(H, W)`` class ids.
            stamp_ns: Header stamp of the frame.
        """
        zone = self._zone
        if self._mask is None or self._pixels == 0:
            self._forget()
            why = 'the zone is not seen' if self._mask is not None else 'the ground is unknown'
            return ZoneState(zone.name, True, why, np.nan, zone.min_share, zone.max_share)
        counted = cv2.bitwise_and(cv2.LUT(labels, self._lut), self._mask)
        share = cv2.countNonZero(counted) / self._pixels
        self._decide(not zone.min_share <= share <= zone.max_share, stamp_ns)
        what = ' '.join(zone.classes)
        range_ = f'{zone.min_share:.3g} to {zone.max_share:.3g}'
        reason = f'{what} cover {share:.3f} of the zone, {range_} is right'
        return ZoneState(zone.name, self._alarm, reason, share, zone.min_share, zone.max_share)

    def _decide(self, wrong: bool, stamp_ns: int) -> None:
        before = self._stamp_ns
        if before is None or not 0 <= stamp_ns - before <= JUMP_S * NS_PER_S:
            self._forget()
        self._stamp_ns = stamp_ns
        if wrong == self._alarm:
            self._differs_ns = None
            return
        if self._differs_ns is None:
            self._differs_ns = stamp_ns
        wait_s = self._zone.confirm_s if wrong else self._zone.hold_s
        if stamp_ns - self._differs_ns >= wait_s * NS_PER_S:
            self._alarm, self._differs_ns = wrong, None

    def _forget(self) -> None:
        self._alarm, self._differs_ns, self._stamp_ns = True, None, None


class ZoneMonitors:
    """Watches every zone of a configuration.

    Args:
        config: The zones.
        label_map: Knows the classes and roles.
    """

    def __init__(self, config: ZoneConfig, label_map: LabelMap) -> None:
        self._monitors = [ZoneMonitor(zone, label_map) for zone in config.zones()]
        self._shape_hw: tuple[int, ...] = ()
        self._table: GroundTable | None = None

    def update(
        self, labels: LabelImage, table: GroundTable | None, stamp_ns: int
    ) -> tuple[ZoneState, ...]:
        """Returns the state of every zone with one more frame.

        Args:
            labels: ``(H, W)`` class ids.
            table: Ground point of every pixel, None while unknown; the same array means the
                same calibration.
            stamp_ns: Header stamp of the frame.
        """
        if labels.shape != self._shape_hw or table is not self._table:
            self._shape_hw, self._table = labels.shape, table
            for monitor in self._monitors:
                monitor.calibrate((labels.shape[0], labels.shape[1]), table)
        return tuple(monitor.update(labels, stamp_ns) for monitor in self._monitors)


def _counted(zone: WatchedZone, label_map: LabelMap) -> Mask:
    """``(256,)``: 255 for the classes that are counted."""
    lut = np.zeros(256, np.uint8)
    names = {row.name: row.id for row in label_map.classes}
    for word in zone.classes:
        if word in names:
            lut[names[word]] = 255
        elif word in KNOWN_ROLES and label_map.ids_with_role(word):
            lut |= label_map.role_mask_lut(word)
        else:
            raise ConfigurationError(
                f'Zone {zone.name} counts {word!r}, which this engine does not know. Its classes '
                f'are {", ".join(names)}; a role that one of them has will do as well.'
            )
    return lut


def _mask_of(
    zone: WatchedZone, shape_hw: tuple[int, int], table: GroundTable | None
) -> Mask | None:
    """``(H, W)``: 255 inside; None where it needs a ground that is unknown."""
    height, width = shape_hw
    if zone.frame == 'image':
        columns, rows = np.meshgrid(np.arange(width), np.arange(height))
        pixels = np.column_stack([columns.ravel(), rows.ravel()])
        inside = ImageZone(zone.corners).contains(pixels, (width, height))
    elif table is None:
        return None
    else:
        inside = PolygonZone(zone.corners).contains(table.reshape(-1, 2).astype(np.float64))
    return np.where(inside, 255, 0).astype(np.uint8).reshape(shape_hw)

"""The pitch of a camera whose mounting nobody wrote down, from the lanes that it sees."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from seg_ros.core.geometry.camera import Camera, CameraIntrinsics, Mount
from seg_ros.core.labels import LabelMap
from seg_ros.core.lane.config import LaneConfig
from seg_ros.core.lane.tracker import LaneTracker
from seg_ros.core.types import ConfidenceImage, LabelImage

__all__ = ['pitch_from_lanes']

CANDIDATES_DEG = np.arange(-8.0, 12.1, 1.0)


def pitch_from_lanes(
    images: Sequence[tuple[LabelImage, ConfidenceImage | None]],
    intrinsics: CameraIntrinsics,
    height_m: float,
    label_map: LabelMap,
    config: LaneConfig,
) -> float:
    """Returns the pitch in radians at which most lanes are found and their sides are parallel.

    Args:
        images: Labels and confidence of some images, each standing for itself.
        intrinsics: Of the camera.
        height_m: Of the camera.
        label_map: What the labels mean.
        config: Of the lane track.
    """
    best_rad = 0.0
    best = 0, 0.0  # lanes found, and how parallel their sides are
    for pitch_rad in np.radians(CANDIDATES_DEG).tolist():
        camera = Camera(intrinsics, Mount(z=height_m, pitch=pitch_rad))
        height, width = images[0][0].shape
        table = camera.ground_table((width, height))
        off = []
        for labels, confidence in images:
            track = LaneTracker(config, label_map).update(labels, confidence, table, 0, 0.0, 0.0)
            if track.valid and track.source == 'markings':
                off.append(track.pitch_per_m)
        up = float(np.median(off)) if off else 0.0
        if (len(off), -abs(up)) > best:
            best = len(off), -abs(up)
            best_rad = pitch_rad - up * height_m
    return best_rad

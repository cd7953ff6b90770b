"""The pitch of a camera whose mounting nobody wrote down, from the lanes that it sees."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from seg_ros.commands.evaluate.evaluated_camera import EvaluatedCamera
from seg_ros.core.geometry.camera import Camera, Mount
from seg_ros.core.geometry.intrinsics import CameraIntrinsics
from seg_ros.core.parameters.node_config import NodeConfig
from seg_ros.inference.base import InferenceBackend
from seg_ros.perception import SeenFrame

__all__ = ['pitch_from_lanes']

CANDIDATES_DEG = np.arange(-8.0, 12.1, 1.0)


def pitch_from_lanes(
    frames: Sequence[SeenFrame],
    backend: InferenceBackend,
    intrinsics: CameraIntrinsics,
    height_m: float,
    config: NodeConfig,
) -> float:
    """Returns the pitch in radians at which most lanes are found and their sides are parallel.

    Args:
        frames: What a network says of some images, each standing for itself.
        backend: The network.
        intrinsics: Of the camera.
        height_m: Of the camera.
        config: The node's parameters.
    """
    best_rad = 0.0
    best = 0, 0.0  # lanes found, and how parallel their sides are
    for pitch_rad in np.radians(CANDIDATES_DEG).tolist():
        mounted = Camera(intrinsics, Mount(z=height_m, pitch=pitch_rad))
        camera = EvaluatedCamera(backend, config, mounted)
        off = []
        for seen in frames:
            camera.reset()
            track = camera.finish(seen).decisions.lane
            if track is not None and track.valid and track.source == 'markings':
                off.append(track.pitch_per_m)
        up = float(np.median(off)) if off else 0.0
        if (len(off), -abs(up)) > best:
            best = len(off), -abs(up)
            best_rad = pitch_rad - up * height_m
    return best_rad

# SPDX-License-Identifier: Apache-2.0
"""Plays a lane data set in TuSimple's layout through the lane tracker, image by image."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from seg_ros.commands.evaluate.evaluated_camera import EvaluatedCamera
from seg_ros.commands.evaluate.lane.picture import lane_picture
from seg_ros.commands.evaluate.lane.tusimple import lanes_of, read_frames, score_frame
from seg_ros.core.errors import ConfigurationError
from seg_ros.core.geometry.camera import Camera, Mount
from seg_ros.core.geometry.intrinsics import CameraIntrinsics
from seg_ros.core.lane.config import LaneConfig
from seg_ros.core.parameters.node_config import NodeConfig
from seg_ros.core.types import RgbImage
from seg_ros.core.vehicle import VehicleConfig
from seg_ros.inference.base import InferenceBackend
from seg_ros.perception import SeenFrame
from seg_ros.recordings.image_file import rgb_of_file

__all__ = ['evaluate_dataset']

REACH_M = 60.0
CALIBRATION_IMAGES = 20
CANDIDATES_DEG = np.arange(-8.0, 12.1, 1.0)  # of the pitch
DECISIONS = ('lane', 'stop')
# Wide limits of the width: the height of the camera, which scales it, is a guess.
CONFIG = NodeConfig(
    lane=LaneConfig(
        width_min_m=1.8,
        width_max_m=5.5,
        confirm_frames=1,
        look_ahead_m=REACH_M,
    ),
    vehicle=VehicleConfig(front_m=0.0),  # nobody knows where on the vehicle the camera is
)

OnPicture = Callable[[int, RgbImage], None]


def evaluate_dataset(
    folder: Path,
    backend: InferenceBackend,
    height_m: float,
    horizontal_fov_rad: float,
    pitch_rad: float | None = None,
    on_picture: OnPicture | None = None,
) -> dict[str, Any]:
    """Returns TuSimple's three figures, and the share of images with a valid lane.

    Args:
        folder: With the label files in it.
        backend: Makes the labels.
        height_m: Of the camera, as well as it is known.
        horizontal_fov_rad: Of the camera.
        pitch_rad: Of the camera, None finds it from the lanes of the first images.
        on_picture: Is given the number and a picture of every image.

    Raises:
        ConfigurationError: A folder that is no data set, or an image that cannot be used.
    """
    frames = list(read_frames(folder))
    if not frames:
        raise ConfigurationError(f'The label files of {folder} are empty.')
    first = rgb_of_file(frames[0].image)
    intrinsics = CameraIntrinsics.from_field_of_view(
        (first.shape[1], first.shape[0]), horizontal_fov_rad
    )
    label_map = backend.engine.label_map
    if pitch_rad is None:
        unknown = EvaluatedCamera(backend, CONFIG)
        samples = [
            unknown.see(rgb_of_file(row.image), 0, DECISIONS).kept()
            for row in frames[:CALIBRATION_IMAGES]
        ]
        pitch_rad = _pitch_from_lanes(samples, backend, intrinsics, height_m, CONFIG)
    camera = Camera(intrinsics, Mount(z=height_m, pitch=pitch_rad))
    evaluated = EvaluatedCamera(backend, CONFIG, camera)
    scores = []
    valid = 0
    for index, frame in enumerate(frames):
        image = rgb_of_file(frame.image)
        if image.shape != first.shape:
            raise ConfigurationError(
                f'{frame.image} is {image.shape[1]}x{image.shape[0]}, the first image is '
                f'{first.shape[1]}x{first.shape[0]}. All images of a data set must have one size.'
            )
        evaluated.reset()
        seen = evaluated.see(image, 0, DECISIONS)
        track = evaluated.finish(seen).decisions.lane
        assert track is not None
        score = score_frame(lanes_of(track, camera, frame.rows, REACH_M), frame)
        scores.append((score.accuracy, score.false_positive, score.false_negative))
        valid += track.valid
        if on_picture is not None:
            on_picture(index, lane_picture(image, seen.view.labels, label_map, camera, track))
    accuracy, false_positive, false_negative = np.mean(scores, axis=0).tolist()
    return {
        'images': len(scores),
        'tusimple_accuracy': accuracy,
        'false_positive': false_positive,
        'false_negative': false_negative,
        'availability': valid / len(scores),
        'pitch_rad': pitch_rad,
    }


def _pitch_from_lanes(
    frames: Sequence[SeenFrame],
    backend: InferenceBackend,
    intrinsics: CameraIntrinsics,
    height_m: float,
    config: NodeConfig,
) -> float:
    """Returns the pitch in radians at which most lanes are found and their sides are parallel.

    For a camera whose mounting nobody wrote down.

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

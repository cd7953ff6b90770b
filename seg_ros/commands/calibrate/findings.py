# SPDX-License-Identifier: Apache-2.0
"""Findings: what lane markings and people say of a mounting, in words, and as a params file."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import yaml
from numpy.typing import NDArray

from seg_ros.commands.calibrate.pictures import Lens
from seg_ros.core.geometry.camera import Camera, Mount
from seg_ros.core.geometry.vanishing_point import MountingEstimate, turned

__all__ = ['Findings', 'people_in_heights']

ADULT_M = 1.68  # mean of standing adults, shoes included
ADULT_SPREAD = 0.08  # of it, between crowds of two places; few people say less
LEAST_PEOPLE = 10
LEAST_PERSON_PX = 32
UPRIGHT = 1.8, 5.5  # height over width of somebody who is seen whole
AGREES = 0.05  # of a width or height: what a tape measure and a tyre are good for
FOV_EXAMPLES_DEG = 45.0, 60.0, 75.0, 90.0


@dataclass(frozen=True)
class Findings:
    """What was found.

    Attributes:
        estimate: How the camera is turned.
        lens: What that was found with.
        height_m: Of the lens, as the user says.
        lane_width_m: As the user says; None where nobody does.
        people: Height of each person that was seen whole, in heights of the lens.
        name: Of the pictures.
        pictures: How many there were.
    """

    estimate: MountingEstimate
    lens: Lens
    height_m: float
    lane_width_m: float | None
    people: Sequence[float]
    name: str
    pictures: int

    @property
    def mount(self) -> Mount:
        return self.estimate.mount(self.height_m)

    @property
    def width_m(self) -> float:
        """Of the lane, at the height that the user says."""
        return self.estimate.lane_in_heights * self.height_m

    @property
    def is_contradicted(self) -> bool:
        """Whether the height and the width of the lane that the user says exclude each other."""
        if self.lane_width_m is None or not math.isfinite(self.width_m):
            return False
        slack = AGREES + 2.0 * self.estimate.lane_std_in_heights / self.estimate.lane_in_heights
        return abs(self.width_m / self.lane_width_m - 1.0) > slack

    def sentences(self) -> list[str]:
        """Returns it for people, a line each."""
        found = self.estimate
        lines = [
            (
                f'Calibrated from {found.frames} of {self.pictures} pictures of {self.name}; '
                f'focal length {self.lens.source}.'
            ),
            f'pitch  {_angle(found.pitch_rad, found.pitch_std_rad, "down", "up")}',
            (
                f'yaw    {_angle(found.yaw_rad, found.yaw_std_rad, "left", "right")}, if the '
                'vehicle followed its lane on average'
            ),
        ]
        if math.isfinite(found.roll_std_rad):
            lines.append(f'roll   {_angle(found.roll_rad, found.roll_std_rad, "right", "left")}')
        else:
            lines.append(
                'roll   unknown, 0 is taken: the vehicle kept to one place of its lane, so that '
                'nothing tells. Level the camera, or give a drive that moves about in its lane.'
            )
        if not self.lens.is_known:
            lines.append(self._without_focal_length())
        return [*lines, self._scale(), *self._people()]

    def params_file(self) -> str:
        """Returns the text of the file with ``mount.*``."""
        mount = self.mount
        words = [
            f'Found by seg_ros calibrate in {self.estimate.frames} pictures of {self.name}.',
            *self.sentences()[1:],
            'Add mount.x and mount.y, where the lens is forward and left of the base frame.',
        ]
        rows = {
            'mount.z': mount.z,
            'mount.roll': mount.roll,
            'mount.pitch': mount.pitch,
            'mount.yaw': mount.yaw,
        }
        return ''.join(
            [
                '# SPDX-License-Identifier: Apache-2.0\n',
                *(f'# {line}\n' for line in words),
                '/**:\n  ros__parameters:\n',
                *(f'    {name}: [{value:.4f}]\n' for name, value in rows.items()),
            ]
        )

    def camera_file(self) -> str:
        """Returns the lens as camera_calibration writes one, for recordings without CameraInfo."""
        lens = self.lens.intrinsics
        distortion = lens.d.tolist() or [0.0] * 5
        rows = {
            'image_width': lens.width,
            'image_height': lens.height,
            'camera_name': 'camera',
            'camera_matrix': {'rows': 3, 'cols': 3, 'data': lens.k.reshape(-1).tolist()},
            'distortion_model': lens.distortion_model or 'plumb_bob',
            'distortion_coefficients': {'rows': 1, 'cols': len(distortion), 'data': distortion},
        }
        return (
            '# SPDX-License-Identifier: Apache-2.0\n'
            f'# Focal length {self.lens.source}.\n{yaml.safe_dump(rows, sort_keys=False)}'
        )

    def _without_focal_length(self) -> str:
        """Lane and vanishing point alone cannot give it on flat ground."""
        focal_px = float(self.lens.intrinsics.k[0, 0])
        u, v = self.estimate.vanishing_point
        parts = []
        for fov_deg in FOV_EXAMPLES_DEG:
            other_px = 0.5 * self.lens.intrinsics.width / math.tan(math.radians(0.5 * fov_deg))
            scale = focal_px / other_px
            pitch_rad, _ = turned(u * scale, v * scale, self.estimate.roll_rad)
            parts.append(f'{math.degrees(pitch_rad):.1f} at {fov_deg:g}')
        return (
            'focal length unknown: all angles and widths here hold for the assumed lens alone '
            f'(pitch would be {", ".join(parts)} degrees across). Give --fov, or --camera with '
            'the file of camera_calibration, or a bag with odometry on a road with dashes. What '
            'stands upright tells it where the camera looks down by some degrees.'
        )

    def _scale(self) -> str:
        found = self.estimate
        if not math.isfinite(self.width_m):
            return 'scale  unproven: too few pictures show both lines of the own lane.'
        std_m = found.lane_std_in_heights * self.height_m
        seen = (
            f'the lane is {self.width_m:.2f} m wide (± {std_m:.2f}) with the lens '
            f'{self.height_m:.2f} m above the ground'
        )
        if self.lane_width_m is None:
            return (
                f'scale  unproven: {seen}. Every distance goes with that height: give '
                '--lane-width METRES if you know it.'
            )
        height_m = self.lane_width_m / found.lane_in_heights
        if self.is_contradicted:
            return (
                f'scale  contradicted: {seen}, and --lane-width says {self.lane_width_m:.2f} m. '
                f'Measure again: the lens would be {height_m:.2f} m above the ground (mount.z).'
            )
        return f'scale  agrees: {seen}, --lane-width says {self.lane_width_m:.2f} m.'

    def _people(self) -> list[str]:
        if len(self.people) < LEAST_PEOPLE:
            return []
        tall_m = float(np.median(self.people)) * self.height_m
        off = abs(tall_m / ADULT_M - 1.0)
        verdict = 'agrees with adults' if off <= ADULT_SPREAD else 'no crowd of adults is that'
        return [
            f'people {verdict}: {len(self.people)} who were seen whole are {tall_m:.2f} m tall '
            f'(median), {ADULT_M} m is usual'
            + ('.' if off <= ADULT_SPREAD else f': check --height and the lens ({off:.0%} off).')
        ]


def people_in_heights(mask: NDArray[np.uint8], camera: Camera) -> list[float]:
    """Returns how tall the people are who are seen whole and alone, in heights of the lens.

    Args:
        mask: ``(H, W)``, not 0 where people are.
        camera: Of a picture of that size, at any height.
    """
    height, width = mask.shape
    count, _, rows, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    found = []
    for x, y, w, h, area in rows[1:count].tolist():
        is_whole = x > 0 and y > 0 and x + w < width and y + h < height
        is_upright = h >= LEAST_PERSON_PX and UPRIGHT[0] <= h / w <= UPRIGHT[1]
        if not (is_whole and is_upright and area > 0.35 * w * h):
            continue
        head, foot = camera.rays([[x + 0.5 * w, y - 0.5], [x + 0.5 * w, y + h - 0.5]])
        if foot[2] < -0.02:
            distance = math.hypot(foot[0], foot[1]) / -foot[2]  # in heights of the lens
            found.append(1.0 + distance * float(head[2]) / math.hypot(head[0], head[1]))
    return [value for value in found if math.isfinite(value)]


def _angle(value_rad: float, std_rad: float, positive: str, negative: str) -> str:
    word = positive if value_rad >= 0.0 else negative
    return f'{abs(math.degrees(value_rad)):.2f}° {word} (± {math.degrees(std_rad):.2f}°)'

# SPDX-License-Identifier: Apache-2.0
"""A field robot between rows of plants, seen by a camera whose place is known exactly.

    python -m training.uses.rows render out/uses/rows
    python -m training.uses.rows judge out/uses/rows out/uses/rows/bag

`render` writes `train/` and `test/` (pictures and masks of many fields) and `drive/`: a robot that
sways between two rows, `RATE_HZ` pictures a second, with `camera.yaml` (as camera_calibration
writes it) and `truth.json`. `judge` holds `~/lane_track/pose` of a bag that was made of
`drive/images` against where the robot was.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml
from numpy.random import Generator
from numpy.typing import NDArray

from training.uses.picture_set import (
    messages_of,
    new_folder,
    parsers,
    print_figures,
    write_mask,
    write_picture,
)

__all__ = ['Field', 'judge', 'picture_of', 'random_field', 'render']

SKY, SOIL, CROP, UNKNOWN = 0, 1, 2, 255  # as in training/configs/rows.yaml
SIZE_WH = (320, 240)
FOCAL_PX = 220.0  # 72° wide
CAMERA_Z_M, CAMERA_PITCH_RAD = 0.9, 0.35  # as mount.* of config/field_robot.yaml; down is positive
RATE_HZ = 10.0  # of the drive
DRIVE_S, SPEED_MPS = 40.0, 0.8
SWAY_M, SWAY_S = 0.12, 16.0  # of the robot, to either side
FAR_M = 40.0  # beyond is haze
DRAWN_M = 15.0  # beyond, nobody could draw a mask: unknown


@dataclass(frozen=True)
class Field:
    """What one field looks like.

    Attributes:
        spacing_m: From row to row.
        plant_m: Width of a row.
        gap_share: Of plants that did not come up.
        soil: Its colour.
        crop: Of the plants.
        sky: Of the sky.
        seed: Of everything that is uneven.
    """

    spacing_m: float
    plant_m: float
    gap_share: float
    soil: tuple[float, float, float]
    crop: tuple[float, float, float]
    sky: tuple[float, float, float]
    seed: int


def random_field(random: Generator) -> Field:
    dry = random.uniform(0.6, 1.35)
    return Field(
        random.uniform(0.65, 0.85),
        random.uniform(0.16, 0.28),
        random.uniform(0.0, 0.15),
        (125 * dry, 98 * dry, 72 * dry),
        (random.uniform(40, 120), random.uniform(95, 170), random.uniform(30, 70)),
        tuple(random.uniform(150, 235, 3)),
        int(random.integers(1 << 31)),
    )


def picture_of(
    field: Field, along_m: float, offset_m: float, heading_rad: float, noise: int = 0
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Returns RGB and labels as the robot sees them.

    Args:
        field: What it looks like.
        along_m: Where the robot is along the rows.
        offset_m: How far left of the middle between two rows.
        heading_rad: Turned to the left of the rows.
        noise: Seed of the camera's noise.
    """
    width, height = SIZE_WH
    u, v = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    right, down = (u - width / 2) / FOCAL_PX, (v - height / 2) / FOCAL_PX
    sine, cosine = math.sin(CAMERA_PITCH_RAD), math.cos(CAMERA_PITCH_RAD)
    forward, below = cosine - down * sine, sine + down * cosine
    is_ground = below > CAMERA_Z_M / FAR_M
    reach = np.where(is_ground, CAMERA_Z_M / np.where(is_ground, below, 1.0), 0.0)
    ahead, left = forward * reach, -right * reach
    x = along_m + ahead * math.cos(heading_rad) - left * math.sin(heading_rad)
    y = offset_m + ahead * math.sin(heading_rad) + left * math.cos(heading_rad)
    row = np.floor(y / field.spacing_m)  # rows are at spacing / 2 from the middle
    across = y - (row + 0.5) * field.spacing_m
    ragged = _noise(field.seed, x / 0.07, row * 7.3 + np.sign(across))
    came_up = _noise(field.seed + 1, np.floor(x / 0.3), row) > field.gap_share
    is_crop = is_ground & came_up & (np.abs(across) < field.plant_m * (0.35 + 0.3 * ragged))
    image = np.empty((height, width, 3))
    image[:] = field.sky
    clods = 0.8 + 0.4 * _noise(field.seed + 2, x / 0.03, y / 0.03)
    leaves = 0.6 + 0.7 * _noise(field.seed + 3, x / 0.02, y / 0.02)
    image[is_ground] = np.multiply(clods[..., None], field.soil)[is_ground]
    image[is_crop] = np.multiply(leaves[..., None], field.crop)[is_crop]
    haze = np.clip(reach / FAR_M, 0, 1)[..., None] * is_ground[..., None]
    image = image * (1 - haze) + np.multiply(haze, field.sky)
    image += np.random.default_rng((field.seed, noise)).normal(0, 4, image.shape)
    labels = np.where(is_crop, CROP, np.where(is_ground, SOIL, SKY)).astype(np.uint8)
    labels[is_ground & (reach > DRAWN_M)] = UNKNOWN
    return cv2.GaussianBlur(image.clip(0, 255), (0, 0), 0.6).astype(np.uint8), labels


def _noise(seed: int, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns 0 to 1, the same for the same cell of a grid, whatever the picture."""
    a = np.floor(x).astype(np.int64).astype(np.uint64)
    b = np.floor(y).astype(np.int64).astype(np.uint64)
    with np.errstate(over='ignore'):
        mixed = a * np.uint64(0x9E3779B97F4A7C15) ^ b * np.uint64(0xC2B2AE3D27D4EB4F)
        mixed = (mixed ^ np.uint64(seed)) * np.uint64(0xFF51AFD7ED558CCD)
        mixed = (mixed ^ (mixed >> np.uint64(33))) * np.uint64(0xC4CEB9FE1A85EC53)
    return (mixed >> np.uint64(40)).astype(np.float64) / (1 << 24)


def _pose(at_s: float) -> tuple[float, float, float]:
    """Returns where the robot is: along, offset to the left, heading."""
    turn = 2 * math.pi / SWAY_S
    offset = SWAY_M * math.sin(turn * at_s)
    heading = math.atan2(SWAY_M * turn * math.cos(turn * at_s), SPEED_MPS)
    return SPEED_MPS * at_s, offset, heading


def render(folder: Path, pictures: int, seconds: float, seed: int) -> None:
    """Writes `pictures` to train on, a third as many to test, and a drive of so many seconds."""
    new_folder(folder)
    random = np.random.default_rng(seed)
    for split, count in (('train', pictures), ('test', max(2, pictures // 3))):
        for number in range(count):
            field = random_field(random)
            pose = random.uniform(0, 50), random.normal(0, 0.12), random.normal(0, 0.12)
            picture, labels = picture_of(field, *pose)
            write_picture(folder / split, f'{number:04}', picture)
            write_mask(folder / split, f'{number:04}', labels)
    field = random_field(random)
    poses = []
    for number in range(int(seconds * RATE_HZ)):
        along, offset, heading = _pose(number / RATE_HZ)
        picture, _ = picture_of(field, along, offset, heading, number)
        write_picture(folder / 'drive', f'{number:04}', picture)
        poses.append({'offset_m': round(offset, 4), 'heading_rad': round(heading, 4)})
    truth = {'rate_hz': RATE_HZ, 'poses': poses}
    (folder / 'drive' / 'truth.json').write_text(json.dumps(truth))
    (folder / 'drive' / 'camera.yaml').write_text(yaml.safe_dump(_camera()))


def _camera() -> dict[str, Any]:
    (width, height), f = SIZE_WH, FOCAL_PX
    matrix = [f, 0.0, width / 2 - 0.5, 0.0, f, height / 2 - 0.5, 0.0, 0.0, 1.0]
    projection = [*matrix[0:3], 0.0, *matrix[3:6], 0.0, *matrix[6:9], 0.0]
    return {
        'image_width': width,
        'image_height': height,
        'camera_name': 'field',
        'distortion_model': 'plumb_bob',
        'camera_matrix': {'rows': 3, 'cols': 3, 'data': matrix},
        'distortion_coefficients': {'rows': 1, 'cols': 5, 'data': [0.0] * 5},
        'rectification_matrix': {'rows': 3, 'cols': 3, 'data': [1.0, 0, 0, 0, 1.0, 0, 0, 0, 1.0]},
        'projection_matrix': {'rows': 3, 'cols': 4, 'data': projection},
    }


def judge(folder: Path, bag: Path) -> dict[str, Any]:
    """Returns the share of pictures with a valid track, and its errors.

    `~/lane_track/pose` is the robot's between the rows: its offset and its heading.
    """
    truth = json.loads((folder / 'drive' / 'truth.json').read_text())
    offsets, headings = [], []
    for at_s, message in messages_of(bag, '/segmentation/lane_track/pose'):
        number = round(at_s * truth['rate_hz'])
        if number >= len(truth['poses']):
            continue
        true = truth['poses'][number]
        pose = message.pose.pose
        yaw = 2 * math.atan2(pose.orientation.z, pose.orientation.w)
        offsets.append(abs(pose.position.y - true['offset_m']))
        headings.append(abs(yaw - true['heading_rad']))
    if not offsets:
        return {'pictures': len(truth['poses']), 'valid_share': 0.0}
    return {
        'pictures': len(truth['poses']),
        'valid_share': round(len(offsets) / len(truth['poses']), 3),
        'offset_error_mean_m': round(float(np.mean(offsets)), 4),
        'offset_error_p95_m': round(float(np.percentile(offsets, 95)), 4),
        'heading_error_p95_rad': round(float(np.percentile(headings, 95)), 4),
    }


def main() -> None:
    parser, drawing = parsers(__doc__.split('\n')[0], 'print how well the rows were followed')
    drawing.add_argument(
        '--seconds', type=float, default=DRIVE_S, help=f'of the drive ({DRIVE_S})'
    )
    asked = parser.parse_args()
    if asked.word == 'render':
        render(asked.folder, asked.pictures, asked.seconds, asked.seed)
    else:
        print_figures(judge(asked.folder, asked.bag))


if __name__ == '__main__':
    main()

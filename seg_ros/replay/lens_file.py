"""A camera's calibration from the file that ROS's camera_calibration writes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import yaml

from seg_ros.core.errors import ConfigurationError
from seg_ros.core.geometry.intrinsics import CameraIntrinsics

__all__ = ['read_lens']


def read_lens(path: Path) -> CameraIntrinsics:
    """Returns the lens.

    Raises:
        ConfigurationError: The file is no calibration.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding='utf-8'))
        return CameraIntrinsics(
            width=int(content['image_width']),
            height=int(content['image_height']),
            k=np.array(content['camera_matrix']['data'], np.float64).reshape(3, 3),
            distortion_model=str(content['distortion_model']),
            d=np.array(content['distortion_coefficients']['data'], np.float64),
        )
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        msg = (
            f'{path} was to be read as a calibration, but: {error!r}. It needs image_width, '
            'image_height, camera_matrix, distortion_model and distortion_coefficients, as '
            'camera_calibration writes them.'
        )
        raise ConfigurationError(msg) from error

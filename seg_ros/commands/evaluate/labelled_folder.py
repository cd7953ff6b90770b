# SPDX-License-Identifier: Apache-2.0
"""A folder of pictures with label images.

Either they lie beside the pictures, NAME.avif (png, jpg) and NAME.label.png, and a NAME.lane.png,
where there is one, is the probability (0 to 255) of a lane marking or kerb line. Or the folder
has two sub-folders, `images` and `masks`, with NAME.jpg (png, avif) and NAME.png.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from seg_ros.core.errors import ConfigurationError
from seg_ros.core.types import LabelImage, RgbImage

__all__ = ['LabelledPicture', 'labelled_pictures', 'read_rgb']

PICTURES = ('.avif', '.png', '.jpg', '.jpeg')


class LabelledPicture(NamedTuple):
    """Where a picture and its labels lie.

    Attributes:
        name: Without its endings.
        picture: The picture's file.
        label: Its label image.
        lane: Its lane probabilities, None where there are none.
    """

    name: str
    picture: Path
    label: Path
    lane: Path | None

    def rgb(self) -> RgbImage:
        """Returns the picture."""
        return read_rgb(self.picture)

    def labels(self) -> LabelImage:
        """Returns the label image."""
        return _grey(self.label)

    def lane_probability(self) -> NDArray[np.uint8] | None:
        """Returns the lane probabilities, 0 to 255."""
        return None if self.lane is None else _grey(self.lane)


def labelled_pictures(folder: Path) -> Iterator[LabelledPicture]:
    """Yields the labelled pictures of a folder, in order of their names.

    Raises:
        ConfigurationError: There is none, or one of them has no picture.
    """
    masks = folder / 'masks'
    pictures, ending = (folder / 'images', '.png') if masks.is_dir() else (folder, '.label.png')
    labels = sorted((masks if masks.is_dir() else folder).glob(f'*{ending}'))
    if not labels:
        raise ConfigurationError(
            f'{folder} has no NAME.label.png. Give a folder with NAME.avif (or png, jpg) and '
            'NAME.label.png side by side, or one with images/NAME.jpg and masks/NAME.png.'
        )
    for label in labels:
        name = label.name.removesuffix(ending)
        paths = [pictures / f'{name}{kind}' for kind in PICTURES]
        picture = next((path for path in paths if path.exists()), None)
        if picture is None:
            raise ConfigurationError(f'{label} has no picture {pictures / name}.')
        lane = label.with_name(f'{name}.lane.png')
        yield LabelledPicture(name, picture, label, lane if lane.exists() else None)


def read_rgb(path: Path) -> RgbImage:
    """Returns a picture; AVIF, which not every OpenCV reads, by Pillow.

    Raises:
        ConfigurationError: Nobody here can read it.
    """
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is not None:
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), dtype=np.uint8)
    try:
        from PIL import Image
    except ImportError as error:
        raise ConfigurationError(
            f'{path} cannot be read without Pillow: pip install pillow'
        ) from error
    with Image.open(path) as picture:
        return np.asarray(picture.convert('RGB'))


def _grey(path: Path) -> NDArray[np.uint8]:
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if image is None or image.ndim != 2:
        raise ConfigurationError(f'{path} must be an 8-bit PNG of one channel.')
    return np.asarray(image, dtype=np.uint8)

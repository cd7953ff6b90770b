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

import numpy as np
from numpy.typing import NDArray

from seg_ros.core.errors import ConfigurationError
from seg_ros.core.image.announced import is_turned
from seg_ros.core.types import LabelImage, RgbImage
from seg_ros.recordings.image_file import (
    TURNED,
    in_natural_order,
    is_image,
    labels_of_file,
    read_image,
    rgb_of_file,
)

__all__ = ['PICTURES', 'LabelledPicture', 'labelled_pictures']

PICTURES = ('.avif', '.png', '.jpg', '.jpeg')  # in this order where one name has several


class LabelledPicture(NamedTuple):
    """Where a picture and its labels lie.

    Attributes:
        name: Without its endings.
        picture: The picture's file.
        label: Its label image.
        lane: Its lane probabilities, None where there are none.
        are_instances: Whether the label image is as ``~/instances``.
    """

    name: str
    picture: Path
    label: Path
    lane: Path | None = None
    are_instances: bool = False

    def rgb(self) -> RgbImage:
        """Returns the picture, its pixels as they lie in the file.

        Raises:
            ConfigurationError: It cannot be read.
        """
        return rgb_of_file(self.picture)

    def labels(self) -> LabelImage:
        """Returns the label image.

        Raises:
            ConfigurationError: It cannot be read.
        """
        return labels_of_file(self.label, are_instances=self.are_instances)

    def rgb_and_labels(self) -> tuple[RgbImage, LabelImage]:
        """Returns both.

        Raises:
            ConfigurationError: One cannot be read, or they are of different sizes.
        """
        rgb, labels = self.rgb(), self.labels()
        if rgb.shape[:2] != labels.shape:
            (height, width), (rows, columns) = rgb.shape[:2], labels.shape
            raise ConfigurationError(
                f'{self.label} is {columns}x{rows}, its picture {self.picture.name} '
                f'{width}x{height}. Labels are compared pixel by pixel: give both the same size, '
                'and turn both the same way.'
            )
        return rgb, labels

    def note(self) -> str:
        """Returns what is not taken at its word, in a sentence; empty where all is."""
        is_odd = is_turned(read_image(self.picture))
        return f'{self.picture.name}, and maybe others, {TURNED}' if is_odd else ''

    def lane_probability(self) -> NDArray[np.uint8] | None:
        """Returns the lane probabilities, 0 to 255."""
        return None if self.lane is None else labels_of_file(self.lane)


def labelled_pictures(folder: Path, *, are_instances: bool = False) -> Iterator[LabelledPicture]:
    """Yields the labelled pictures of a folder, in the natural order of their names.

    Raises:
        ConfigurationError: There is none, or one of them has no picture.
    """
    masks = folder / 'masks'
    pictures, ending = (folder / 'images', '.png') if masks.is_dir() else (folder, '.label.png')
    labels = in_natural_order(list((masks if masks.is_dir() else folder).glob(f'*{ending}')))
    if not labels:
        raise ConfigurationError(
            f'{folder} has no NAME.label.png. Give a folder with NAME.avif (or png, jpg) and '
            'NAME.label.png side by side, or one with images/NAME.jpg and masks/NAME.png.'
        )
    by_name: dict[str, list[Path]] = {}
    for path in sorted(pictures.iterdir() if pictures.is_dir() else (), key=_preference):
        by_name.setdefault(path.stem, []).append(path)
    for label in labels:
        name = label.name.removesuffix(ending)
        picture = next(filter(is_image, by_name.get(name, ())), None)
        if picture is None:
            raise ConfigurationError(f'{label} has no picture {pictures / name}.')
        lane = label.with_name(f'{name}.lane.png')
        yield LabelledPicture(name, picture, label, lane if lane.exists() else None, are_instances)


def _preference(path: Path) -> tuple[int, Path]:
    suffix = path.suffix.lower()
    return (PICTURES.index(suffix) if suffix in PICTURES else len(PICTURES)), path

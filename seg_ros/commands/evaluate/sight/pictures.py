# SPDX-License-Identifier: Apache-2.0
"""Clean pictures of a data set, which camera each is of, and whether a road lies ahead in them.

A picture without any fault may show no way all the same: a hedge, a wall, the pavement before
somebody on foot. A stop that refuses it is right, for a vehicle on a road. So shares of clean
pictures that are refused are told twice: of all, and of those whose zone is ground by their own
labels.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from seg_ros.commands.evaluate.labelled_folder import PICTURES
from seg_ros.commands.evaluate.stop.folder import CAMVID_LABEL_MAP
from seg_ros.core.errors import ConfigurationError
from seg_ros.core.stop.config import StopConfig
from seg_ros.core.stop.sight import ZoneWatch
from seg_ros.core.stop.zones import ImageZone
from seg_ros.core.types import RgbImage
from seg_ros.recordings.image_file import labels_of_file, rgb_of_file

__all__ = ['CleanPicture', 'clean_pictures']

NO_PICTURES = ('.label', '.lane')  # label images that lie beside
NO_FOLDERS = ('masks', 'labels')
SPLITS = ('train', 'val', 'test')  # a folder of this name is called after the one around it
# Not clean by anybody's eyes: a decoder lost the lower 60 % of it, and with it the whole zone. All
# 196 pictures of this set were looked at: others have lost colours or a band, and show the way
DAMAGED = ('lums-robot/val/color_167',)
ROAD = 3  # in every data set
# From this id on labels say nothing, in one data set or all; where 11 is paint, it is on a road
UNKNOWN = 11
LAST_NUMBER = re.compile(r'\d+(?=\D*$)')


class CleanPicture(NamedTuple):
    """A picture of a real camera.

    Attributes:
        path: Where it lies.
        dataset: The name of the folder that was asked for.
        camera: Pictures whose names differ in their last number only are of one camera.
    """

    path: Path
    dataset: str
    camera: str

    def rgb(self) -> RgbImage:
        """Returns the picture."""
        return rgb_of_file(self.path)

    def has_ground_ahead(self, config: StopConfig) -> bool:
        """Returns whether the zone is ground by the picture's own labels, up to an obstacle.

        What nobody has labelled counts as ground, so that no refusal is excused by it.

        Args:
            config: Its image zone, and what counts as seen.
        """
        beside = self.path.with_name(f'{self.path.stem}{NO_PICTURES[0]}.png')
        of_masks = self.path.parent.with_name(NO_FOLDERS[0]) / f'{self.path.stem}.png'
        label = next((path for path in (beside, of_masks) if path.exists()), None)
        if label is None:
            return True
        labels = labels_of_file(label)
        watch = ZoneWatch(config, CAMVID_LABEL_MAP)
        known = np.where(labels >= UNKNOWN, np.uint8(ROAD), labels)
        sight = watch.look_at_picture(known, ImageZone(config.image_polygon))
        return watch.fault(sight) is None


def clean_pictures(folder: Path, most: int = 0) -> list[CleanPicture]:
    """Returns the pictures below a folder in order of their names.

    Label images are left out, and the one of ``DAMAGED``.

    Args:
        folder: The data set.
        most: At most so many, evenly over all; 0 takes all.

    Raises:
        ConfigurationError: There is none.
    """
    resolved = folder.resolve()
    name = resolved.parent.name if resolved.name in SPLITS else resolved.name
    found = [
        CleanPicture(path, name, f'{name}/{LAST_NUMBER.sub("", path.stem)}')
        for path in sorted(_pictures(folder))
    ]
    if not found:
        raise ConfigurationError(f'{folder} has no pictures ({", ".join(PICTURES)}).')
    if not 0 < most < len(found):
        return found
    return [found[index * len(found) // most] for index in range(most)]


def _pictures(folder: Path) -> Iterator[Path]:
    for path in folder.rglob('*'):
        is_label = path.stem.endswith(NO_PICTURES) or path.parent.name in NO_FOLDERS
        is_damaged = '/'.join(path.resolve().with_suffix('').parts[-3:]) in DAMAGED
        if path.suffix.lower() in PICTURES and not is_label and not is_damaged:
            yield path

# SPDX-License-Identifier: Apache-2.0
"""Clean pictures of a data set, and which camera each is of."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from seg_ros.commands.evaluate.labelled_folder import PICTURES
from seg_ros.core.errors import ConfigurationError
from seg_ros.core.types import RgbImage
from seg_ros.recordings.image_file import rgb_of_file

__all__ = ['CleanPicture', 'clean_pictures']

NO_PICTURES = ('.label', '.lane')  # label images that lie beside
NO_FOLDERS = ('masks', 'labels')
SPLITS = ('train', 'val', 'test')  # a folder of this name is called after the one around it
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


def clean_pictures(folder: Path, most: int = 0) -> list[CleanPicture]:
    """Returns the pictures below a folder in order of their names, label images left out.

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
        if path.suffix.lower() in PICTURES and not is_label:
            yield path

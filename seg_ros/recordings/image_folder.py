"""A folder of images as a camera."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path

import cv2
import numpy as np

from seg_ros.core.errors import ConfigurationError
from seg_ros.core.geometry.camera import Mount
from seg_ros.core.geometry.intrinsics import CameraIntrinsics
from seg_ros.recordings.sources import SourceFrame, SourceOptions

__all__ = ['ImageFolder', 'open_source']

LOGGER = logging.getLogger(__name__)

PERIOD_NS = 200_000_000  # photographs are shown slowly: 5 a second


class ImageFolder:
    """Plays the images of a folder in the order of their names.

    A file that looks like an image and cannot be decoded is skipped with a warning.

    Args:
        folder: The folder; what is no image in it is left alone.

    Raises:
        ConfigurationError: There is no image in it.
    """

    camera: CameraIntrinsics | None = None
    mount: Mount | None = None
    class_names: Mapping[int, str] | None = None

    def __init__(self, folder: Path) -> None:
        self.name = folder.resolve().name
        files = sorted(p for p in folder.iterdir() if p.is_file()) if folder.is_dir() else [folder]
        self.paths = [path for path in files if cv2.haveImageReader(str(path))]
        if not self.paths:
            msg = (
                f'{folder} was to be played as images, but none of its {len(files)} files is an '
                'image that OpenCV reads. Name a folder of png, jpeg, webp or avif files.'
            )
            raise ConfigurationError(msg)

    def frames(self) -> Iterator[SourceFrame]:
        for index, path in enumerate(self.paths):
            bgr = cv2.imread(str(path), cv2.IMREAD_COLOR)
            if bgr is None:
                LOGGER.warning('%s is skipped: it starts like an image, but is broken.', path)
                continue
            image = np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), dtype=np.uint8)
            yield SourceFrame(image, index * PERIOD_NS)


def open_source(options: SourceOptions) -> ImageFolder:
    return ImageFolder(Path(options.what))

"""The stop on a folder of labelled pictures: does the network decide as the true labels do?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np

from seg_ros.core.errors import ConfigurationError
from seg_ros.core.labels import LabelClass, LabelMap
from seg_ros.core.people import PeopleFinder
from seg_ros.core.stop_config import StopConfig
from seg_ros.core.types import LabelImage, RgbImage
from seg_ros.core.zones import ImageZone

__all__ = ['CAMVID_LABEL_MAP', 'FolderTally', 'labelled_pictures']

PICTURES = ('.avif', '.png', '.jpg', '.jpeg')

CAMVID_LABEL_MAP = LabelMap(
    tuple(
        LabelClass(class_id, name, (class_id, class_id, class_id), tuple(roles))
        for class_id, (name, *roles) in enumerate(
            [
                ('sky', 'sky'),
                ('building', 'static', 'obstacle'),
                ('pole', 'static', 'obstacle'),
                ('road', 'drivable'),
                ('pavement', 'walkable'),
                ('tree', 'static', 'obstacle'),
                ('sign', 'static', 'obstacle'),
                ('fence', 'static', 'obstacle'),
                ('car', 'vehicle', 'obstacle'),
                ('pedestrian', 'pedestrian', 'obstacle'),
                ('cyclist', 'cyclist', 'obstacle'),
                ('unlabelled',),
            ]
        )
    )
)
"""What the ids of CamVid's label images mean."""


class FolderTally:
    """Counts pictures by what the truth and the network decide.

    Args:
        config: Its image zone and its sizes of people; each picture stands for itself.
        label_map: Of the network.
    """

    def __init__(self, config: StopConfig, label_map: LabelMap) -> None:
        self._zone = ImageZone(config.image_polygon)
        self._truth = _finder(config, CAMVID_LABEL_MAP)
        self._network = _finder(config, label_map)
        self.both = 0
        self.missed = 0
        self.false = 0
        self.frames = 0

    def add(self, truth: LabelImage, labels: LabelImage) -> None:
        """Books a picture; both label images have the same size."""
        is_true = self._stops(self._truth, truth)
        is_said = self._stops(self._network, labels)
        self.frames += 1
        self.both += is_true and is_said
        self.missed += is_true and not is_said
        self.false += is_said and not is_true

    def figures(self) -> dict[str, float | dict[str, float]]:
        true, said = self.both + self.missed, self.both + self.false
        return {
            'frames': self.frames,
            'frames_with_a_stop': true,
            'frame_recall': self.both / true if true else float('nan'),
            'frame_precision': self.both / said if said else float('nan'),
        }

    def _stops(self, finder: PeopleFinder, labels: LabelImage) -> bool:
        people = finder.find(labels)
        feet = np.array([(p.foot_px[0], p.bbox[3] - 1.0) for p in people]).reshape(-1, 2)
        return bool(self._zone.contains(feet, (labels.shape[1], labels.shape[0])).any())


def labelled_pictures(
    folder: Path, size_wh: tuple[int, int]
) -> Iterator[Callable[[], tuple[RgbImage, LabelImage]]]:
    """A function for each picture of a folder, in order, that reads it and its true labels.

    Raises:
        ConfigurationError: The folder has no picture with a label image beside it.
    """
    names = sorted(path.name.removesuffix('.label.png') for path in folder.glob('*.label.png'))
    if not names:
        raise ConfigurationError(
            f'{folder} has no NAME.label.png. Give a folder in the layout of CamVid: NAME.avif '
            'and NAME.label.png side by side.'
        )
    for name in names:
        yield lambda name=name: _read(folder, name, size_wh)  # type: ignore[misc]


def _read(folder: Path, name: str, size_wh: tuple[int, int]) -> tuple[RgbImage, LabelImage]:
    paths = [folder / f'{name}{ending}' for ending in PICTURES]
    path = next((path for path in paths if path.exists()), None)
    if path is None:
        raise ConfigurationError(f'{folder} has {name}.label.png and no picture of that name.')
    image = _rgb_of(path)
    labels = cv2.imread(str(folder / f'{name}.label.png'), cv2.IMREAD_UNCHANGED)
    interpolation = cv2.INTER_LINEAR if size_wh[0] > image.shape[1] else cv2.INTER_AREA
    return (
        np.asarray(cv2.resize(image, size_wh, interpolation=interpolation)),
        np.asarray(cv2.resize(labels, size_wh, interpolation=cv2.INTER_NEAREST)),
    )


def _rgb_of(path: Path) -> RgbImage:
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is not None:
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB))
    try:
        from PIL import Image
    except ImportError as error:
        raise ConfigurationError(
            f'{path} cannot be read without Pillow: pip install pillow'
        ) from error
    with Image.open(path) as picture:
        return np.asarray(picture.convert('RGB'))


def _finder(config: StopConfig, label_map: LabelMap) -> PeopleFinder:
    return PeopleFinder(
        label_map,
        include_cyclists=config.include_cyclists,
        min_pixels=config.min_person_pixels,
        min_share=config.min_person_share,
    )

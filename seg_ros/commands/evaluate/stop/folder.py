"""The stop on a folder of labelled pictures: does the network decide as the true labels do?"""

from __future__ import annotations

import cv2
import numpy as np

from seg_ros.commands.evaluate.labelled_folder import LabelledPicture
from seg_ros.core.labels import LabelClass, LabelMap
from seg_ros.core.stop.config import StopConfig
from seg_ros.core.stop.people import PeopleFinder
from seg_ros.core.stop.zones import ImageZone
from seg_ros.core.types import LabelImage, RgbImage

__all__ = ['CAMVID_LABEL_MAP', 'FolderTally', 'at_network_size']

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


def at_network_size(
    picture: LabelledPicture, size_wh: tuple[int, int]
) -> tuple[RgbImage, LabelImage]:
    """Returns a picture and its true labels at the size of the network."""
    image = picture.rgb()
    interpolation = cv2.INTER_LINEAR if size_wh[0] > image.shape[1] else cv2.INTER_AREA
    return (
        np.asarray(cv2.resize(image, size_wh, interpolation=interpolation)),
        np.asarray(cv2.resize(picture.labels(), size_wh, interpolation=cv2.INTER_NEAREST_EXACT)),
    )


def _finder(config: StopConfig, label_map: LabelMap) -> PeopleFinder:
    return PeopleFinder(
        label_map,
        include_cyclists=config.include_cyclists,
        min_pixels=config.min_person_pixels,
        min_share=config.min_person_share,
    )

"""The stop on a folder of labelled pictures: does the network decide as the true labels do?"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from seg_ros.commands.evaluate.evaluated_camera import EvaluatedCamera, without_pictures
from seg_ros.commands.evaluate.exact_labels import ExactLabels
from seg_ros.core.labels import LabelClass, LabelMap
from seg_ros.core.parameters.node_config import NodeConfig
from seg_ros.core.stop.config import StopConfig
from seg_ros.core.types import LabelImage, RgbImage
from seg_ros.decisions import needs_of_stop
from seg_ros.inference.base import InferenceBackend

__all__ = ['CAMVID_LABEL_MAP', 'FolderTally']

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
        stop: Its image zone and its sizes of people; each picture stands for itself.
        backend: The network.
    """

    def __init__(self, stop: StopConfig, backend: InferenceBackend) -> None:
        # One picture is all that there is: it needs no second one to confirm it
        alone = replace(stop, zone='image', confirm_frames=1, min_frame_confidence=0.0)
        config = without_pictures(NodeConfig(stop=alone))
        self._size_wh = backend.engine.network_size_wh
        self._wanted = needs_of_stop(alone)
        self._truth = EvaluatedCamera(ExactLabels(self._size_wh, CAMVID_LABEL_MAP), config)
        self._network = EvaluatedCamera(backend, config)
        self.both = 0
        self.missed = 0
        self.false = 0
        self.frames = 0

    def add(self, image: RgbImage, truth: LabelImage) -> None:
        """Books a picture and its true labels, of any size."""
        exact = cv2.resize(truth, self._size_wh, interpolation=cv2.INTER_NEAREST_EXACT)
        is_true = self._stops(self._truth, image, np.asarray(exact, np.uint8))
        is_said = self._stops(self._network, image)
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

    def _stops(
        self, camera: EvaluatedCamera, image: RgbImage, exact: LabelImage | None = None
    ) -> bool:
        camera.reset()
        stop = camera.process(image, 0, self._wanted, exact=exact).decisions.stop
        return stop is not None and stop.kind == 'person'

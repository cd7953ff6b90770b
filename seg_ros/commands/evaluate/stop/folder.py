# SPDX-License-Identifier: Apache-2.0
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
from seg_ros.core.stop.pedestrian_stop import is_evidence_in
from seg_ros.core.stop.people import EVEN_CONFIDENCE, PeopleFinder
from seg_ros.core.stop.zones import ImageZone
from seg_ros.core.types import LabelImage, NetworkView, RgbImage
from seg_ros.decisions import needs_of_stop
from seg_ros.inference.base import InferenceBackend
from seg_ros.perception import Perceived

__all__ = ['CAMVID_LABEL_MAP', 'FolderTally', 'is_anybody_in', 'is_labelled']

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


BINS_PX = {'to_20': 20.0, 'to_40': 40.0, 'to_80': 80.0, 'to_160': 160.0, 'more': float('inf')}
"""Heights of people in the network's picture: the names of the bins and the most in each."""

SEEN_SHARE = 0.2  # of a person's pixels that are of somebody for the network, too


# Mean confidences over somebody in the zone at which the precision-recall curve is told
CURVE = (0.2, 0.3, EVEN_CONFIDENCE, 0.5, 0.6, 0.7, 0.8)
LABELLED_SHARE = 0.5  # of the pixels: else nobody has looked whether somebody is in the picture


class FolderTally:
    """Counts pictures by what the truth and the network decide.

    Args:
        stop: Its image zone and its sizes of people; each picture stands for itself.
        backend: The network.
    """

    def __init__(self, stop: StopConfig, backend: InferenceBackend) -> None:
        # One picture is all that there is: it needs no second one to confirm it
        alone = replace(
            stop,
            zone='image',
            image_zone_adapts=False,  # and too little to guess anything of the camera
            confirm_frames=1,
            min_frame_confidence=0.0,
        )
        config = without_pictures(NodeConfig(stop=alone))
        self._size_wh = backend.engine.network_size_wh
        self._wanted = needs_of_stop(alone)
        self._truth = EvaluatedCamera(ExactLabels(self._size_wh, CAMVID_LABEL_MAP), config)
        self._network = EvaluatedCamera(backend, config)
        self.both = 0
        self.missed = 0
        self.false = 0
        self.frames = 0
        self._people = _people_finder(alone, backend.engine.label_map)
        self._true_people = _people_finder(alone, CAMVID_LABEL_MAP)
        self._network_ids = np.array(_ids(backend.engine.label_map, stop))
        self._true_ids = np.array(_ids(CAMVID_LABEL_MAP, stop))
        self._by_px: dict[str, list[int]] = {name: [0, 0] for name in BINS_PX}
        self._zone = ImageZone(alone.image_polygon)
        self._surest: list[tuple[float, bool]] = []  # confidence of who is in the zone, and truth

    def add(self, image: RgbImage, truth: LabelImage) -> None:
        """Books a picture and its true labels, of any size."""
        exact = cv2.resize(truth, self._size_wh, interpolation=cv2.INTER_NEAREST_EXACT)
        self._truth.reset()
        is_true = _is_stop(
            self._truth.process(image, 0, self._wanted, exact=np.asarray(exact, np.uint8))
        )
        self._network.reset()
        seen = self._network.see(image, 0, self._wanted)
        self._count_people(seen.view, np.asarray(exact, np.uint8))
        self._surest.append((self._surest_in_zone(seen.view), is_true))
        is_said = _is_stop(self._network.finish(seen))
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
            'recall_by_px': {
                name: found / count for name, (found, count) in self._by_px.items() if count
            },
            **self._curve(),
        }

    def _surest_in_zone(self, view: NetworkView) -> float:
        """Mean confidence of the surest one in the zone; -1 without anybody."""
        people = self._people.find(view.labels, view.confidence)
        inside = [p.confidence for p in people if is_evidence_in(self._zone, p, view.labels.shape)]
        return max(inside, default=-1.0)

    def _curve(self) -> dict[str, float | dict[str, float]]:
        """What recall and precision would be if who is less sure than that were nobody."""
        recall, precision = {}, {}
        true = sum(is_true for _, is_true in self._surest)
        for least in CURVE:
            said = [is_true for confidence, is_true in self._surest if confidence >= least]
            recall[f'{least:g}'] = sum(said) / true if true else float('nan')
            precision[f'{least:g}'] = sum(said) / len(said) if said else float('nan')
        return {
            'recall_at_confidence': recall,
            'precision_at_confidence': precision,
            'chosen_confidence': EVEN_CONFIDENCE,
        }

    def _count_people(self, view: NetworkView, truth: LabelImage) -> None:
        """Books who of the true people the network's people cover, by height in its picture."""
        is_seen = np.zeros(truth.shape, bool)
        for person in self._people.find(view.labels, view.confidence):
            x0, y0, x1, y1 = person.bbox
            part = np.isin(view.labels[y0:y1, x0:x1], self._network_ids)
            is_seen[y0:y1, x0:x1] |= part
        for person in self._true_people.find(truth):
            x0, y0, x1, y1 = person.bbox
            own = np.isin(truth[y0:y1, x0:x1], self._true_ids)
            row = self._by_px[next(name for name, most in BINS_PX.items() if y1 - y0 <= most)]
            row[0] += bool(np.count_nonzero(is_seen[y0:y1, x0:x1] & own) > SEEN_SHARE * own.sum())
            row[1] += 1


def _is_stop(perceived: Perceived) -> bool:
    """Whether somebody in the zone is the reason of a stop."""
    stop = perceived.decisions.stop
    return stop is not None and stop.kind == 'person'


def is_anybody_in(truth: LabelImage) -> bool:
    """Returns whether somebody, on foot or on a bicycle, is labelled in a picture."""
    ids = [
        *CAMVID_LABEL_MAP.ids_with_role('pedestrian'),
        *CAMVID_LABEL_MAP.ids_with_role('cyclist'),
    ]
    return bool(np.isin(truth, ids).any())


def is_labelled(truth: LabelImage) -> bool:
    """Returns whether enough of a picture is labelled to say that nobody is in it."""
    known = np.isin(truth, [row.id for row in CAMVID_LABEL_MAP.classes if row.roles])
    return bool(known.mean() >= LABELLED_SHARE)


def _people_finder(stop: StopConfig, label_map: LabelMap) -> PeopleFinder:
    return PeopleFinder(
        label_map,
        include_cyclists=stop.include_cyclists,
        min_pixels=stop.min_person_pixels,
        min_share=stop.min_person_share,
    )


def _ids(label_map: LabelMap, stop: StopConfig) -> list[int]:
    """Class ids of who counts."""
    roles = ('pedestrian', 'cyclist') if stop.include_cyclists else ('pedestrian',)
    return sorted({class_id for role in roles for class_id in label_map.ids_with_role(role)})

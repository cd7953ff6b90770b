# SPDX-License-Identifier: Apache-2.0
"""``seg_ros evaluate``: the labels of an engine, on any backend, against a labelled folder."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from seg_ros.commands.evaluate.evaluated_camera import EvaluatedCamera
from seg_ros.commands.evaluate.label_figures import LabelFigures
from seg_ros.commands.evaluate.labelled_folder import LabelledPicture, labelled_pictures
from seg_ros.commands.evaluate.metrics import ConfusionMatrix, confusion_picture
from seg_ros.commands.shared.node_parameters import (
    add_parameter_arguments,
    config_from_arguments,
)
from seg_ros.commands.shared.numbers import one_or_more, zero_or_more
from seg_ros.commands.shared.output_folder import claim
from seg_ros.commands.shared.progress import Progress
from seg_ros.core.errors import ConfigurationError
from seg_ros.core.labels import LabelMap
from seg_ros.core.types import LabelImage
from seg_ros.inference.engine import load_engine
from seg_ros.inference.registry import BACKENDS, create_backend
from seg_ros.pictures.picture_file import write_picture

__all__ = ['CAMVID_CLASSES', 'LabelTally', 'add_arguments', 'main']

# The names of CamVid's 11 classes as the engines here have them, by id; 11 is unlabelled.
CAMVID_CLASSES = (
    'sky', 'building', 'pole', 'road', 'pavement', 'tree', 'sign', 'fence', 'vehicle',
    'pedestrian', 'cyclist',
)  # fmt: skip
UNLABELLED = 255
LANE_THRESHOLD = 127
KERB_PX = 4  # a lane pixel this near to the pavement is a kerb line (CamVid README)
WORST_PICTURES = 6
LABEL = ('label',)
WRITTEN = ('confusion.png', 'worst_*.png')
MS_PER_S = 1000.0


class Score(NamedTuple):
    """How one picture went."""

    accuracy: float
    picture: LabelledPicture


class LabelTally:
    """Books label images against the truth.

    Attributes:
        names: Class names of the truth by id.
        label_map: Of the engine.
        matrix: What was booked.
        engine_from_truth: ``uint8 (256,)``, the engine's id of each id of the truth.
        unknown: Pixels of each id of the truth that is neither a class nor says unlabelled.

    Args:
        label_map: Of the engine.
        truth_names: Class names of the truth by id; None where it has the engine's own ids.

    Raises:
        ConfigurationError: The engine lacks a class of the truth.
    """

    def __init__(self, label_map: LabelMap, truth_names: tuple[str, ...] | None) -> None:
        self.label_map = label_map
        self.names = truth_names or tuple(row.name for row in label_map.classes)
        known = {row.name for row in label_map.classes}
        if lacking := [name for name in self.names if name not in known]:
            raise ConfigurationError(
                f'The engine has no class {lacking[0]!r}; it has {", ".join(sorted(known))}. '
                'Evaluate it on labels that have its classes, or with --ids engine.'
            )
        self.matrix = ConfusionMatrix(len(self.names))
        self.lane = np.zeros(2, np.int64)  # intersection, union
        pedestrian, cyclist, self._lane_ids = (
            list(label_map.ids_with_role(role)) for role in ('pedestrian', 'cyclist', 'lane')
        )
        self._found = LabelFigures(pedestrian, [*pedestrian, *cyclist], self._lane_ids)
        self._truth_from_engine = self._lookup()
        ids = {row.name: row.id for row in label_map.classes}
        self.unknown = np.zeros(256, np.int64)
        self._unlabelled = {UNLABELLED, label_map.unlabelled}
        if truth_names is not None:
            self._unlabelled.add(len(truth_names))  # CamVid's own
        self.engine_from_truth = np.full(256, UNLABELLED, np.uint8)
        self.engine_from_truth[: len(self.names)] = [ids[name] for name in self.names]

    def add(
        self, truth: LabelImage, labels: LabelImage, lane: NDArray[np.uint8] | None = None
    ) -> float:
        """Books one picture; returns the share of its pixels that is right.

        Args:
            truth: Ids of `names`, others are unknown.
            labels: The engine's, of the same shape.
            lane: How surely a pixel is lane marking, 0 to 255, where `truth` does not tell.
        """
        predicted = cv2.LUT(labels, self._truth_from_engine)
        self.matrix.add(truth, predicted)
        known = truth < len(self.names)
        in_engine_ids = cv2.LUT(truth, self.engine_from_truth)
        if lane is not None:
            is_lane = self._lane_of(truth, lane)
            said = np.isin(labels, self._lane_ids) & known
            self.lane += (is_lane & said).sum(), (is_lane | said).sum()
            in_engine_ids[is_lane] = self._lane_ids[0]
        self._found.add(in_engine_ids, labels)
        counts = np.bincount(truth.ravel(), minlength=256)
        counts[[*range(len(self.names)), *self._unlabelled]] = 0
        self.unknown += counts
        return float((predicted == truth)[known].mean()) if known.any() else 1.0

    def _lane_of(self, truth: LabelImage, lane: NDArray[np.uint8]) -> NDArray[np.bool_]:
        road, *beside = (self.names.index(name) for name in ('road', 'pavement', 'fence'))
        kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * KERB_PX + 1,) * 2)
        kerb = cv2.dilate(np.isin(truth, beside).astype(np.uint8), kernel)
        return (lane > LANE_THRESHOLD) & (truth == road) & (kerb == 0)

    def notes(self) -> list[str]:
        """Returns what was left out, in sentences."""
        ids = np.flatnonzero(self.unknown)
        if not len(ids):
            return []
        shown = ', '.join(f'{number} ({self.unknown[number]} pixels)' for number in ids[:8])
        note = (
            f'The truth has {len(ids)} ids that are neither a class nor unlabelled; they count '
            f'nowhere: {shown}{", …" if len(ids) > 8 else ""}. {self._wanted()}'
        )
        return [note]

    def _wanted(self) -> str:
        return f'Expected are 0 to {len(self.names) - 1} ({self.names[0]} to {self.names[-1]}).'

    def figures(self) -> dict[str, Any]:
        """Returns miou, pixel_accuracy, iou and dice per class of the truth, and `LabelFigures`'.

        Dice, twice what both have over what either has, is how medicine says the same:
        2 IoU / (1 + IoU).

        What is called by a class that the truth never has counts as the class that it is a kind
        of, as lane markings count as road, and as wrong where there is none.

        Raises:
            ConfigurationError: The truth has no pixel of any class.
        """
        occurs = self.matrix.counts.sum(axis=1) > 0
        if not occurs.any():
            raise ConfigurationError(
                f'No pixel of the truth has an id that is known. {self._wanted()} '
                f'{" ".join(self.notes())} Check --ids, or write the ids of the classes.'
            )
        matrix = self.matrix.folded(
            {
                index: kinds[0]
                for index, name in enumerate(self.names)
                if not occurs[index] and (kinds := self._kinds_of(name, occurs))
            }
        )
        iou = {
            name: round(float(value), 4)
            for name, value, is_there in zip(self.names, matrix.iou(), occurs, strict=True)
            if is_there
        }
        miou = float(matrix.iou()[occurs].mean())
        if self.lane[1]:
            iou['lane_marking'] = round(float(self.lane[0] / self.lane[1]), 4)
        return {
            'miou': round(miou, 4),
            'pixel_accuracy': round(matrix.pixel_accuracy(), 4),
            'iou': iou,
            'dice': {name: round(2 * value / (1 + value), 4) for name, value in iou.items()},
            **self._found.rounded(),
        }

    def _lookup(self) -> NDArray[np.uint8]:
        """Returns ``uint8 (256,)``: the truth's id of each id of the engine.

        A class that the truth does not have counts as the class that shares its roles, as lane
        markings count as road.
        """
        lut = np.full(256, UNLABELLED, np.uint8)
        everywhere = np.ones(len(self.names), np.bool_)
        for row in self.label_map.classes:
            if row.name in self.names:
                lut[row.id] = self.names.index(row.name)
            elif kinds := self._kinds_of(row.name, everywhere):
                lut[row.id] = kinds[0]
        return lut

    def _kinds_of(self, name: str, among: NDArray[np.bool_]) -> list[int]:
        """Returns which of the truth's classes, out of some, a class is a kind of.

        It has all roles of theirs: a lane marking is a kind of road; a pedestrian, though an
        obstacle as a building is, is no kind of building.
        """
        roles = {row.name: set(row.roles) for row in self.label_map.classes}
        return [
            index
            for index, other in enumerate(self.names)
            if among[index] and other != name and roles[other] and roles[other] <= roles[name]
        ]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options of the segmentation task."""
    parser.add_argument('--engine', help='name or folder (as the parameters say: roadseg)')
    parser.add_argument(
        '--network-size',
        metavar='WxH',
        help="another size than the engine's own (as the parameters say)",
    )
    parser.add_argument('--backend', choices=('auto', *BACKENDS), help='(as the parameters say)')
    parser.add_argument(
        '--precision', help='auto, fp32, bf16 or int8 (as the parameters say: auto)'
    )
    parser.add_argument(
        '--threads',
        type=zero_or_more,
        help='of inference; 0: one per core (as the parameters say: 0)',
    )
    parser.add_argument('--dataset', type=Path, required=True, help='folder of labelled pictures')
    parser.add_argument('--split', default='', help='its sub-folder: train, val, test')
    parser.add_argument(
        '--ids',
        choices=('camvid', 'engine'),
        default='camvid',
        help="what the truth's ids mean: CamVid's 11 classes, or those of the engine",
    )
    parser.add_argument(
        '--instances',
        action='store_true',
        help='the label images are as ~/instances: class id x 1000 + number',
    )
    parser.add_argument('--every', type=one_or_more, default=1, help='take every Nth picture')
    parser.add_argument('-o', '--output', type=Path, default=Path('out/evaluate'))
    add_parameter_arguments(parser)
    parser.add_argument('--json', action='store_true', help='print the figures as JSON only')


def main(arguments: argparse.Namespace) -> int:
    """Evaluates, leaves pictures, prints the figures."""
    claim(arguments.output, 'evaluate', WRITTEN, [arguments.dataset / arguments.split])
    notes: list[str] = []
    config = config_from_arguments(arguments, notes.append)
    engine = load_engine(
        arguments.engine or config.engine,
        network_size=arguments.network_size or config.network_size,
    )
    backend = create_backend(
        arguments.backend or config.backend,
        engine,
        threads=config.inference_threads if arguments.threads is None else arguments.threads,
        precision=arguments.precision or config.precision,
    ).backend
    tally = LabelTally(engine.label_map, CAMVID_CLASSES if arguments.ids == 'camvid' else None)
    camera = EvaluatedCamera(backend, config, clock_ns=time.perf_counter_ns)
    folder = arguments.dataset / arguments.split
    pictures = list(labelled_pictures(folder, are_instances=arguments.instances))
    pictures = pictures[:: arguments.every]
    scores, seconds = [], 0.0
    is_noted = False
    with Progress(sys.stderr) as progress:
        for count, picture in enumerate(pictures, start=1):
            image, truth = picture.rgb_and_labels()
            if not is_noted and (note := picture.note()):
                is_noted = True
                notes.append(note)
            perceived = camera.process(image, 0, images=LABEL)
            labels = perceived.images.label
            assert labels is not None
            seconds += perceived.timer.stages_ms['infer'] / MS_PER_S
            lane = picture.lane_probability() if arguments.ids == 'camvid' else None
            scores.append(Score(tally.add(truth, labels, lane), picture))
            progress.show(f'{count} of {len(pictures)} pictures')
    notes += tally.notes()
    figures = {
        **tally.figures(),
        'frames_per_s': round(len(pictures) / seconds, 2),
        'backend': backend.name,
        'backend_detail': backend.detail,
        'engine': engine.name,
        'network_size': list(engine.network_size_wh),
        'images': len(pictures),
        'notes': notes,
    }
    _leave_pictures(arguments.output, tally, scores, camera)
    backend.close()
    for note in notes:
        print(note, file=sys.stderr)
    print(json.dumps(figures, indent=2) if arguments.json else _table(figures, arguments.output))
    return 0


def _leave_pictures(
    folder: Path, tally: LabelTally, scores: list[Score], camera: EvaluatedCamera
) -> None:
    """Writes the confusion matrix and the worst pictures: the picture, its truth, the answer."""
    square = tally.matrix.counts[:, : tally.matrix.classes]
    write_picture(folder / 'confusion.png', confusion_picture(square, tally.names))
    colours = tally.label_map.colour_lut_rgb()
    for rank, score in enumerate(sorted(scores, key=lambda s: s.accuracy)[:WORST_PICTURES]):
        image = score.picture.rgb()
        answer = camera.process(image, 0, images=LABEL).images.label
        truth = cv2.LUT(score.picture.labels(), tally.engine_from_truth)
        overlays = [
            cv2.addWeighted(cv2.applyColorMap(labels, colours), 0.5, image, 0.5, 0.0)
            for labels in (truth, answer)
        ]
        name = f'worst_{rank + 1}_{score.picture.name}_{100 * score.accuracy:.0f}.png'
        write_picture(folder / name, np.hstack([image, *overlays]))


def _table(figures: dict[str, Any], folder: Path) -> str:
    rows = [
        f'  {name:14}{100 * value:6.1f}{100 * figures["dice"][name]:6.1f}'
        for name, value in figures['iou'].items()
    ]
    summary = (
        f'mIoU {100 * figures["miou"]:.1f}, pixel accuracy '
        f'{100 * figures["pixel_accuracy"]:.1f}, {figures["images"]} images, '
        f'{figures["frames_per_s"]} a second on {figures["backend"]}'
    )
    others = [
        f'People of {height.replace("_", " ")} found: {100 * share:.1f} %'
        for height, share in figures.get('people_found', {}).items()
    ]
    others.append(f'Phantom people a picture: {figures["phantoms_per_picture"]}')
    if 'lane_recall' in figures:
        others.append(
            f'Lane markings found: {100 * figures["lane_recall"]:.1f} %, '
            f'painted {figures["lane_painted"]} times as much as there is'
        )
    return '\n'.join(['IoU, Dice in %', *rows, summary, *others, f'Pictures: {folder}'])

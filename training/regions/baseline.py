# SPDX-License-Identifier: Apache-2.0
"""Segmentation by regions: selective search, CNN features, linear SVMs, the best region wins.

As R-CNN was used for semantic segmentation (Girshick et al., arXiv 1311.2524, section 5). The CNN
is that of ImageNet and stays as it is; only the SVMs learn.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from training.classes import ClassTable
from training.labelled_set import Image
from training.regions.features import Cuts, RegionEncoder, cut, cuts_of, features_of
from training.regions.labelling import blobs_of, labels_of_regions, pictures, things_of
from training.regions.proposals import Regions, proposed
from training.train import RUNS

__all__ = ['Described', 'Svms', 'described', 'fitted', 'is_learned', 'labels_by', 'learned_from']

POSITIVE, NEGATIVE = 0.75, 0.3  # share of a class in a region that is one of it, and that is none
MIN_POSITIVES = 5  # a class with fewer is never seen
KEPT = 'regions.npz'
COST = 1e-3  # of liblinear; features have a deviation of 1


@dataclass(frozen=True)
class Described:
    """A picture's regions and their features.

    Attributes:
        regions: At the proposals' size.
        features: [regions, size] of `full` and `foreground`.
        spent_s: CPU time of `proposals`, `full` and `foreground`.
    """

    regions: Regions
    features: dict[str, NDArray[np.float32]]
    spent_s: dict[str, float]


@dataclass(frozen=True)
class Svms:
    """One linear SVM a class on features of mean 0 and deviation 1.

    Attributes:
        kinds: Which features they read, in this order.
        mean: [size].
        scale: [size], one over the deviation.
        weights: [size, classes].
        bias: [classes]; minus infinity for a class of which there were no examples.
    """

    kinds: tuple[str, ...]
    mean: NDArray[np.float32]
    scale: NDArray[np.float32]
    weights: NDArray[np.float32]
    bias: NDArray[np.float32]

    @staticmethod
    def fit(
        kinds: tuple[str, ...],
        features: dict[str, NDArray[np.float32]],
        shares: NDArray[np.float64],
        seed: int,
    ) -> Svms:
        """Learn from regions and the share of each class in them."""
        from sklearn.svm import LinearSVC

        values = np.concatenate([features[kind] for kind in kinds], 1)
        mean, scale = values.mean(0), 1 / np.maximum(values.std(0), 1e-3)
        values = (values - mean) * scale
        classes = shares.shape[1]
        weights = np.zeros((values.shape[1], classes), np.float32)
        bias = np.full(classes, -np.inf, np.float32)
        known = shares.max(1) > 0
        for label in range(classes):
            is_one = shares[:, label] >= POSITIVE
            use = known & (is_one | (shares[:, label] < NEGATIVE))
            if is_one.sum() < MIN_POSITIVES or is_one[use].all():
                continue
            machine = LinearSVC(C=COST, class_weight='balanced', dual='auto', random_state=seed)
            machine.fit(values[use], is_one[use])
            weights[:, label], bias[label] = machine.coef_[0], machine.intercept_[0]
        return Svms(kinds, mean, scale, weights, bias)

    def scores(self, features: dict[str, NDArray[np.float32]]) -> NDArray[np.float32]:
        """[regions, classes]."""
        values = np.concatenate([features[kind] for kind in self.kinds], 1)
        return np.asarray(((values - self.mean) * self.scale) @ self.weights + self.bias)


def described(image: Image, size_wh: tuple[int, int], encoder: RegionEncoder) -> Described:
    """What is proposed in a picture of any size, and its features."""
    begin_s = time.process_time()
    small = np.asarray(cv2.resize(image, size_wh, interpolation=cv2.INTER_AREA))
    regions = proposed(small)
    spent_s = {'proposals': time.process_time() - begin_s}
    begin_s = time.process_time()
    full, foreground = cuts_of(small, regions, range(len(regions))).inputs()
    halved_s = (time.process_time() - begin_s) / 2  # both need the squares
    features = {}
    for kind, inputs in (('full', full), ('foreground', foreground)):
        begin_s = time.process_time()
        features[kind] = features_of(encoder, inputs)
        spent_s[kind] = time.process_time() - begin_s + halved_s
    return Described(regions, features, spent_s)


def labels_by(svms: Svms, seen: Described, size_wh: tuple[int, int]) -> Image:
    """The label image at the picture's size."""
    labels = labels_of_regions(
        seen.regions.segments, seen.regions.members, svms.scores(seen.features)
    )
    return np.asarray(cv2.resize(labels, size_wh, interpolation=cv2.INTER_NEAREST_EXACT))


def fitted(config: dict[str, Any], classes: ClassTable) -> list[Svms]:
    """The SVMs of a run, one for each entry of `features`; what they learn from is kept."""
    values = learned_from(config, classes)
    features = {kind: values[kind] for kind in ('full', 'foreground')}
    return [
        Svms.fit(tuple(kinds), features, values['shares'], config['seed'])
        for kinds in config['features']
    ]


def stamp_of(config: dict[str, Any]) -> str:
    return json.dumps(config, sort_keys=True)


def is_learned(config: dict[str, Any]) -> bool:
    """Whether there is what the SVMs of a run learn from.

    Raises:
        ValueError: There is, of another config.
    """
    path = RUNS / config['run'] / KEPT
    if not path.exists():
        return False
    with np.load(path) as kept:
        if str(kept['stamp']) != stamp_of(config):
            raise ValueError(
                f'{path} is of another config. Remove {path.parent}, or name another run.'
            )
    return True


def learned_from(config: dict[str, Any], classes: ClassTable) -> dict[str, NDArray[Any]]:
    """Features and class shares of some regions of some pictures, and of all true things in them.

    Computed once.

    Raises:
        ValueError: Those that are kept belong to another config.
    """
    path = RUNS / config['run'] / KEPT
    if not is_learned(config):
        random = np.random.default_rng(config['seed'])
        encoder = RegionEncoder(config['encoder'], config.get('pretrained', True)).eval()
        things = things_of(classes)
        found: dict[str, list[NDArray[Any]]] = {'full': [], 'foreground': [], 'shares': []}
        for image, labels, regions in pictures(config, config['pictures'], random):
            count = min(len(regions), config['regions'])
            picks = random.choice(len(regions), count, replace=False).tolist()
            blobs = blobs_of(labels, things)
            squares = [cut(image, blob.box, blob.mask) for blob in blobs]
            full, foreground = Cuts.of(
                [*squares, *(cut(image, regions.boxes[i], regions.mask(i)) for i in picks)]
            ).inputs()
            found['full'].append(features_of(encoder, full))
            found['foreground'].append(features_of(encoder, foreground))
            found['shares'] += [
                np.eye(len(classes))[[blob.class_id for blob in blobs]],
                regions.class_shares(labels, len(classes))[picks],
            ]
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name('partial.npz')
        arrays = {name: np.concatenate(parts) for name, parts in found.items()}
        np.savez(partial, stamp=stamp_of(config), **arrays)
        partial.rename(path)
    with np.load(path) as kept:
        return {name: kept[name] for name in ('full', 'foreground', 'shares')}

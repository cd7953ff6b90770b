# SPDX-License-Identifier: Apache-2.0
"""SDS (Hariharan et al., arXiv 1407.1808): box and region network trained jointly, then refined.

Two encoders see each region, one all of its box and one its own pixels; one loss trains both, so
that each can learn what the other does not see. The same features draw a coarse mask of what the
region should have been, and a logistic regression decides by it which segments stay, and which
join.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from training.classes import UNLABELLED, ClassTable
from training.labelled_set import Image
from training.regions.features import AT_ONCE, Cuts, RegionEncoder, cut, cuts_of
from training.regions.labelling import (
    Blob,
    blobs_of,
    class_of_shares,
    labels_of_regions,
    pictures,
    things_of,
)
from training.regions.learning import averaged, is_finished, learn
from training.regions.proposals import Regions, proposed

__all__ = ['Examples', 'Refinement', 'Sds', 'examples_of', 'fitted', 'labels_by', 'trained']

GRID = 10  # cells of the coarse mask, each way
PURE, MIXED = 0.75, 0.6  # share of a class that makes a region one of it, or of none
OVERLAP = 0.5  # of a region with a thing, to be that thing
THRESHOLD = 0.5  # probability that a segment belongs


class Examples(NamedTuple):
    """Regions to learn from.

    Attributes:
        cuts: N of them.
        labels: int64 [N], the number of classes for "none of them".
        grids: float32 [N, GRID, GRID], the share of the class or thing in each cell of the box.
        own: float32 [N, GRID, GRID], that of the region itself.
    """

    cuts: Cuts
    labels: NDArray[np.int64]
    grids: NDArray[np.float32]
    own: NDArray[np.float32]


class Sds(nn.Module):
    """Full and foreground squares to scores of `classes + 1`, and to logits of a coarse mask."""

    def __init__(self, classes: int, encoder: int = 0, pretrained: bool = True) -> None:
        super().__init__()
        self.encoder = nn.ModuleDict(
            {name: RegionEncoder(encoder, pretrained) for name in ('box', 'region')}
        )
        size = sum(part.size for part in self.encoder.values())
        self.norm = nn.BatchNorm1d(size)
        self.classify = nn.Linear(size, classes + 1)
        self.draw = nn.Linear(size + GRID * GRID, GRID * GRID)

    def forward(self, full: Tensor, foreground: Tensor, own: Tensor) -> tuple[Tensor, Tensor]:
        both = torch.cat([self.encoder['box'](full), self.encoder['region'](foreground)], 1)
        with torch.autocast('cpu', enabled=False):
            features = self.norm(both.float())
            mask = self.draw(torch.cat([features, own.flatten(1)], 1))
            return self.classify(features), mask.view(-1, GRID, GRID)


def examples_of(
    drawn: Sequence[tuple[Image, Image, Regions]],
    per_picture: int,
    classes: ClassTable,
    random: np.random.Generator,
) -> Examples:
    """Some proposals of each picture, and every blob of a thing as it truly is."""
    things, rows = things_of(classes), []
    for image, labels, regions in drawn:
        blobs = blobs_of(labels, things)
        shares = regions.class_shares(labels, len(classes))
        kinds = class_of_shares(shares, PURE, MIXED)
        usable = np.flatnonzero(kinds != UNLABELLED)
        count = min(len(usable), per_picture)
        for region in random.choice(usable, count, replace=False).tolist():
            box, mask = regions.boxes[region].tolist(), regions.mask(region)
            label = int(kinds[region])
            target = inside(labels == label, box)
            if label in things:
                blob = best_blob(box, mask, [b for b in blobs if b.class_id == label])
                if blob is None:
                    continue  # a part of a thing: neither it nor nothing
                target = inside(on_picture(blob, labels.shape), box)
            rows.append((*cut(image, box, mask), label, in_cells(target), in_cells(mask)))
        for blob in blobs:
            cells = in_cells(blob.mask)
            rows.append((*cut(image, blob.box, blob.mask), blob.class_id, cells, cells))
    crops, masks, labels_, grids, own = zip(*rows, strict=True)
    return Examples(
        Cuts(np.stack(crops), np.stack(masks)),
        np.array(labels_, np.int64),
        np.stack(grids),
        np.stack(own),
    )


def inside(mask: NDArray[np.bool_], box: Sequence[int]) -> NDArray[np.bool_]:
    left, top, right, bottom = box
    return mask[top:bottom, left:right]


def on_picture(blob: Blob, shape_hw: Sequence[int]) -> NDArray[np.bool_]:
    whole = np.zeros(tuple(shape_hw), bool)
    inside(whole, blob.box)[...] = blob.mask
    return whole


def best_blob(box: Sequence[int], mask: NDArray[np.bool_], blobs: Sequence[Blob]) -> Blob | None:
    """The blob that overlaps most with the region, if it is enough to be the same thing."""
    best, most = None, OVERLAP
    for blob in blobs:
        left, top = max(box[0], blob.box[0]), max(box[1], blob.box[1])
        right, bottom = min(box[2], blob.box[2]), min(box[3], blob.box[3])
        if left >= right or top >= bottom:
            continue
        ours = mask[top - box[1] : bottom - box[1], left - box[0] : right - box[0]]
        theirs = blob.mask[
            top - blob.box[1] : bottom - blob.box[1], left - blob.box[0] : right - blob.box[0]
        ]
        both = int((ours & theirs).sum())
        overlap = both / (int(mask.sum()) + int(blob.mask.sum()) - both)
        if overlap >= most:
            best, most = blob, overlap
    return best


def in_cells(mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    values = mask.astype(np.float32)
    return np.asarray(cv2.resize(values, (GRID, GRID), interpolation=cv2.INTER_AREA))


def loss_of(
    network: nn.Module, examples: Examples, picks: NDArray[np.int64], classes: int
) -> Tensor:
    """Cross entropy of the class, and of the coarse mask of those that are something."""
    full, foreground = Cuts(examples.cuts.crops[picks], examples.cuts.masks[picks]).inputs()
    labels, grids = (torch.from_numpy(part[picks]) for part in (examples.labels, examples.grids))
    with torch.autocast('cpu', torch.bfloat16):
        scores, drawn = network(full, foreground, torch.from_numpy(examples.own[picks]))
    loss = functional.cross_entropy(scores, labels)
    is_one = labels < classes
    if is_one.any():
        mask_loss = functional.binary_cross_entropy_with_logits(drawn[is_one], grids[is_one])
        loss = loss + mask_loss
    return loss


def drawn_evenly(
    labels: NDArray[np.int64], count: int, random: np.random.Generator
) -> NDArray[np.int64]:
    """Indices in which rare classes are as frequent as common ones."""
    kinds, number = np.unique(labels, return_inverse=True)
    weights = 1.0 / np.bincount(number, minlength=len(kinds))[number]
    return np.asarray(random.choice(len(labels), count, p=weights / weights.sum()))


def trained(config: dict[str, Any], classes: ClassTable) -> None:
    """Train the joint network of a run, unless it is."""
    if is_finished(config):
        return
    torch.manual_seed(config['seed'])
    random = np.random.default_rng(config['seed'])
    drawn = pictures(config, config['pictures'], random)
    examples = examples_of(drawn, config['regions'], classes, random)
    network = Sds(len(classes), config['encoder'], config.get('pretrained', True))

    def batch_loss(module: nn.Module, of_step: np.random.Generator) -> Tensor:
        picks = drawn_evenly(examples.labels, config['batch'], of_step)
        return loss_of(module, examples, picks, len(classes))

    learn(network, config, batch_loss)


class Refinement(NamedTuple):
    """How the coarse mask and the region itself tell whether a segment belongs.

    Attributes:
        weights: Of the mask's mean over the segment, of membership, and of both at once.
        bias: Of the logistic regression.
    """

    weights: NDArray[np.float64]
    bias: float

    def members(
        self, drawn: NDArray[np.float64], members: NDArray[np.bool_]
    ) -> NDArray[np.float64]:
        """[regions, segments]: probability that a segment belongs; 0 where it rather does not.

        A segment always stays in the region that is it alone. A probability and no yes: the
        surest region would else take what is only likely to be its own from those that have it.
        """
        values = evidence(drawn, members) @ self.weights + self.bias
        chances = 1 / (1 + np.exp(-values))
        alone = members & (members.sum(1, keepdims=True) == 1)
        kept = np.where(chances > THRESHOLD, chances, 0.0)
        return np.asarray(np.where(alone, np.maximum(chances, THRESHOLD), kept))


def evidence(drawn: NDArray[np.float64], members: NDArray[np.bool_]) -> NDArray[np.float64]:
    return np.stack([drawn, members, drawn * members], -1)


def on_segments(grids: NDArray[np.float32], regions: Regions) -> NDArray[np.float64]:
    """[regions, segments]: the mean of each region's coarse mask over each segment.

    Outside its box a mask is 0.
    """
    segments = regions.members.shape[1]
    sizes = np.bincount(regions.segments.ravel(), minlength=segments)
    means = np.zeros((len(regions), segments))
    for index, (box, grid) in enumerate(zip(regions.boxes.tolist(), grids, strict=True)):
        left, top, right, bottom = box
        fine = cv2.resize(grid, (right - left, bottom - top), interpolation=cv2.INTER_LINEAR)
        flat = regions.segments[top:bottom, left:right].ravel()
        means[index] = np.bincount(flat, weights=fine.ravel(), minlength=segments) / sizes
    return means


@torch.no_grad()
def answers(
    network: nn.Module, image: Image, regions: Regions
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Probabilities [regions, classes + 1] and coarse masks [regions, GRID, GRID]."""
    everything = range(len(regions))
    full, foreground = cuts_of(image, regions, everything).inputs()
    own = torch.from_numpy(np.stack([in_cells(regions.mask(index)) for index in everything]))
    scores, grids = [], []
    for parts in zip(*(x.split(AT_ONCE) for x in (full, foreground, own)), strict=True):
        with torch.autocast('cpu', torch.bfloat16):
            score, grid = network(*parts)
        scores.append(score.float().softmax(1))
        grids.append(grid.float().sigmoid())
    return torch.cat(scores).numpy(), torch.cat(grids).numpy()


def fitted(config: dict[str, Any], classes: ClassTable) -> tuple[nn.Module, Refinement]:
    """The trained network of a run, and the refinement, learned from other pictures."""
    from sklearn.linear_model import LogisticRegression

    network = averaged(Sds(len(classes), config['encoder'], pretrained=False), config)
    random = np.random.default_rng([config['seed'], 1])
    values, targets = [], []
    for image, labels, regions in pictures(config, config['refined_on'], random):
        _, grids = answers(network, image, regions)
        known = class_of_shares(regions.class_shares(labels, len(classes)), PURE, MIXED)
        of_segments = regions.class_shares(labels, len(classes))[: regions.members.shape[1]]
        drawn = on_segments(grids, regions)
        for region in np.flatnonzero(known < len(classes)):
            left, top, right, bottom = regions.boxes[region]
            near = np.unique(regions.segments[top:bottom, left:right])
            values.append(evidence(drawn[region], regions.members[region])[near])
            targets.append(of_segments[near, known[region]] > THRESHOLD)
    machine = LogisticRegression(random_state=config['seed'])
    machine.fit(np.concatenate(values), np.concatenate(targets))
    return network, Refinement(machine.coef_[0], float(machine.intercept_[0]))


def labels_by(
    network: nn.Module, refinement: Refinement, image: Image, size_wh: tuple[int, int]
) -> tuple[dict[str, Image], dict[str, float]]:
    """Label images at the picture's size, `coarse` and `refined`, and the CPU time in seconds.

    The time is that of `proposals`, of the `network` and of the `refinement`.
    """
    begin_s = time.process_time()
    small = np.asarray(cv2.resize(image, size_wh, interpolation=cv2.INTER_AREA))
    regions = proposed(small)
    spent_s = {'proposals': time.process_time() - begin_s}
    begin_s = time.process_time()
    scores, grids = answers(network, small, regions)
    spent_s['network'] = time.process_time() - begin_s
    begin_s = time.process_time()
    refined = refinement.members(on_segments(grids, regions), regions.members)
    spent_s['refinement'] = time.process_time() - begin_s
    labels = {
        name: labels_of_regions(regions.segments, members, scores[:, :-1])
        for name, members in (('coarse', regions.members), ('refined', refined))
    }
    height, width = image.shape[:2]
    return {
        name: np.asarray(cv2.resize(part, (width, height), interpolation=cv2.INTER_NEAREST_EXACT))
        for name, part in labels.items()
    }, spent_s

# SPDX-License-Identifier: Apache-2.0
"""Teach a finished network what a lane marking is, and nothing else.

    python -m training.lane_head training/configs/roadseg-lane.yaml [--set epochs=2 ...]

A lane marking is two cells wide and its neighbourhood tells it from a kerb, which the 1x1
convolution of the logits does not see. The network gets a few channels of 3x3 beside its finest
map (`lane` of `training.models.roadseg`), and these and the row of lane markings learn, by the
intersection over union that they are judged by. All else is kept as it is: every other logit stays
what it was, so that no other class can lose a pixel but to a lane marking.

What the finest map says of a picture does not change, so that it is computed once: an epoch takes
seconds. The result is a checkpoint to export.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from training import models
from training.classes import UNLABELLED, classes_of
from training.config import read_config
from training.data import load
from training.export import load_checkpoint, unweight
from training.models.roadseg import RoadSeg
from training.normalise import normalise
from training.train import RUNS

__all__ = ['LaneHead', 'Seen', 'join']

CROSS_ENTROPY = 2.0  # its weight beside the intersection over union, which is blind far off


@dataclass(frozen=True)
class Seen:
    """Pictures as a network sees them.

    Attributes:
        maps: float16 [N,C,h,w], the finest map.
        rivals: float16 [N,H,W], the highest logit of the other classes.
        labels: uint8 [N,H,W].
    """

    maps: NDArray[np.float16]
    rivals: NDArray[np.float16]
    labels: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.maps)

    @staticmethod
    @torch.no_grad()
    def of(network: RoadSeg, row: Mapping[str, Any], lane: int, size_wh: Sequence[int]) -> Seen:
        """Every `every`-th picture of a set, at the network's size."""
        data = load({key: value for key, value in row.items() if key not in ('every', 'batch')})
        maps, rivals, labels = [], [], []
        for index in range(0, len(data), row.get('every', 1)):
            image = cv2.resize(np.asarray(data.images[index]), tuple(size_wh))
            with torch.autocast('cpu', torch.bfloat16):
                stem, outputs = network.decoded(normalise(torch.from_numpy(image)[None]))
                finest = network.finest(stem, outputs[-1])
            logits = enlarged(network.classify(finest.float()), size_wh)[0]
            logits[lane] = -torch.inf
            maps.append(finest[0].to(torch.float16).numpy())
            rivals.append(logits.amax(0).to(torch.float16).numpy())
            truth = np.asarray(data.labels[index])
            labels.append(cv2.resize(truth, tuple(size_wh), interpolation=cv2.INTER_NEAREST))
        return Seen(np.stack(maps), np.stack(rivals), np.stack(labels))


class LaneHead(nn.Module):
    """The logit of lane markings: the network's own row, and what a cell's neighbours add."""

    def __init__(self, row: Tensor, bias: Tensor, channels: int) -> None:
        super().__init__()
        inputs = len(row)
        self.row = nn.Conv2d(inputs, 1, 1)
        self.near = nn.Conv2d(inputs, channels, 3, padding=1)
        self.add = nn.Conv2d(channels, 1, 1, bias=False)
        with torch.no_grad():
            self.row.weight.copy_(row[None, :, None, None])
            self.row.bias.copy_(bias)
            self.add.weight.zero_()  # it begins as the network left it

    def forward(self, maps: Tensor) -> Tensor:
        return self.row(maps) + self.add(functional.relu(self.near(maps)))


def enlarged(x: Tensor, size_wh: Sequence[int]) -> Tensor:
    return functional.interpolate(x, tuple(size_wh[::-1]), mode='bilinear', align_corners=False)


def lane_loss(
    head: LaneHead, seen: Seen, picks: NDArray[np.int64], lane: int, mirrored: bool
) -> Tensor:
    """One minus the soft intersection over union of lane markings, and their cross entropy."""
    maps, rivals = (torch.from_numpy(part[picks]).float() for part in (seen.maps, seen.rivals))
    labels = torch.from_numpy(seen.labels[picks])
    if mirrored:
        maps, rivals, labels = maps.flip(3), rivals.flip(2), labels.flip(2)
    ahead = enlarged(head(maps), labels.shape[:0:-1])[:, 0] - rivals
    known, truth = (labels != UNLABELLED).float(), (labels == lane).float()
    said = torch.sigmoid(ahead) * known
    both = (said * truth).sum()
    entropy = functional.binary_cross_entropy_with_logits(ahead, truth, reduction='none') * known
    overlap = both / (said.sum() + truth.sum() - both + 1)
    return 1 - overlap + CROSS_ENTROPY * entropy.sum() / known.sum().clamp(min=1)


def learn(
    head: LaneHead, sets: Sequence[tuple[Seen, int]], config: Mapping[str, Any], lane: int
) -> None:
    """Train the head; an epoch is one pass through the first set.

    Args:
        head: As the network left it.
        sets: What is seen, and how many pictures of it a step has.
        config: `epochs`, `rate`, `seed`.
        lane: The class id.
    """
    random = np.random.default_rng(config['seed'])
    optimizer = torch.optim.Adam(head.parameters(), lr=config['rate'])
    first, batch = sets[0]
    steps = config['epochs'] * (len(first) // batch)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    orders = [Order(len(seen), random) for seen, _ in sets]
    begin_s = time.monotonic()
    for step in range(steps):
        losses = [
            batch * lane_loss(head, seen, order.next(batch), lane, random.random() < 0.5)
            for (seen, batch), order in zip(sets, orders, strict=True)
        ]
        loss = torch.stack(losses).sum() / sum(batch for _, batch in sets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 20 == 19 or step == steps - 1:
            passed_s = time.monotonic() - begin_s
            print(
                f'step {step + 1} of {steps}, loss {float(loss.detach()):.4f}, {passed_s:.0f} s',
                flush=True,
            )


class Order:
    """Indices in a random order, drawn anew when they are through."""

    def __init__(self, count: int, random: Generator) -> None:
        self.count, self.random = count, random
        self.left: list[int] = []

    def next(self, count: int) -> NDArray[np.int64]:
        while len(self.left) < count:
            self.left += self.random.permutation(self.count).tolist()
        picks, self.left = self.left[:count], self.left[count:]
        return np.array(sorted(picks))


@torch.no_grad()
def join(network: RoadSeg, head: LaneHead, lane: int, changed: Mapping[str, Any]) -> RoadSeg:
    """The network with the head as its channels `lane`.

    Args:
        network: Without such channels.
        head: That has learned.
        lane: The class id.
        changed: The new network's `model`, as in a config.
    """
    joined = models.create({**changed, 'pretrained': False}).eval()
    weights = dict(network.state_dict())
    inputs = head.row.in_channels
    # its other rows do not look at the new channels; its own is the head's
    own = joined.classify.weight.new_zeros(joined.classify.weight.shape)
    own[:, :inputs] = weights['classify.weight']
    own[lane, :inputs], own[lane, inputs:] = head.row.weight[0], head.add.weight[0]
    bias = weights['classify.bias'].clone()
    bias[lane] = head.row.bias[0]
    norm = joined.lane[1]
    norm.running_mean.zero_()
    norm.running_var.fill_(1 - norm.eps)  # a norm that does nothing but add
    beside = {
        'lane.0.weight': head.near.weight, 'lane.1.bias': head.near.bias,
        'lane.1.weight': torch.ones_like(norm.weight),
        'lane.1.running_mean': norm.running_mean, 'lane.1.running_var': norm.running_var,
        'lane.1.num_batches_tracked': norm.num_batches_tracked,
        'classify.weight': own, 'classify.bias': bias,
    }  # fmt: skip
    joined.load_state_dict({**weights, **beside})
    return joined


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config')
    parser.add_argument('--set', nargs='*', default=[], metavar='KEY=VALUE')
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    config = read_config(arguments.config, arguments.set)
    classes = classes_of(config)
    (lane,) = (i for i, row in enumerate(classes.rows) if 'lane' in row.roles)
    network, before = load_checkpoint(config['start_from'])
    weights = before['class_weights']
    if config.get('unweighted'):
        kept = [classes.id(name) for name in config.get('but', ())]
        unweight(network, weights, config['unweighted'], kept)
        weights = [1.0] * len(weights)
    torch.manual_seed(config['seed'])
    head = LaneHead(
        network.classify.weight[lane].flatten(),
        network.classify.bias[lane],
        config['model']['lane'],
    )
    rows = {row['name']: row for row in config['sources']}
    sets = []
    for row in config['lane_sets']:
        seen = Seen.of(network, {**rows[row['name']], **row}, lane, config['validation_wh'])
        print(f'{row["name"]}: {len(seen)} pictures', flush=True)
        sets.append((seen, row['batch']))
    learn(head, sets, config, lane)
    model = {'classes': len(classes), **config['model']}
    folder = RUNS / config['run']
    folder.mkdir(parents=True, exist_ok=True)
    state = {
        'step': before['step'],
        'config': {**config, 'blend': before.get('blend', 0.0)},
        'class_weights': weights,
        'average': join(network, head, lane, model).state_dict(),
    }
    torch.save(state, folder / 'last.pt')
    print(folder / 'last.pt')


if __name__ == '__main__':
    main()

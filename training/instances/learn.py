# SPDX-License-Identifier: Apache-2.0
"""Trains the head alone: the network below is frozen, so its maps are computed once."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training import models
from training.augment import Augmentation
from training.classes import ROAD_SCENE, UNLABELLED
from training.from_onnx import load_onnx
from training.instances.head import InstanceHead
from training.instances.pictures import (
    Picture,
    augmented,
    box_of,
    numbers_of,
    stored,
    with_company,
)
from training.models.roadseg import RoadSeg
from training.normalise import normalise

__all__ = ['Targets', 'frozen_network', 'head_loss', 'maps_of', 'targets_of', 'trained_head']

STRIDE = 4  # of the head's cells
SIGMA_OF_WIDTH = 0.2  # of a centre's hill, of the person's width,
SIGMA_CELLS = (1.0, 4.0)  # within these
BACKGROUND_WEIGHT = 0.1  # of a cell without people: only cells of people are asked for centres
OFFSET_WEIGHT = 0.05
WINDOW = 48, 80  # rows and columns of cells that a step sees of a picture: multiples of 4
CHECKPOINT_EVERY = 50  # steps
RUNS = Path('out/instances')


class Targets(NamedTuple):
    """What the head should say, per cell; `[h,w]`, offsets `[2,h,w]`."""

    centre: NDArray[np.float32]
    centre_weight: NDArray[np.float32]
    offset: NDArray[np.float32]
    offset_weight: NDArray[np.float32]


def targets_of(people: NDArray[np.uint8]) -> Targets:
    """Of a picture at the network's size."""
    half = STRIDE // 2
    cells = people[half::STRIDE, half::STRIDE]
    rows, columns = np.indices(cells.shape, np.float32)
    centre = np.zeros(cells.shape, np.float32)
    offset = np.zeros((2, *cells.shape), np.float32)
    offset_weight = np.zeros(cells.shape, np.float32)
    for number in numbers_of(people):
        mask = people == number
        moments = cv2.moments(mask.view(np.uint8), binaryImage=True)
        at = [(moments[m] / moments['m00'] + 0.5) / STRIDE - 0.5 for m in ('m10', 'm01')]
        width = box_of(mask)[2] / STRIDE
        sigma = float(np.clip(SIGMA_OF_WIDTH * width, *SIGMA_CELLS))
        away = (columns - at[0]) ** 2 + (rows - at[1]) ** 2
        centre = np.maximum(centre, np.exp(-0.5 * away / sigma**2))
        mine = cells == number
        offset[0][mine], offset[1][mine] = at[0] - columns[mine], at[1] - rows[mine]
        # errors count against the person's width, and who is large counts only so much more
        offset_weight[mine] = 1 / (max(width, 1.0) * math.sqrt(max(1, mine.sum())))
    weight = np.where(cells == 0, BACKGROUND_WEIGHT, 1.0)
    weight[cells == UNLABELLED] = 0.0
    return Targets(centre, weight.astype(np.float32), offset, offset_weight)


def head_loss(told: Tensor, targets: Sequence[Tensor]) -> Tensor:
    """Squared error of the centres, absolute one of the offsets.

    Args:
        told: `[N,3,h,w]`.
        targets: The fields of `Targets`, with a batch axis.
    """
    centre, centre_weight, offset, offset_weight = targets
    hills = (told[:, 0] - centre).square() * centre_weight
    away = (told[:, 1:] - offset).abs().sum(1) * offset_weight
    return hills.sum() / centre_weight.sum().clamp(min=1) + OFFSET_WEIGHT * away.sum() / len(told)


def frozen_network(config: dict[str, Any], pictures: Sequence[Picture]) -> RoadSeg:
    """The shipped engine's weights in torch."""
    network = models.create({'classes': len(ROAD_SCENE), **config['model'], 'pretrained': False})
    assert isinstance(network, RoadSeg)
    images = torch.from_numpy(np.stack([picture.image for picture in pictures]))
    load_onnx(network, Path(config['engine']) / 'model.onnx', [normalise(images)])
    return network.eval().requires_grad_(False)


@torch.no_grad()
def maps_of(network: RoadSeg, image: NDArray[np.uint8]) -> tuple[Tensor, list[Tensor]]:
    """Logits, and the decoder's maps at strides 16, 8 and 4, of one picture."""
    _, maps = network.decoded(normalise(torch.from_numpy(image)[None]))
    return network.classify(maps[-1]), maps[-3:]


def training_pictures(config: dict[str, Any], folder: Path) -> Iterator[Picture]:
    """Each picture as often as its row says, every time another way."""
    random = np.random.default_rng(config['seed'])
    size_wh = tuple(config['network_size'])
    for row in config['train']:
        plain = {k: v for k, v in row.items() if k not in ('times', 'company', 'scale')}
        drawn = Augmentation(crop_wh=size_wh, scale=tuple(row['scale']), colour=0.7)
        pictures = stored(plain, size_wh, folder)
        for _ in range(row['times']):
            for picture in pictures:
                one = picture
                for _ in range(3):
                    if random.random() < row.get('company', 0.0):
                        one = with_company(one, pictures, random)
                yield augmented(one, drawn, random)


def cached(config: dict[str, Any], folder: Path) -> tuple[list[NDArray[np.float16]], NDArray[Any]]:
    """The maps and the people of all training pictures; computed once."""
    done = folder / 'maps.json'
    stamp = {k: config[k] for k in ('engine', 'model', 'network_size', 'seed', 'train')}
    if not done.exists() or json.loads(done.read_text()) != json.loads(json.dumps(stamp)):
        folder.mkdir(parents=True, exist_ok=True)
        done.unlink(missing_ok=True)
        pictures = [p for p in training_pictures(config, folder) if len(numbers_of(p.people))]
        network = frozen_network(config, pictures[:: max(1, len(pictures) // 4)][:4])
        for index, picture in enumerate(pictures):
            _, maps = maps_of(network, picture.image)
            if index == 0:
                files = [
                    np.lib.format.open_memmap(
                        folder / f'maps-{number}.npy',
                        'w+',
                        np.float16,
                        (len(pictures), *m.shape[1:]),
                    )
                    for number, m in enumerate(maps)
                ]
            for file, one in zip(files, maps, strict=True):
                file[index] = one[0].half().numpy()
        np.save(folder / 'people.npy', np.stack([picture.people for picture in pictures]))
        done.write_text(json.dumps(stamp))
        print(f'{len(pictures)} pictures with people', flush=True)
    maps = [np.load(folder / f'maps-{number}.npy', mmap_mode='r') for number in range(3)]
    return maps, np.load(folder / 'people.npy')


def trained_head(config: dict[str, Any], seed: int, until: int | None = None) -> InstanceHead:
    """The head of a seed; trained where it is not yet, on from where it was stopped.

    Args:
        config: As read.
        seed: Of the weights and of the order of the pictures.
        until: Stop at this step for now.
    """
    folder = RUNS / config['run']
    last = folder / f'head-{seed}.pt'
    maps, people = cached(config, folder)
    head = InstanceHead([m.shape[1] for m in maps])
    state = torch.load(last, weights_only=True) if last.exists() else None
    if state is not None and state['step'] >= config['steps']:
        head.load_state_dict(state['head'])
        return head.eval()
    torch.manual_seed(seed)
    head = InstanceHead([m.shape[1] for m in maps])
    optimizer = torch.optim.AdamW(head.parameters(), config['rate'], weight_decay=config['decay'])
    rate = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, config['rate'], total_steps=config['steps'], pct_start=0.1
    )
    first = 0
    if state is not None:
        head.load_state_dict(state['head'])
        optimizer.load_state_dict(state['optimizer'])
        rate.load_state_dict(state['rate'])
        first = state['step']
    with_targets = [targets_of(one) for one in people]
    head.train()
    losses = []
    last_step = config['steps'] if until is None else until
    for step in range(first, last_step):
        random = np.random.default_rng([seed, step])
        picks = np.sort(random.choice(len(people), config['batch'], replace=False))
        inputs, targets = windows(maps, with_targets, picks, random)
        loss = head_loss(head(inputs), targets)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        rate.step()
        losses.append(float(loss.detach()))
        if (step + 1) % CHECKPOINT_EVERY == 0 or step + 1 == last_step:
            print(
                f'seed {seed} step {step + 1} loss {np.mean(losses[-CHECKPOINT_EVERY:]):.4f}',
                flush=True,
            )
            parts = {'head': head, 'optimizer': optimizer, 'rate': rate}
            saved = {name: part.state_dict() for name, part in parts.items()}
            torch.save({**saved, 'step': step + 1}, folder / 'partial.pt')
            (folder / 'partial.pt').rename(last)
    return head.eval()


def windows(
    maps: Sequence[NDArray[np.float16]],
    targets: Sequence[Targets],
    picks: Sequence[int],
    random: np.random.Generator,
) -> tuple[list[Tensor], list[Tensor]]:
    """Parts of some pictures, with people in them; the maps know what is around."""
    inputs: list[list[NDArray[np.float16]]] = [[] for _ in maps]
    wanted: list[list[NDArray[np.float32]]] = [[] for _ in Targets._fields]
    for pick in picks:
        target = targets[pick]
        of_people = np.argwhere(target.offset_weight > 0)
        at = of_people[random.integers(len(of_people))] if len(of_people) else (0, 0)
        first = [
            int(np.clip(a - random.integers(side // 4, 3 * side // 4), 0, max(0, size - side)))
            // 4
            for a, side, size in zip(at, WINDOW, target.centre.shape, strict=True)
        ]
        for kept, one, cells in zip(inputs, maps, (1, 2, 4), strict=True):
            kept.append(one[(pick, slice(None), *window(first, cells))])
        for kept, field in zip(wanted, target, strict=True):
            kept.append(field[(..., *window(first, 4))])
    return (
        [torch.from_numpy(np.stack(one).astype(np.float32)) for one in inputs],
        [torch.from_numpy(np.stack(field)) for field in wanted],
    )


def window(first: Sequence[int], cells: int) -> tuple[slice, slice]:
    """Of a map that has so many cells for one of the coarsest."""
    rows, columns = (
        slice(cells * begin, cells * (begin + side // 4))
        for begin, side in zip(first, WINDOW, strict=True)
    )
    return rows, columns


@torch.no_grad()
def told_of(head: InstanceHead, maps: Sequence[Tensor]) -> NDArray[np.float32]:
    """`[3,h,w]` of one picture."""
    return np.asarray(head(maps)[0].float().numpy())

# SPDX-License-Identifier: Apache-2.0
"""The learned head against the node's own split by geometry, by panoptic quality and time.

    python -m training.instances.compare training/configs/instances.yaml [--write]

Draws the pictures, computes the frozen network's maps, and trains the head of each seed, unless it
is done already. How centres are found is chosen on the config's `select`, never on `test`.
`--write` puts the tables into docs/instances.md.
"""

from __future__ import annotations

import argparse
import itertools
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray

from seg_ros.core.blobs import Blob, PersonSize, blobs_of, joined
from seg_ros.core.geometry.ground_scale import GroundScale
from seg_ros.core.image.upsample import Upsampler
from seg_ros.core.navigation.instances import MIN_PIXELS, PER_CLASS, InstanceFinder
from seg_ros.inference.engine import load_engine
from training.classes import PEOPLE, UNLABELLED, class_id
from training.compare import macs, parameters, per_cent, table, write_between
from training.config import read_config
from training.export import INSTANCES, export_onnx
from training.instances.grouping import Grouping, Told, grouped
from training.instances.head import InstanceHead, WithInstances
from training.instances.learn import RUNS, frozen_network, maps_of, told_of, trained_head
from training.instances.pictures import Picture, ground_of, stored
from training.instances.quality import PanopticQuality

__all__ = ['Seen', 'by_blobs', 'by_head', 'chosen', 'qualities', 'report', 'seen_of', 'times_ms']

PAGE = Path('docs/instances.md')
SECTION = 'training.instances.compare'
PERSON = class_id('pedestrian')
CHOICES = [Grouping(least, own_cells=own) for least in (0.1, 0.2, 0.3) for own in (2.0, 3.0, 4.0)]
TIMED_ROUNDS = 15

Numbers = NDArray[np.integer[Any]]


class Seen(NamedTuple):
    """A picture, and what the network makes of it.

    Attributes:
        picture: With the true people.
        labels: Of the network, at its size.
        told: By the head of each seed.
        ground: Of the camera, where it is known.
    """

    picture: Picture
    labels: NDArray[np.uint8]
    told: Sequence[Told]
    ground: GroundScale | None


def seen_of(
    pictures: Sequence[Picture], network: Any, heads: Sequence[InstanceHead]
) -> Iterator[Seen]:
    """What the frozen network and the heads say."""
    upsampler: Upsampler | None = None
    for picture in pictures:
        logits, maps = maps_of(network, picture.image)
        planes = logits[0].numpy()
        if upsampler is None:
            upsampler = Upsampler(planes.shape, picture.people.shape[::-1])
        told = [told_of(head, maps) for head in heads]
        yield Seen(picture, upsampler.labels(planes), told, ground_of(picture))


def exact_labels(seen: Seen) -> NDArray[np.uint8]:
    """The network's labels with the true people in them, so that only the telling apart counts."""
    truth, labels = seen.picture.people, seen.labels.copy()
    labels[np.isin(labels, [class_id(name) for name in PEOPLE])] = UNLABELLED
    labels[(truth != 0) & (truth != UNLABELLED)] = PERSON
    return labels


def by_components(_: Seen, labels: NDArray[np.uint8]) -> Numbers:
    """Whoever touches is one."""
    return np.asarray(cv2.connectedComponents((labels == PERSON).astype(np.uint8))[1])


def by_blobs(finder: InstanceFinder) -> Callable[[Seen, NDArray[np.uint8]], Numbers]:
    """As the node does: joined behind poles, split by geometry."""

    def numbers(seen: Seen, labels: NDArray[np.uint8]) -> Numbers:
        image = finder.find(labels, seen.ground).image
        return np.where(image // PER_CLASS == PERSON, image % PER_CLASS, 0)

    return numbers


def by_head(
    index: int, how: Grouping, static_lut: NDArray[np.uint8]
) -> Callable[[Seen, NDArray[np.uint8]], Numbers]:
    """The same blobs, joined behind poles, but split by the head of a seed."""

    def numbers(seen: Seen, labels: NDArray[np.uint8]) -> Numbers:
        def px_per_m(blob: Blob) -> float:
            if seen.ground is not None:
                there = float(seen.ground.px_per_m[blob.y1 - 1, (blob.x0 + blob.x1 - 1) // 2])
                if there > 0.0:
                    return there
            return (blob.y1 - blob.y0) / PersonSize().height_m

        people = blobs_of(cv2.compare(labels, PERSON, cv2.CMP_EQ), MIN_PIXELS)
        whole = joined(people, px_per_m, labels, static_lut)
        return grouped(whole, seen.told[index], labels.shape, how)

    return numbers


def qualities(
    all_seen: Sequence[Seen],
    way: Callable[[Seen, NDArray[np.uint8]], Numbers],
    labels_of: Callable[[Seen], NDArray[np.uint8]] = lambda seen: seen.labels,
) -> PanopticQuality:
    """Of one way on one set."""
    quality = PanopticQuality()
    for seen in all_seen:
        quality.add(seen.picture.people, way(seen, labels_of(seen)))
    return quality


def chosen(sets: Sequence[Sequence[Seen]], heads: int, static_lut: NDArray[np.uint8]) -> Grouping:
    """How centres are found best: the highest mean of all sets and heads."""

    def value(how: Grouping) -> float:
        return float(
            np.mean(
                [
                    qualities(some, by_head(head, how, static_lut)).value
                    for some, head in itertools.product(sets, range(heads))
                ]
            )
        )

    return max(CHOICES, key=value)


def times_ms(
    paths: Sequence[Path],
    ways: Sequence[Callable[[Seen, NDArray[np.uint8]], Numbers]],
    some: Sequence[Seen],
) -> tuple[list[float], list[float]]:
    """CPU time of each graph's image, and of each way's telling apart; medians, one thread.

    In turns, so that other work on the machine touches all of them alike.
    """
    sessions = []
    for path in paths:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        sessions.append(
            onnxruntime.InferenceSession(str(path), options, providers=['CPUExecutionProvider'])
        )
    graphs: NDArray[np.float64] = np.zeros((TIMED_ROUNDS, len(paths)))
    tellings: NDArray[np.float64] = np.zeros((len(some), len(ways)))
    for turn in range(TIMED_ROUNDS):
        image = some[turn % len(some)].picture.image[None]
        for index, session in enumerate(sessions):
            names = [o.name for o in session.get_outputs() if o.name in ('logits', INSTANCES)]
            begin_s = time.process_time()
            session.run(names, {'image': image})
            graphs[turn, index] = time.process_time() - begin_s
    for turn, seen in enumerate(some):
        for index, way in enumerate(ways):
            begin_s = time.process_time()
            way(seen, seen.labels)
            tellings[turn, index] = time.process_time() - begin_s
    return (
        [float(v) * 1e3 for v in np.median(graphs, axis=0)],
        [float(v) * 1e3 for v in tellings.mean(axis=0)],
    )


def rows_of(all_seen: Sequence[Seen], ways: Mapping[str, Sequence[Any]]) -> list[list[str]]:
    """Rows of the quality table of one set."""
    rows = []
    for labels, labels_of in (('network', lambda seen: seen.labels), ('exact', exact_labels)):
        for name, some in ways.items():
            found = [qualities(all_seen, way, labels_of) for way in some]
            values = [100 * one.value for one in found]
            apart = f' ± {(max(values) - min(values)) / 2:.1f}' if len(values) > 1 else ''
            rows.append(
                [
                    labels,
                    name,
                    f'{np.mean(values):.1f}{apart}',
                    *(
                        per_cent(float(np.mean([getattr(one, field) for one in found])))
                        for field in ('recognition', 'segmentation', 'touching_found')
                    ),
                    *(
                        f'{np.mean([getattr(one, field) for one in found]):.0f}'
                        for field in ('extra', 'missed')
                    ),
                ]
            )
    return rows


def report(
    tests: Mapping[str, Sequence[Seen]],
    ways: Mapping[str, Sequence[Any]],
    how: Grouping,
    spent: str,
) -> str:
    """All tables with what a reader must know of them."""
    head = ['labels', 'told apart by', 'PQ', 'RQ', 'SQ', 'touching, found', 'extra', 'missed']
    parts = []
    for name, all_seen in tests.items():
        quality = qualities(all_seen, ways['blobs (the node)'][0])
        people = quality.matched + quality.missed
        parts += [
            (
                f'**{name}**: {len(all_seen)} pictures, {people} people, {quality.touching} of '
                'whom touch somebody.'
            ),
            table(head, rows_of(all_seen, ways)),
        ]
    parts.append(
        f'Centres of at least {how.least} that think their own to be at most {how.own_cells:.0f} '
        f'cells away, as was chosen on other pictures. {spent}'
    )
    return '\n\n'.join(parts)


def time_report(
    graphs_ms: Sequence[float], tellings_ms: Sequence[float], weights: int, head_macs: int
) -> str:
    before, after = graphs_ms[0] + tellings_ms[0], graphs_ms[1] + tellings_ms[1]
    return (
        f'The head has {weights / 1e3:.0f} thousand weights and {head_macs / 1e6:.0f} million '
        f'multiplications. CPU time of an image on one thread (ONNX Runtime, fp32): the network '
        f'{graphs_ms[0]:.1f} ms, with the head {graphs_ms[1]:.1f} ms; telling people apart: blobs '
        f'{tellings_ms[0]:.2f} ms, by the head {tellings_ms[1]:.2f} ms; in all '
        f'{100 * (after / before - 1):+.1f} %.'
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config')
    parser.add_argument('--write', action='store_true', help=f'into {PAGE}')
    parser.add_argument('--page', type=Path, default=PAGE, help='another file to write into')
    arguments = parser.parse_args()
    torch.set_num_threads(int(os.environ.get('OMP_NUM_THREADS', os.cpu_count() or 1)))
    cv2.setNumThreads(1)
    text = compared(read_config(arguments.config))
    print(text)
    if arguments.write:
        write_between(arguments.page, text, SECTION)


def compared(config: dict[str, Any]) -> str:
    """Train what is not trained yet, measure, and write it down."""
    folder = RUNS / config['run']
    size_wh = tuple(config['network_size'])
    heads = [trained_head(config, seed) for seed in config['seeds']]
    select = [stored(row, size_wh, folder) for row in config['select']]
    network = frozen_network(config, select[0][:4])
    label_map = load_engine(Path(config['engine'])).label_map
    static_lut = label_map.role_mask_lut('static')
    seen = [list(seen_of(one, network, heads)) for one in select]
    how = chosen(seen, len(heads), static_lut)
    print(how, flush=True)
    tests = {
        row['name']: list(seen_of(stored(row, size_wh, folder), network, heads))
        for row in config['test']
    }
    finder = InstanceFinder(label_map)
    learned = [by_head(index, how, static_lut) for index in range(len(heads))]
    ways = {
        'nothing (whoever touches is one)': [by_components],
        'blobs (the node)': [by_blobs(finder)],
        'the head': learned,
    }
    without, with_head = folder / 'without.onnx', folder / 'with.onnx'
    export_onnx(network, without, size_wh)
    whole = WithInstances(network, heads[0]).eval()
    export_onnx(whole, with_head, size_wh)
    some = [seen for all_seen in tests.values() for seen in all_seen][:: max(1, len(heads))]
    graphs_ms, tellings_ms = times_ms(
        [without, with_head], [ways['blobs (the node)'][0], learned[0]], some
    )
    more = parameters(with_head) - parameters(without)
    spent = time_report(
        graphs_ms, tellings_ms, more, macs(whole, size_wh) - macs(network, size_wh)
    )
    return report(tests, ways, how, spent)


if __name__ == '__main__':
    main()

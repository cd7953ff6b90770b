# SPDX-License-Identifier: Apache-2.0
"""What stands along the road, drawn from the seed one block at a time.

Everything here is a place and a kind; how it looks is the renderer's business.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise

import numpy as np

from seg_ros.sim.config import SceneConfig
from seg_ros.sim.profile import RoadProfile, Roadside

__all__ = [
    'BLOCK_M',
    'LAMP_PHASES',
    'LAMP_SPACING_M',
    'Block',
    'Building',
    'Fence',
    'ParkedCar',
    'Post',
    'Scenery',
    'Tree',
]

BLOCK_M = 48.0
CROSSING_CLEAR_M = 9.0
LAMP_SPACING_M = 24.0
LAMP_PHASES = ((1, 0.25), (-1, 0.75))  # side, and where in the spacing its lamps stand
SHORTEST_BARRIER_M = 3.0
BARRIER_AWAY_M = 0.4  # from the edge of the asphalt
CACHED_BLOCKS = 64


@dataclass(frozen=True)
class Building:
    """A box whose front runs along the road.

    Attributes:
        s0_m: Where the front begins.
        s1_m: Where it ends.
        d_m: Of the front; positive is left.
        height_m: Of the eaves.
        depth_m: Away from the road.
        roof_m: Height of the roof above the eaves, 0 is flat.
        look: Chooses facade and colours.
        hidden0_m: How high another building hides the wall at ``s0_m``.
        hidden1_m: The same at ``s1_m``.
    """

    s0_m: float
    s1_m: float
    d_m: float
    height_m: float
    depth_m: float
    roof_m: float
    look: int
    hidden0_m: float = 0.0
    hidden1_m: float = 0.0


@dataclass(frozen=True)
class Tree:
    s_m: float
    d_m: float
    height_m: float
    look: int


@dataclass(frozen=True)
class Post:
    """A pole, perhaps with something on it.

    Attributes:
        s_m: Place.
        d_m: Place.
        height_m: Of the pole.
        kind: ``lamp``, ``sign``, ``crossing_sign``, ``wood`` or ``bollard``.
        look: Chooses among the signs.
    """

    s_m: float
    d_m: float
    height_m: float
    kind: str
    look: int


@dataclass(frozen=True)
class Fence:
    """A low wall of some kind along the road.

    Attributes:
        s0_m: Where it begins.
        s1_m: Where it ends.
        d_m: Place across the road; positive is left.
        height_m: Of its top.
        kind: ``wood``, ``railing``, ``wall``, ``hedge``; along the asphalt ``guard_rail`` or
            ``concrete``.
    """

    s0_m: float
    s1_m: float
    d_m: float
    height_m: float
    kind: str


@dataclass(frozen=True)
class ParkedCar:
    s_m: float
    d_m: float
    look: int
    against_s: bool


@dataclass(frozen=True)
class Block:
    """Everything between ``index * BLOCK_M`` and the next block."""

    index: int
    buildings: tuple[Building, ...]
    trees: tuple[Tree, ...]
    posts: tuple[Post, ...]
    fences: tuple[Fence, ...]
    parked: tuple[ParkedCar, ...]
    crossings_m: tuple[float, ...]


class Scenery:
    """Blocks along the road; the same index gives the same block, whenever it is asked for."""

    def __init__(self, config: SceneConfig, profile: RoadProfile) -> None:
        self._config = config
        self._profile = profile
        self._cached_block = lru_cache(maxsize=CACHED_BLOCKS)(self._make_block)

    def block(self, index: int) -> Block:
        return self._cached_block(index)

    def blocks(self, from_s_m: float, to_s_m: float) -> list[Block]:
        """The blocks that touch a stretch of the road."""
        first, last = int(from_s_m // BLOCK_M), int(to_s_m // BLOCK_M)
        return [self.block(index) for index in range(first, last + 1)]

    def crossings_m(self, from_s_m: float, to_s_m: float) -> list[float]:
        """Middles of the zebra crossings on a stretch of the road."""
        return [
            at_m
            for block in self.blocks(from_s_m, to_s_m)
            for at_m in block.crossings_m
            if from_s_m <= at_m <= to_s_m
        ]

    def _make_block(self, index: int) -> Block:
        generator = np.random.default_rng([self._config.seed, 23, index + 2**20])
        start_m = index * BLOCK_M
        crossings = self._crossings(generator, start_m)
        buildings: list[Building] = []
        trees: list[Tree] = []
        posts: list[Post] = []
        fences: list[Fence] = []
        parked: list[ParkedCar] = []
        for sign in (1, -1):
            side = self._profile.side(sign)
            self._add_buildings(generator, buildings, trees, fences, start_m, sign, side)
            self._add_trees(generator, trees, start_m, sign, side)
            self._add_posts(generator, posts, start_m, sign, side)
            self._add_parked(generator, parked, start_m, sign, side)
        fences += self._barriers(index, crossings)
        for at_m in crossings:
            for sign in (1, -1):
                side = self._profile.side(sign)
                d = sign * (side.asphalt_m + 0.45)
                posts.append(Post(at_m - sign * 2.6, d, 2.6, 'crossing_sign', sign))

        def clear(s_m: float) -> bool:
            return all(abs(s_m - at_m) > CROSSING_CLEAR_M for at_m in crossings)

        return Block(
            index=index,
            buildings=tuple(_joined(building, buildings) for building in buildings),
            trees=tuple(tree for tree in trees if clear(tree.s_m) or abs(tree.d_m) > 14.0),
            posts=tuple(p for p in posts if p.kind == 'crossing_sign' or clear(p.s_m)),
            fences=tuple(fences),
            parked=tuple(car for car in parked if clear(car.s_m)),
            crossings_m=tuple(crossings),
        )

    def _crossings(self, generator: np.random.Generator, start_m: float) -> list[float]:
        drawn = generator.random() < self._config.crossings_per_km * BLOCK_M / 1000.0
        offset_m = float(generator.uniform(12.0, BLOCK_M - 12.0))
        fixed = [at for at in self._config.crossings_at_m if start_m <= at < start_m + BLOCK_M]
        if fixed:
            return fixed
        if drawn and start_m + offset_m > 25.0:
            return [start_m + offset_m]
        return []

    def _add_buildings(
        self,
        generator: np.random.Generator,
        buildings: list[Building],
        trees: list[Tree],
        fences: list[Fence],
        start_m: float,
        sign: int,
        side: Roadside,
    ) -> None:
        surroundings = self._config.surroundings
        s = start_m + (0.0 if surroundings == 'city' else float(generator.uniform(0.0, 8.0)))
        end_m = start_m + BLOCK_M
        while s < end_m - 7.0:
            look = int(generator.integers(1 << 30))
            roll = generator.random()
            if surroundings == 'city':
                length_m = min(float(generator.uniform(9.0, 19.0)), end_m - s)
                if end_m - s - length_m < 8.0:
                    length_m = end_m - s
                if roll < 0.1:
                    fences.append(
                        Fence(s, s + length_m, sign * side.fence_m, 1.7, _fence_kind(generator))
                    )
                    for _ in range(3):
                        at_m = s + float(generator.uniform(1.5, length_m - 1.5))
                        d = sign * (side.wall_m + float(generator.uniform(3.0, 9.0)))
                        height_m = float(generator.uniform(6.0, 10.0))
                        trees.append(Tree(at_m, d, height_m, int(generator.integers(1 << 30))))
                else:
                    floors = int(generator.integers(3, 6))
                    roof_m = 2.2 if generator.random() < 0.5 else 0.0
                    buildings.append(
                        Building(
                            s,
                            s + length_m,
                            sign * side.wall_m,
                            3.1 * floors + 0.8,
                            11.0,
                            roof_m,
                            look,
                        )
                    )
                s += length_m
            elif surroundings == 'suburb':
                length_m = float(generator.uniform(9.0, 14.0))
                if s + length_m > end_m:
                    break
                d = sign * (side.wall_m + float(generator.uniform(0.0, 2.5)))
                if roll < 0.85:
                    floors = int(generator.integers(1, 3))
                    buildings.append(
                        Building(s, s + length_m, d, 2.8 * floors + 0.6, 9.0, 3.2, look)
                    )
                if generator.random() < 0.6:
                    d_fence = sign * side.fence_m
                    kind = _fence_kind(generator)
                    fences.append(Fence(s - 1.0, s + length_m + 1.0, d_fence, 1.2, kind))
                s += length_m + float(generator.uniform(3.0, 9.0))
            else:
                length_m = float(generator.uniform(10.0, 18.0))
                if roll < 0.16 and s + length_m < end_m:
                    d = sign * (side.wall_m + float(generator.uniform(0.0, 14.0)))
                    height_m = float(generator.uniform(3.5, 6.0))
                    buildings.append(Building(s, s + length_m, d, height_m, 9.0, 3.5, look))
                elif roll < 0.5:
                    d_fence = sign * side.fence_m
                    fences.append(Fence(s, min(s + 24.0, end_m), d_fence, 1.2, 'wood'))
                s += length_m + float(generator.uniform(4.0, 20.0))

    def _barriers(self, index: int, crossings: list[float]) -> list[Fence]:
        """Along the asphalt, with a gap at every crossing; drawn apart from all else."""
        if not self._config.barrier_share:
            return []
        generator = np.random.default_rng([self._config.seed, 29, index + 2**20])
        ends_m = [index * BLOCK_M, *sorted(crossings), (index + 1) * BLOCK_M]
        barriers = []
        for sign in (1, -1):
            present = generator.random() < self._config.barrier_share
            kind = str(generator.choice(['guard_rail', 'concrete']))
            start_m, stop_m = generator.uniform(0.0, 0.2, 2) * BLOCK_M  # its own ends are seen
            d_m = sign * (self._profile.side(sign).asphalt_m + BARRIER_AWAY_M)
            for i, (s0_m, s1_m) in enumerate(pairwise(ends_m)):
                s0_m += start_m if i == 0 else CROSSING_CLEAR_M
                s1_m -= stop_m if i == len(crossings) else CROSSING_CLEAR_M
                if present and s1_m - s0_m > SHORTEST_BARRIER_M:
                    height_m = 0.75 if kind == 'guard_rail' else 0.9
                    barriers.append(Fence(s0_m, s1_m, d_m, height_m, kind))
        return barriers

    def _add_trees(
        self,
        generator: np.random.Generator,
        trees: list[Tree],
        start_m: float,
        sign: int,
        side: Roadside,
    ) -> None:
        surroundings = self._config.surroundings
        count = {'city': 3, 'suburb': 5, 'country': 7}[surroundings]
        for i in range(count):
            at_m = start_m + (i + float(generator.uniform(0.1, 0.9))) * BLOCK_M / count
            look = int(generator.integers(1 << 30))
            height_m = float(generator.uniform(5.0, 9.5))
            present = generator.random()
            reach = float(generator.random())
            if surroundings == 'city':
                d = side.pavement_from_m + 0.9
                if present > 0.55:
                    continue
                height_m = min(height_m, 7.0)
            elif surroundings == 'suburb':
                d = side.pavement_to_m + 1.2 + 3.5 * reach
            else:
                d = side.asphalt_m + 5.0 + 28.0 * reach * reach
                height_m += 2.0
            trees.append(Tree(at_m, sign * d, height_m, look))

    def _add_posts(
        self,
        generator: np.random.Generator,
        posts: list[Post],
        start_m: float,
        sign: int,
        side: Roadside,
    ) -> None:
        country = self._config.surroundings == 'country'
        d = sign * (side.asphalt_m + (1.2 if country else 0.5))
        phase = dict(LAMP_PHASES)[sign]
        for i in range(round(BLOCK_M / LAMP_SPACING_M)):
            at_m = start_m + (i + phase) * LAMP_SPACING_M
            look = int(generator.integers(1 << 30))
            if not country:
                posts.append(Post(at_m, d, 6.5, 'lamp', look))
            elif sign > 0:
                posts.append(Post(at_m, d + 2.5, 7.0, 'wood', look))
        if generator.random() < 0.55:
            at_m = start_m + float(generator.uniform(4.0, BLOCK_M - 4.0))
            posts.append(Post(at_m, d, 2.7, 'sign', int(generator.integers(1 << 30))))
        if country:
            for i in range(2):
                at_m = start_m + (i + 0.5) * 0.5 * BLOCK_M
                posts.append(Post(at_m, sign * (side.asphalt_m + 0.5), 0.95, 'bollard', 0))

    def _add_parked(
        self,
        generator: np.random.Generator,
        parked: list[ParkedCar],
        start_m: float,
        sign: int,
        side: Roadside,
    ) -> None:
        for i in range(7):
            at_m = start_m + (i + 0.5) * BLOCK_M / 7.0 + float(generator.uniform(-0.6, 0.6))
            taken = generator.random() < 0.42 * min(self._config.car_density, 2.0)
            look = int(generator.integers(1 << 30))
            if side.parking_m and taken:
                parked.append(ParkedCar(at_m, sign * side.parking_m, look, sign > 0))


def _joined(building: Building, all_buildings: list[Building]) -> Building:
    """The building with what its neighbours in the same row hide of its side walls."""
    hidden0_m = hidden1_m = 0.0
    for other in all_buildings:
        if other.d_m == building.d_m and other.depth_m == building.depth_m:
            if abs(other.s1_m - building.s0_m) < 0.01:
                hidden0_m = other.height_m
            if abs(other.s0_m - building.s1_m) < 0.01:
                hidden1_m = other.height_m
    return replace(building, hidden0_m=hidden0_m, hidden1_m=hidden1_m)


def _fence_kind(generator: np.random.Generator) -> str:
    return str(generator.choice(['wood', 'railing', 'wall', 'hedge'], p=[0.4, 0.35, 0.1, 0.15]))

# SPDX-License-Identifier: Apache-2.0
"""One content of a parameter file, in many of the shapes that ROS reads alike."""

from __future__ import annotations

import random
from typing import Any, NamedTuple

import yaml
from hypothesis import strategies as st

__all__ = ['SPELLINGS', 'Shape', 'shapes', 'values_of_the_node']

SPELLINGS = [
    ('7', 7), ('-7', -7), ('+7', 7), ('0x10', 16), ('010', 8), ('08', 8.0), ('7.5', 7.5),
    ('.5', 0.5), ('1.', 1.0), ('1e3', 1000.0), ('1.5E-2', 0.015), ('0x1p3', 8.0), ('yes', True),
    ('Y', True), ('on', True), ('True', True), ('n', False), ('OFF', False), ('~', '~'),
    ('null', 'null'), ('.nan', float('nan')), ('nan', float('nan')), ('-.inf', -float('inf')),
    ('.Inf', float('inf')), ('+.inf', float('inf')), ('-.nan', '-.nan'),
    ('infinity', float('inf')), ('1_000', '1_000'), ('12:30', '12:30'), ('yEs', 'yEs'),
    ('2001-01-01', '2001-01-01'), ('0x', '0x'), ('1e', '1e'), ('1e999', '1e999'),
    ('1e-999', '1e-999'), ('0e-999', 0.0),
    ('99999999999999999999', 1e20), ('-9223372036854775808', -(2**63)), ('auto', 'auto'),
]  # fmt: skip
"""Plain words, and what rcl's parser makes of them."""

NODES = ('/segmentation', '/robot1/segmentation')
OTHERS: dict[str, Any] = {
    'planner': {'ros__parameters': {'hz': 5.0}},
    '/fleet/camera': {'ros__parameters': {'engine': 'v8'}},
}


class Shape(NamedTuple):
    """How a file says what it says.

    Attributes:
        node: Whom it is for.
        key: The section's, as a path of nested names.
        seed: Of the grouping, order and spelling.
        split: Whether the parameters come in two sections.
        flow: YAML in braces.
        others: Whether other nodes' sections stand around it.
        head: What is before the first line.
        newline: Between lines.
    """

    node: str
    key: tuple[str, ...]
    seed: int
    split: bool
    flow: bool
    others: bool
    head: str
    newline: str

    def text(self, values: dict[str, Any]) -> bytes:
        """Returns the file."""
        chance = random.Random(self.seed)
        names = list(values)
        chance.shuffle(names)
        cut = chance.randint(1, len(names) - 1) if self.split and len(names) > 1 else len(names)
        parts = [part for part in (names[:cut], names[cut:]) if part]
        documents = [self._section(part, values, chance) for part in parts]
        if self.others:
            documents[0] = {**OTHERS, **documents[0]}
        text = '---\n'.join(
            yaml.safe_dump(document, default_flow_style=self.flow, sort_keys=False)
            for document in documents
        )
        return (self.head + text).replace('\n', self.newline).encode()

    def _section(
        self, names: list[str], values: dict[str, Any], chance: random.Random
    ) -> dict[str, Any]:
        below: dict[str, Any] = {}
        for name in names:
            group, dot, field = name.partition('.')
            if dot and chance.random() < 0.5:
                inside = below.setdefault(group, {})
                inside[field] = values[name]
            else:
                below[name] = values[name]
        section: dict[str, Any] = {'ros__parameters': below}
        for part in reversed(self.key):
            section = {part: section}
        return section


def shapes() -> st.SearchStrategy[Shape]:
    """Draws shapes of files for a node with and without a namespace."""
    keys = {
        NODES[0]: [
            ('/**',), ('/*',), ('segmentation',), ('/segmentation',), ('/**/segmentation',),
            ('/**', 'segmentation'),
        ],
        NODES[1]: [
            ('/**',), ('robot1', 'segmentation'), ('/robot1', 'segmentation'), ('/robot1/*',),
            ('/robot1/segmentation',), ('robot1/segmentation',), ('/**/segmentation',),
            ('/*/segmentation',), ('/**', 'segmentation'), ('/robot1', '**'),
        ],
    }  # fmt: skip
    return st.sampled_from(NODES).flatmap(
        lambda node: st.builds(
            Shape,
            node=st.just(node),
            key=st.sampled_from(keys[node]),
            seed=st.integers(0, 2**32),
            split=st.booleans(),
            flow=st.booleans(),
            others=st.booleans(),
            head=st.sampled_from(['', '# a comment\n', '\n\n', '---\n']),
            newline=st.sampled_from(['\n', '\r\n']),
        )
    )


def values_of_the_node() -> st.SearchStrategy[dict[str, Any]]:
    """Draws parameters of the node, by name."""
    rows: dict[str, st.SearchStrategy[Any]] = {
        'engine': st.sampled_from(['roadseg', 'on', '7', '/models/my engine', 'a: b', '~', '#1']),
        'overlay_alpha': _floats(0.0, 1.0),
        'jpeg_quality': st.integers(1, 100),
        'autostart': st.booleans(),
        'stop.hold_s': _floats(0.0, 60.0),
        'stop.zone': st.sampled_from(['corridor', 'image']),
        'mount.z': st.lists(_floats(0.1, 3.0), min_size=1, max_size=1),
        'mount.pitch': st.lists(_floats(-0.5, 0.5), min_size=1, max_size=1),
        'camera_names': st.sampled_from([['front'], ['no_1']]),
        'lane.frame': st.sampled_from(['', 'odom', 'yes']),
    }
    return st.fixed_dictionaries({}, optional=rows).filter(bool)


def _floats(low: float, high: float) -> st.SearchStrategy[float]:
    return st.floats(low, high, allow_subnormal=False)  # rcl takes those as text

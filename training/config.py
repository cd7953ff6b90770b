# SPDX-License-Identifier: Apache-2.0
"""Training configs: YAML files, and changes to them from the command line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

__all__ = ['read_config', 'with_mixture']

MIXTURE_KEYS = ('sources', 'augmentation', 'validation', 'validation_wh', 'evaluation')


def read_config(path: str, changes: Sequence[str] = ()) -> dict[str, Any]:
    """The YAML config, with its mixture; `changes` are KEY=VALUE with dots for nested keys."""
    config = yaml.safe_load(Path(path).read_text())
    for change in changes:
        key, _, value = change.partition('=')
        *parents, last = key.split('.')
        node = config
        for parent in parents:
            node = node[parent]
        node[last] = yaml.safe_load(value)
    return with_mixture(config)


def with_mixture(config: dict[str, Any]) -> dict[str, Any]:
    """The config with what it lacks of its sets, taken from another config, its `mixture`.

    `without` names sources that are left out, `changes` has other values of their rows by name.
    `scaled` is a factor of all scales of its augmentation, for another network size; `beacons` are
    values of its `beacon_share` by name.
    """
    if 'mixture' not in config:
        return config
    mixture = yaml.safe_load(Path(config['mixture']).read_text())
    taken = {key: mixture[key] for key in MIXTURE_KEYS if key in mixture}
    left_out, changes = config.get('without', ()), config.get('changes', {})
    taken['sources'] = [
        {**row, **changes.get(row['name'], {})}
        for row in taken['sources']
        if row['name'] not in left_out
    ]
    if 'scaled' in config:
        taken['augmentation'] = {
            name: {**row, 'scale': [round(config['scaled'] * end, 3) for end in row['scale']]}
            for name, row in taken['augmentation'].items()
        }
    for name, share in config.get('beacons', {}).items():
        taken['augmentation'][name] = {**taken['augmentation'][name], 'beacon_share': share}
    return {**taken, **config}

# SPDX-License-Identifier: Apache-2.0
"""A run's checkpoint, to be carried to another machine: without what only going on needs.

    python -m training.slim out/train/RUN/last.pt RESULT

The averaged weights alone, matrices in half precision (an engine's are, too): an eighth of the
bytes. It can be exported, blended, started from and taught by; it cannot be resumed.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch

__all__ = ['slim']

TOLD = ('step', 'progress', 'config', 'class_weights')


def slim(state: dict[str, Any]) -> dict[str, Any]:
    """What `training.train` saves, less the optimizer and the weights that are averaged."""
    average = {
        name: value.half() if value.ndim > 1 else value for name, value in state['average'].items()
    }
    told = {key: state[key] for key in TOLD if key in state}
    return {**told, 'average': average}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('checkpoint', type=Path)
    parser.add_argument('result', type=Path)
    arguments = parser.parse_args()
    state = torch.load(arguments.checkpoint, map_location='cpu', weights_only=False)
    arguments.result.parent.mkdir(parents=True, exist_ok=True)
    torch.save(slim(state), arguments.result)


if __name__ == '__main__':
    main()

# SPDX-License-Identifier: Apache-2.0
"""Every architecture at a tiny size as an engine, with torch's labels of some images beside it.

.venv-train/bin/python -m test.training.zoo FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

OPTIONS: dict[str, dict[str, Any]] = {
    'crf': {'crf_steps': 1},
    'atrous': {'context': 'atrous', 'deepest': 16, 'widths': [24, 32, 48]},
    'strips and attention': {'context': 'strips', 'fusion': 'attention'},
    'detail': {'detail': 8},
    'lane': {'lane': 8},
    'encoder': {'encoder': 0},
}
KINDS = (
    'deeplab', 'deeplab with crf', 'fast_scnn', 'fcn', 'fcn with encoder', 'hypercolumns',
    'roadseg', 'roadseg with atrous', 'roadseg with strips and attention', 'roadseg with detail',
    'roadseg with lane', 'segnet', 'two_branch', 'unet',
)  # fmt: skip
CLASSES = ('sky', 'road', 'person', 'crate', 'vehicle')
# multiples of 8 and of nothing more: every deeper stride has to round
SIZE_WH = (72, 56)
# the same weights at a size where no stride rounds, as another export
OTHER_SIZE_WH, OTHER = (128, 96), 'other_size.onnx'
IMAGES, LABELS = 'images.npy', 'labels.npy'


def row_of(kind: str) -> dict[str, Any]:
    """The kind as a config's `model`."""
    kind, _, option = kind.partition(' with ')
    extra = OPTIONS[option] if option else {}
    return {'kind': kind, 'classes': len(CLASSES), 'pretrained': False, **extra}


def images(count: int = 2) -> NDArray[np.uint8]:
    """`uint8 [N,H,W,3]`."""
    width, height = SIZE_WH
    random = np.random.default_rng(0)
    return random.integers(0, 255, (count, height, width, 3), dtype=np.uint8)


def export(kind: str, folder: Path) -> None:
    """Write the engine, int8 included, and what torch says of `images()`."""
    import torch

    from training.export import Deployment, export_onnx, write_spec
    from training.models import create
    from training.quantize import quantize

    torch.manual_seed(0)
    network = create(row_of(kind)).eval()
    export_onnx(network, folder / 'model.onnx', SIZE_WH)
    export_onnx(network, folder / OTHER, OTHER_SIZE_WH)
    classes = [{'name': name, 'colour': [40 * i, 90, 90]} for i, name in enumerate(CLASSES)]
    write_spec(folder, folder.name, SIZE_WH, {'classes': classes, 'sources': [], 'step': 0})
    quantize(folder, list(images()))
    with torch.no_grad():
        _, labels, _ = Deployment(network).eval()(torch.from_numpy(images()))
    np.save(folder / IMAGES, images())
    np.save(folder / LABELS, labels.numpy())


if __name__ == '__main__':
    for each in KINDS:
        export(each, Path(sys.argv[1]) / each)

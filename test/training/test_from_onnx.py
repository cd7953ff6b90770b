# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip('torch', reason='training needs torch: training/install.sh')

from test.paths import REPOSITORY  # noqa: E402
from test.training.zoo import SIZE_WH, row_of  # noqa: E402
from training.export import agreement, export_onnx  # noqa: E402
from training.from_onnx import load_onnx  # noqa: E402
from training.models import create  # noqa: E402
from training.normalise import normalise  # noqa: E402


def crops(size_wh: tuple[int, int], count: int = 4) -> torch.Tensor:
    width, height = size_wh
    random = np.random.default_rng(1)
    return normalise(
        torch.from_numpy(random.integers(0, 255, (count, height, width, 3), np.uint8))
    )


@pytest.mark.parametrize('kind', ['deeplab', 'fast_scnn', 'roadseg'])
def test_a_network_filled_from_a_graph_gives_its_logits(kind: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    exported, network = (create(row_of(kind)).train() for _ in range(2))
    batch = crops(SIZE_WH)
    with torch.no_grad():
        for _ in range(8):  # norms with statistics that are not those of new ones
            exported(batch)
        expected = exported.eval()(batch)
        export_onnx(exported, tmp_path / 'model.onnx', SIZE_WH)
        assert not torch.allclose(network.eval()(batch), expected, rtol=0.1, atol=0.1)
        load_onnx(network, tmp_path / 'model.onnx', [batch])
        torch.testing.assert_close(network.eval()(batch), expected, rtol=1e-3, atol=1e-3)


def test_training_goes_on_from_the_shipped_engine_as_it_is() -> None:
    model = {'kind': 'roadseg', 'encoder': 2, 'widths': [48, 64, 96, 128], 'lane': 12}
    network = create({**model, 'classes': 12, 'dropout': 0.0, 'pretrained': False})
    path = REPOSITORY / 'engines' / 'roadseg' / 'model.onnx'
    batch = crops((640, 360), 2)
    assert load_onnx(network, path, [batch]) == ['auxiliary.0', 'auxiliary.1', 'auxiliary.2']
    noise = np.random.default_rng(2).integers(0, 255, (1, 360, 640, 3), np.uint8)
    assert agreement(network.eval(), path, noise) >= 0.999
    with torch.no_grad():
        as_run = network(batch).argmax(1)
        as_trained = network.train()(batch)[0].argmax(1)
    assert (as_run == as_trained).float().mean() > 0.95


def test_a_graph_of_another_architecture_is_refused(tmp_path: Path) -> None:
    export_onnx(create(row_of('fast_scnn')).eval(), tmp_path / 'model.onnx', SIZE_WH)
    with pytest.raises(ValueError, match='must be the one that was exported'):
        load_onnx(create(row_of('unet')), tmp_path / 'model.onnx', [crops(SIZE_WH)])

# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

torch = pytest.importorskip('torch', reason='training needs torch: training/install.sh')

from test.paths import REPOSITORY  # noqa: E402
from test.training.zoo import CLASSES, SIZE_WH, row_of  # noqa: E402
from training.export import (  # noqa: E402
    agreement,
    export_onnx,
    load_checkpoint,
    write_spec,
)
from training.from_onnx import load_onnx, main  # noqa: E402
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


def test_an_engine_as_a_checkpoint_keeps_its_steps_and_offsets_and_is_exported_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder, pixels in (('images', (*SIZE_WH[::-1], 3)), ('masks', SIZE_WH[::-1])):
        Path(folder).mkdir()
        cv2.imwrite(f'{folder}/a.png', np.ones(pixels, np.uint8))
    network = create(row_of('fast_scnn')).eval()
    export_onnx(network, tmp_path / 'model.onnx', SIZE_WH)
    offsets = {'nats': {'crate': 0.4}, 'found_on': ['halls']}
    Path('spec.yaml').write_text(yaml.safe_dump({'training': {'steps': 70, 'offsets': offsets}}))
    config = {
        'seed': 1, 'batch': 2, 'model': row_of('fast_scnn'),
        'classes': [{'name': name, 'colour': [0, 0, 0]} for name in CLASSES],
        'sources': [{'name': 'halls', 'kind': 'folder', 'images': 'images', 'masks': 'masks',
                     'size_wh': list(SIZE_WH), 'share': 1.0}],
        'augmentation': {'halls': {'crop_wh': list(SIZE_WH)}},
    }  # fmt: skip
    Path('config.yaml').write_text(yaml.safe_dump(config))
    monkeypatch.setattr('sys.argv', ['from_onnx', 'model.onnx', 'config.yaml', 'run/last.pt'])
    main()
    again, told = load_checkpoint('run/last.pt')
    assert (told['step'], told['offsets']) == (70, offsets)
    noise = np.random.default_rng(2).integers(0, 255, (1, *SIZE_WH[::-1], 3), np.uint8)
    assert agreement(again, tmp_path / 'model.onnx', noise) >= 0.999
    Path('engine').mkdir()
    write_spec(Path('engine'), 'again', SIZE_WH, told)
    assert yaml.safe_load(Path('engine/spec.yaml').read_text())['training']['offsets'] == offsets

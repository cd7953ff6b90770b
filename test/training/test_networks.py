# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip('torch', reason='training needs torch: training/install.sh')

from test.training.zoo import CLASSES, KINDS, SIZE_WH, images, row_of  # noqa: E402
from training.classes import ClassRow, ClassTable  # noqa: E402
from training.export import Deployment, SureOfPeople, agreement, export_onnx  # noqa: E402
from training.models import MODELS, create  # noqa: E402
from training.train import LabelRules, segmentation_loss  # noqa: E402


def network(kind: str) -> torch.nn.Module:
    torch.manual_seed(0)
    return create(row_of(kind)).eval()


def test_every_architecture_is_in_the_zoo() -> None:
    assert {row_of(kind)['kind'] for kind in KINDS} == set(MODELS)


@pytest.mark.parametrize('kind', KINDS)
def test_onnx_runtime_gives_the_labels_of_torch_whatever_the_architecture(
    kind: str, tmp_path: Path
) -> None:
    module = network(kind)
    export_onnx(module, tmp_path / 'model.onnx', SIZE_WH)
    assert agreement(module, tmp_path / 'model.onnx', images()) >= 0.999


@pytest.mark.parametrize('kind', KINDS)
def test_one_step_down_the_gradient_lowers_the_loss(kind: str) -> None:
    module = network(kind).train()
    for part in module.modules():
        if isinstance(part, (torch.nn.Dropout, torch.nn.Dropout2d)):
            part.p = 0.0
    x = torch.randn(2, 3, 64, 64)
    labels = (x[:, 0] > 0).to(torch.uint8)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.01)

    def loss() -> torch.Tensor:
        outputs = module(x)
        outputs = [outputs] if isinstance(outputs, torch.Tensor) else outputs
        table = ClassTable(tuple(ClassRow(name, (0, 0, 0)) for name in CLASSES))
        rules = LabelRules.of(table, torch.ones(len(CLASSES)))
        return segmentation_loss(outputs, labels, rules, 1.0)

    before = loss()
    before.backward()
    optimizer.step()
    assert loss().item() < before.item()


def test_logits_sit_at_the_same_place_whatever_the_image_size() -> None:
    module = network('unet')
    x = torch.randn(1, 3, 96, 96)
    with torch.no_grad():
        whole, part = module(x), module(x[:, :, :80, :72])
    # away from the cut borders a larger image changes nothing
    difference = (whole[:, :, :16, :16] - part[:, :, :16, :16]).abs().max()
    assert float(difference) < 0.05 * float(whole.abs().max())


def test_hypercolumns_are_a_layer_over_the_features_of_all_strides_side_by_side() -> None:
    module = network('hypercolumns')
    x = torch.randn(1, 3, 96, 64)  # no stride rounds
    with torch.no_grad():
        features = module.encoder(x)
        column = torch.cat(
            [
                torch.nn.functional.interpolate(
                    feature, (24, 16), mode='bilinear', align_corners=False
                )
                for feature in features
            ],
            1,
        )
        weight = torch.cat([layer.weight for layer in module.columns], 1)
        hidden = torch.nn.functional.conv2d(column, weight)
        expected = module.classify(module.norm(hidden))
        assert torch.allclose(module(x), expected, atol=1e-4)


def test_confidence_is_the_share_of_the_winner() -> None:
    class Constant(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            scores = torch.tensor([0.0, 0.0, np.log(2.0)]).view(1, 3, 1, 1)
            return scores.expand(len(x), 3, x.shape[2] // 4, x.shape[3] // 4)

    logits, label, confidence = Deployment(Constant())(torch.zeros(2, 8, 16, 3, dtype=torch.uint8))
    assert logits.shape == (2, 3, 2, 4)
    assert label.shape == (2, 8, 16)
    assert label.unique().tolist() == [2]
    assert confidence.unique().tolist() == [128]  # one half of 255, rounded


def test_somebody_is_seen_only_where_a_cell_around_is_surely_theirs() -> None:
    lead = np.full((24, 48), -9.0, np.float32)
    lead[2:12, 4:8] = 0.4  # 60 of 100: likelier than the rest, and surely theirs nowhere
    lead[2:12, 30:34] = 0.4
    lead[4, 31] = 1.2  # but 77 here
    scores = np.zeros((1, 3, 24, 48), np.float32)
    scores[0, 1] = lead - math.log(2.0)  # pedestrian and cyclist have the half of it each
    scores[0, 2] = lead - math.log(2.0)
    logits = SureOfPeople([False, True, True], 0.7)(torch.from_numpy(scores))[0].numpy()
    people = logits[1:].max(0) > logits[0]
    before = np.logaddexp(*scores[0, 1:]) > scores[0, 0]
    assert before.sum() == 80
    assert not people[:, :20].any()
    unchanged = logits[:, 2:12, 28:36], scores[0, :, 2:12, 28:36]
    assert np.array_equal(*unchanged)
    assert np.array_equal(logits[0], scores[0, 0])


def test_a_size_that_the_logits_cannot_cover_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match='multiples of the logits'):
        export_onnx(network('fcn'), tmp_path / 'model.onnx', (70, 56))


def test_half_weights_give_nearly_the_same_labels_in_half_the_file(tmp_path: Path) -> None:
    module = network('fast_scnn')
    full, half = tmp_path / 'full.onnx', tmp_path / 'half.onnx'
    export_onnx(module, full, SIZE_WH)
    export_onnx(module, half, SIZE_WH, half_weights=True)
    assert half.stat().st_size < 0.56 * full.stat().st_size


def test_an_unknown_kind_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match='segnet'):
        create({'kind': 'resnet'})

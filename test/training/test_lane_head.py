# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip('torch', reason='training needs torch: training/install.sh')

from training import models  # noqa: E402
from training.lane_head import LaneHead, Order, Seen, join, learn  # noqa: E402
from training.models.roadseg import RoadSeg  # noqa: E402

LANE, CLASSES = 2, 3
MODEL = {'kind': 'roadseg', 'classes': CLASSES, 'encoder': 0, 'widths': [16, 24, 32, 48]}


@pytest.fixture
def network() -> RoadSeg:
    torch.manual_seed(0)
    return models.create({**MODEL, 'pretrained': False}).eval()


def head_of(network: RoadSeg) -> LaneHead:
    row = network.classify.weight[LANE].detach().flatten()
    return LaneHead(row, network.classify.bias[LANE].detach(), channels=8)


def lines(count: int) -> Seen:
    """A line is one cell wide; what is as bright and wider is none, which one cell cannot see."""
    random = np.random.default_rng(1)
    maps = np.zeros((count, 16, 12, 16), np.float16)
    labels = np.zeros((count, 48, 64), np.uint8)
    for index in range(count):
        thin, wide = random.permutation([2, 10])[:2] + random.integers(0, 2, 2)
        maps[index, 3, :, thin] = maps[index, 3, :, wide : wide + 4] = 1.0
        labels[index, :, 4 * thin : 4 * thin + 4] = LANE
    return Seen(maps, np.zeros(labels.shape, np.float16), labels)


def iou(head: LaneHead, seen: Seen) -> float:
    with torch.no_grad():
        said = head(torch.from_numpy(seen.maps).float()).numpy()[:, 0] > 0
    truth = seen.labels[:, 2::4, 2::4] == LANE
    return float((said & truth).sum() / (said | truth).sum())


def test_a_head_that_has_learned_nothing_yet_changes_no_logit(network: RoadSeg) -> None:
    picture = torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        joined = join(network, head_of(network), LANE, {**MODEL, 'lane': 8})
        assert torch.allclose(joined(picture), network(picture), atol=1e-5)


def test_what_the_head_learns_reaches_the_lane_logit_and_no_other(network: RoadSeg) -> None:
    head, picture = head_of(network), torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        head.add.weight.normal_()
        maps = network.decoded(picture)[1]
        joined = join(network, head, LANE, {**MODEL, 'lane': 8})
        before, after = network(picture), joined(picture)
        assert torch.equal(before[:, :LANE], after[:, :LANE])
        assert torch.allclose(after[:, LANE:], head(maps[-1]), atol=1e-4)
        assert not torch.allclose(after[:, LANE], before[:, LANE], atol=1e-2)


def test_a_line_is_told_from_what_is_as_bright_and_wider() -> None:
    torch.manual_seed(0)
    head = LaneHead(torch.zeros(16), torch.zeros(()), channels=8)
    with torch.no_grad():
        head.row.weight[0, 3] = 1.0  # bright is a line, says one cell alone
    before = iou(head, lines(8))
    config = {'epochs': 12, 'rate': 0.05, 'seed': 1}
    learn(head, [(lines(24), 6), (lines(5), 1)], config, LANE)
    assert before < 0.3
    assert iou(head, lines(8)) > 0.9


def test_every_picture_of_a_set_has_its_turn_before_one_comes_again() -> None:
    order = Order(5, np.random.default_rng(0))
    drawn = np.concatenate([order.next(2) for _ in range(5)])
    assert np.bincount(drawn).tolist() == [2] * 5

# SPDX-License-Identifier: Apache-2.0
"""The table of groups of sets that are left out in turn (training.left_out)."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip('torch', reason='training needs torch: training/install.sh')

from training import left_out
from training.classes import ROAD_SCENE
from training.labelled_set import LabelledSet
from training.left_out import figure_of, lane_offset_of, report


def test_a_set_that_labels_lanes_alone_is_asked_for_its_recall_and_any_other_for_its_miou() -> (
    None
):
    of_lanes = {'iou': {'road': 0.9, 'lane_marking': 0.4}, 'miou': 0.9, 'lane_recall': 0.6}
    of_all = {**of_lanes, 'iou': {'road': 0.9, 'lane_marking': 0.4, 'sky': 0.8}}
    assert figure_of(of_lanes) == ('lane recall', 0.6)
    assert figure_of(of_all) == ('mIoU', 0.9)


def test_the_gain_is_the_mean_of_the_groups_however_many_pictures_they_have() -> None:
    rows = [('towns', 100, 'mIoU', 0.50, 0.56), ('lanes', 10, 'lane recall', 0.7, 0.68)]
    lines = report(rows).splitlines()
    assert lines[2] == '| towns | 100 | mIoU | 50.0 | 56.0 | +6.0 |'
    assert lines[3] == '| lanes | 10 | lane recall | 70.0 | 68.0 | -2.0 |'
    assert lines[-1].endswith('| +2.0 |')
    beside = report(rows, [0.62, 0.9]).splitlines()
    assert beside[2] == '| towns | 100 | mIoU | 50.0 | 56.0 | +6.0 | 62.0 |'
    assert beside[-1].endswith('| +2.0 | +16.0 |')


def test_lane_markings_are_raised_until_one_of_the_sets_would_have_too_much_paint(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    road, lane = ROAD_SCENE.id('road'), ROAD_SCENE.id('lane_marking')
    columns = np.arange(40)
    labels = np.broadcast_to(np.where(columns < 10, lane, road).astype(np.uint8), (8, 40)).copy()

    class Fading:
        """Lane markings lose against road by a tenth more from column to column."""

        size_wh = 40, 8

        def logits(self, image: np.ndarray) -> np.ndarray:
            scores = np.full((len(ROAD_SCENE), 8, 40), -9.0, np.float32)
            scores[road] = 0.0
            scores[lane] = 0.55 - 0.1 * columns + float(image[0, 0, 0])
            return scores

    def load(row: dict[str, object]) -> LabelledSet:
        image = np.full((8, 40, 3), row['darker'], np.uint8)
        return LabelledSet(str(row['name']), ('a',), image[None], labels[None])

    monkeypatch.setattr(left_out, 'load', load)
    config = {
        'lane_painted_at_most': {'share': 1.3, 'sets': ['one']},
        'sources': [{'name': 'one', 'darker': 0}, {'name': 'two', 'darker': 9}],
    }
    # 6 of 10 true columns are painted, one more with each tenth; 13 are the most
    assert lane_offset_of(config, Fading()) == pytest.approx(0.7)
    config['lane_painted_at_most']['sets'] = ['one', 'two']
    assert lane_offset_of(config, Fading()) == 0.0

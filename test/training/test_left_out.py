# SPDX-License-Identifier: Apache-2.0
"""The table of groups of sets that are left out in turn (training.left_out)."""

from __future__ import annotations

import pytest

pytest.importorskip('torch', reason='training needs torch: training/install.sh')

from training.left_out import figure_of, report


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

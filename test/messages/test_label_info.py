# SPDX-License-Identifier: Apache-2.0
"""vision_msgs/LabelInfo, with a stand-in of the same fields: PyPI has no vision_msgs."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

from seg_ros.inference.engine import load_engine
from seg_ros.messages.conversions import LABEL_INFO, label_info_message
from seg_ros.messages.types import has_type
from test.messages.stand_ins import stand_ins
from test.ros.graph import header_of
from test.tiny_onnx import NAMES, write_engine


def test_label_info_names_every_class_with_its_pixel_value(tmp_path: Path) -> None:
    label_map = load_engine(write_engine(tmp_path / 'tiny')).label_map
    header = header_of(5, 'front_optical')
    with stand_ins():
        assert has_type(LABEL_INFO)
        message = label_info_message(header, label_map, 0.25)
    assert message.header is header
    assert message.threshold == 0.25
    assert [(row.class_id, row.class_name) for row in message.class_map] == list(enumerate(NAMES))


def test_an_old_vision_msgs_without_label_info_is_no_label_info(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    old = ModuleType('vision_msgs')
    old.msg = ModuleType('vision_msgs.msg')  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, 'vision_msgs', old)
    monkeypatch.setitem(sys.modules, 'vision_msgs.msg', old.msg)
    assert not has_type(LABEL_INFO)

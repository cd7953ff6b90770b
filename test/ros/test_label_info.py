"""vision_msgs/LabelInfo, with a stand-in of the same fields: PyPI has no vision_msgs."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from seg_ros.inference.engine import load_engine
from seg_ros.messages.conversions import label_info_message
from seg_ros.ros import outputs
from test.ros.graph import header_of
from test.tiny_onnx import NAMES


class VisionClass(SimpleNamespace):
    """vision_msgs/VisionClass: uint16 class_id, string class_name."""

    __slots__ = ()

    def __init__(self, *, class_id: int, class_name: str) -> None:
        super().__init__(class_id=class_id, class_name=class_name)


class LabelInfo(SimpleNamespace):
    """vision_msgs/LabelInfo: header, VisionClass[] class_map, float32 threshold."""

    def __init__(self, *, header: Any, class_map: list[Any], threshold: float) -> None:
        super().__init__(header=header, class_map=class_map, threshold=threshold)


def test_label_info_names_every_class_with_its_pixel_value(engine: Path) -> None:
    stand_in = SimpleNamespace(VisionClass=VisionClass, LabelInfo=LabelInfo)
    header = header_of(5, 'front_optical')
    message = label_info_message(header, load_engine(engine).label_map, 0.25, stand_in)
    assert message.header is header
    assert message.threshold == 0.25
    assert [(row.class_id, row.class_name) for row in message.class_map] == list(enumerate(NAMES))


def test_an_old_vision_msgs_without_label_info_is_no_label_info(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(outputs.importlib, 'import_module', lambda _name: SimpleNamespace())
    assert outputs.vision_msgs() is None

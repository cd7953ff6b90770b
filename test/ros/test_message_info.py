# SPDX-License-Identifier: Apache-2.0
"""A callback gets message and info by the rule of every rclpy."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from rclpy.subscription import Subscription

from seg_ros.ros.message_info import source_time_ns, with_info


def test_a_callback_gets_message_and_info_by_either_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[Any] = []

    def receive(message: str, info: Any) -> None:
        heard.append((message, source_time_ns(info)))

    # Since Iron: with two arguments where the callback takes no less
    callback = with_info(receive)
    with pytest.raises(TypeError):
        inspect.signature(callback).bind('message')
    callback('with', {'source_timestamp': 7})
    # Humble: with the message alone
    monkeypatch.delattr(Subscription, 'CallbackType')
    with_info(receive)('alone')
    assert heard == [('with', 7), ('alone', None)]

# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Callable
from typing import Any


class DeclareLaunchArgument:
    def __init__(self, name: str, *, default_value: Any, description: str) -> None:
        self.name, self.default_value, self.description = name, default_value, description


class OpaqueFunction:
    def __init__(self, *, function: Callable[..., Any]) -> None:
        self.function = function


class TimerAction:
    def __init__(self, *, period: float, actions: list[Any]) -> None:
        self.period, self.actions = period, actions

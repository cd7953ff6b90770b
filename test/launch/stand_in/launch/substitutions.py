# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import PurePath
from typing import Any


class LaunchConfiguration:
    def __init__(self, name: str) -> None:
        self.name = name

    def perform(self, context: Any) -> str:
        return str(context.launch_configurations[self.name])


class PathJoinSubstitution:
    def __init__(self, parts: list[Any]) -> None:
        self.parts = parts

    def perform(self, context: Any) -> str:
        return str(PurePath(*(context.perform(part) for part in self.parts)))

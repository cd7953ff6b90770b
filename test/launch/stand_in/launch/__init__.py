# SPDX-License-Identifier: Apache-2.0
"""Records what a launch file says; see the README beside."""

from __future__ import annotations

from typing import Any


class LaunchContext:
    def __init__(self) -> None:
        self.launch_configurations: dict[str, str] = {}

    def perform(self, value: Any) -> Any:
        """Returns a value with its substitutions carried out."""
        if hasattr(value, 'perform'):
            return value.perform(self)
        if isinstance(value, dict):
            return {self.perform(k): self.perform(v) for k, v in value.items()}
        if isinstance(value, (list, tuple)):
            return type(value)(self.perform(item) for item in value)
        return value


class LaunchDescription:
    def __init__(self, entities: list[Any]) -> None:
        self.entities = entities

# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any


class DeclareLaunchArgument:
    def __init__(
        self,
        name: str,
        *,
        default_value: Any,
        description: str,
        choices: Iterable[str] | None = None,
    ) -> None:
        self.name, self.default_value, self.description = name, default_value, description
        self.choices = choices
        if choices is not None and isinstance(default_value, str) and default_value not in choices:
            msg = f'Provided default_value "{default_value}" is not in provided choices'
            raise RuntimeError(msg)

    def declare(self, context: Any, given: Mapping[str, str]) -> None:
        """Takes the word that is given or the default, as the real one does when visited."""
        if self.name not in given and self.default_value is None:
            msg = f"Required launch argument '{self.name}' was not provided."
            raise RuntimeError(msg)
        value = given.get(self.name, context.perform(self.default_value))
        if self.choices is not None and value not in self.choices:
            msg = f'Argument "{self.name}" provided value "{value}" is not valid.'
            raise RuntimeError(msg)
        context.launch_configurations[self.name] = value


class OpaqueFunction:
    def __init__(self, *, function: Callable[..., Any]) -> None:
        self.function = function


class TimerAction:
    def __init__(self, *, period: float, actions: list[Any]) -> None:
        self.period, self.actions = period, actions

# SPDX-License-Identifier: Apache-2.0
"""Changes of the watched node's parameters: live ones at once, the others by configure.

What stops the vehicle is never changed under a moving one, or under one of which nobody says that
it stands, unless somebody has confirmed that.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.srv import SetParametersAtomically
from rclpy.node import Node
from rclpy.parameter import Parameter

from seg_ros.commands.view.server import NotConfirmed
from seg_ros.core.errors import ConfigurationError, SegRosError
from seg_ros.core.parameters.node_config import NodeConfig
from seg_ros.core.parameters.option import (
    ParameterValue,
    config_from_values,
    options_of,
    values_of,
)

__all__ = ['apply_parameters', 'check_confirmed']

STANDS_MPS = 0.05  # odometry of a standing vehicle is hardly ever exactly 0
OF_THE_STOP = ('stop.', 'zones.', 'vehicle.', 'mount.')
ANSWER_S = 10.0
CONFIGURE_S = 180.0  # an engine is loaded meanwhile
SERVICE_S = 5.0


def check_confirmed(
    values: Mapping[str, ParameterValue], speed_mps: float | None, *, is_confirmed: bool
) -> None:
    """Returns where a change may be made.

    Args:
        values: What is to be changed.
        speed_mps: Of the vehicle; None while nobody says.
        is_confirmed: Whether somebody has said that it is meant, whatever the vehicle does.

    Raises:
        NotConfirmed: The vehicle moves, or may.
    """
    is_about_the_stop = any(name.startswith(OF_THE_STOP) for name in values)
    if not is_about_the_stop or is_confirmed:
        return
    if speed_mps is None:
        raise NotConfirmed(
            'Nobody says how fast the vehicle is (no odometry within a second). Change what stops '
            'it only while it stands: confirm that it does.'
        )
    if speed_mps > STANDS_MPS:
        raise NotConfirmed(
            f'The vehicle moves, at {speed_mps:.1f} m/s. Let it stand first, or confirm that what '
            'stops it is to change while it moves.'
        )


def apply_parameters(
    node: Node,
    name: str,
    config: NodeConfig,
    values: Mapping[str, ParameterValue],
    spin: Callable[[], None],
) -> str:
    """Sets parameters of a node; returns what was done, a sentence.

    Those that are read at configure need the node cleaned up: its stop is true meanwhile. What it
    refuses is taken back.

    Args:
        node: Creates the clients.
        name: Of the node whose parameters they are.
        config: Its parameters as they are now.
        values: The new ones.
        spin: Serves callbacks for a moment.

    Raises:
        ConfigurationError: They are refused, with the reason.
        SegRosError: The node does not answer.
    """
    rules = {name: rule for name, _, rule in options_of(NodeConfig)}
    if unknown := [name for name in values if name not in rules]:
        raise ConfigurationError(f'The node has no parameter {unknown[0]}.')
    before = {name: values_of(config)[name] for name in values}
    typed = {name: _typed(name, value, before[name]) for name, value in values.items()}
    config_from_values(config, typed)
    caller = _Caller(node, name, spin)
    if all(rules[name].live for name in typed):
        caller.set(typed)
        return f'{_listed(typed)} changed.'
    was = caller.state()
    caller.bring_down(was)
    try:
        caller.set(typed)
        caller.bring_up(was)
    except SegRosError as error:
        caller.bring_down(caller.state())
        caller.set(before)
        caller.bring_up(was)
        raise ConfigurationError(f'{error} Everything is as it was.') from error
    return f'{_listed(typed)} changed, and the node configured anew.'


class _Caller:
    """The services of a node, called one after the other."""

    def __init__(self, node: Node, name: str, spin: Callable[[], None]) -> None:
        self._node, self._name, self._spin = node, name, spin

    def set(self, values: Mapping[str, ParameterValue]) -> None:
        request = SetParametersAtomically.Request(
            parameters=[
                Parameter(
                    name, value=list(value) if isinstance(value, tuple) else value
                ).to_parameter_msg()
                for name, value in values.items()
            ]
        )
        answer = self._call(
            SetParametersAtomically, 'set_parameters_atomically', request, ANSWER_S
        )
        if not answer.result.successful:
            raise ConfigurationError(answer.result.reason)

    def state(self) -> int:
        answer = self._call(GetState, 'get_state', GetState.Request(), ANSWER_S)
        return int(answer.current_state.id)

    def bring_down(self, state: int) -> None:
        if state == State.PRIMARY_STATE_ACTIVE:
            self._change(Transition.TRANSITION_DEACTIVATE, ANSWER_S)
        if state in (State.PRIMARY_STATE_ACTIVE, State.PRIMARY_STATE_INACTIVE):
            self._change(Transition.TRANSITION_CLEANUP, ANSWER_S)

    def bring_up(self, state: int) -> None:
        """Back to where it was."""
        if state in (State.PRIMARY_STATE_ACTIVE, State.PRIMARY_STATE_INACTIVE):
            self._change(Transition.TRANSITION_CONFIGURE, CONFIGURE_S)
        if state == State.PRIMARY_STATE_ACTIVE:
            self._change(Transition.TRANSITION_ACTIVATE, ANSWER_S)

    def _change(self, transition: int, timeout_s: float) -> None:
        request = ChangeState.Request(transition=Transition(id=transition))
        answer = self._call(ChangeState, 'change_state', request, timeout_s)
        if not answer.success:
            raise ConfigurationError(
                f'{self._name} refused transition {transition}; its log says why.'
            )

    def _call(self, kind: Any, service: str, request: Any, timeout_s: float) -> Any:
        client = self._node.create_client(kind, f'{self._name}/{service}')
        try:
            self._until(client.service_is_ready, SERVICE_S, service)
            future = client.call_async(request)
            self._until(future.done, timeout_s, service)
            return future.result()
        finally:
            self._node.destroy_client(client)

    def _until(self, condition: Callable[[], bool], timeout_s: float, service: str) -> None:
        deadline_s = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > deadline_s:
                raise SegRosError(f'{self._name}/{service} does not answer. Is the node there?')
            self._spin()


def _typed(name: str, value: Any, before: ParameterValue) -> ParameterValue:
    """A value of a page as the parameter's type."""
    try:
        if isinstance(before, bool):
            if not isinstance(value, bool):
                raise TypeError
            return value
        if isinstance(before, tuple):
            kind = type(before[0]) if before else float
            return tuple(kind(row) for row in value)
        return type(before)(value)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f'{name} is {value!r}. It must be like {before!r}.') from error


def _listed(values: Mapping[str, ParameterValue]) -> str:
    return ', '.join(f'{name} = {value}' for name, value in values.items())

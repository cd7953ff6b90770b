# SPDX-License-Identifier: Apache-2.0
"""How the executors of each distribution's rclpy call what a node has given them.

Re-enacted from their sources: rclpy/executors.py and subscription.py of Humble (3.3.15), Jazzy
(7.1.6), Kilted (9.1.2) and, for Lyrical, of rolling (01352d6). Of these CI has Jazzy and Kilted.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

__all__ = ['RULES', 'CallbackRules', 'TimerInfo']

INFO = {'source_timestamp': 7, 'received_timestamp': 9, 'publication_sequence_number': 1}


class TimerInfo:
    """What Kilted's rclpy gives to a timer's callback that has an argument annotated so."""


def message_alone(callback: Callable[..., Any], message: Any) -> None:
    """Humble, executors.py: ``await_or_execute(sub.callback, msg)``."""
    callback(message)


def info_for_those_who_need_it(callback: Callable[..., Any], message: Any) -> None:
    """Since Iron, subscription.py: one argument is bound first, two where that does not go."""
    signature = inspect.signature(callback)
    try:
        signature.bind(object())
    except TypeError:
        signature.bind(object(), object())
        callback(message, INFO)
    else:
        callback(message)


def nothing(callback: Callable[..., Any]) -> None:
    """Humble and Jazzy: a timer's callback gets nothing."""
    callback()


def timer_info_where_annotated(callback: Callable[..., Any]) -> None:
    """Since Kilted: the argument that is annotated as TimerInfo is filled."""
    for name, row in inspect.signature(callback).parameters.items():
        if row.annotation in (TimerInfo, 'TimerInfo'):
            callback(**{name: TimerInfo()})
            return
    callback()


class CallbackRules(NamedTuple):
    """Of one distribution.

    Attributes:
        has_info: Whether subscriptions can have the info of a message at all.
        subscription: Calls a callback with a message.
        timer: Calls a callback.
    """

    has_info: bool
    subscription: Callable[[Callable[..., Any], Any], None]
    timer: Callable[[Callable[..., Any]], None]


RULES = {
    'humble': CallbackRules(False, message_alone, nothing),
    'jazzy': CallbackRules(True, info_for_those_who_need_it, nothing),
    'kilted': CallbackRules(True, info_for_those_who_need_it, timer_info_where_annotated),
    'lyrical': CallbackRules(True, info_for_those_who_need_it, timer_info_where_annotated),
}

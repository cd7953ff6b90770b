# SPDX-License-Identifier: Apache-2.0
"""Who may ask the server of the view, and who may change something."""

from __future__ import annotations

from email.message import Message

import pytest

from seg_ros.commands.view.guard import Guard, is_loopback

HERE = '127.0.0.1:8642'


def headers(**rows: str) -> Message:
    message = Message()
    for name, value in rows.items():
        message[name.replace('_', '-')] = value
    return message


@pytest.mark.parametrize('host', [HERE, 'localhost:8642', '[::1]:8642', 'localhost'])
def test_our_own_names_are_answered(host: str) -> None:
    assert Guard.of('127.0.0.1', may_set=False).refusal(headers(Host=host)) == ''


@pytest.mark.parametrize('host', ['evil.example:8642', '', '192.168.1.7:8642'])
def test_a_name_that_was_bound_to_this_machine_by_somebody_else_is_refused(host: str) -> None:
    guard = Guard.of('127.0.0.1', may_set=False)
    assert 'none of the names' in guard.refusal(headers(Host=host))


def test_a_server_on_the_network_is_asked_for_by_its_address_but_by_no_foreign_name() -> None:
    guard = Guard.of('0.0.0.0', may_set=False)
    assert guard.refusal(headers(Host='192.168.1.7:8642')) == ''
    assert guard.refusal(headers(Host='rebound.example:8642'))


@pytest.mark.parametrize('origin', ['http://evil.example', 'null', 'https://127.0.0.1:8642'])
def test_the_page_of_another_site_is_refused(origin: str) -> None:
    guard = Guard.of('127.0.0.1', may_set=True)
    assert 'may not ask' in guard.refusal(headers(Host=HERE, Origin=origin))
    assert guard.refusal(headers(Host=HERE, Origin=f'http://{HERE}')) == ''


def test_nothing_is_set_unless_it_is_allowed() -> None:
    guard = Guard.of('127.0.0.1', may_set=False)
    assert '--allow-set' in guard.refusal_to_set(headers(Host=HERE))


def test_on_the_network_nothing_is_set_without_the_token() -> None:
    guard = Guard.of('0.0.0.0', may_set=True)
    assert len(guard.token) > 16
    assert 'token' in guard.refusal_to_set(headers(Host='192.168.1.7'))
    assert guard.refusal_to_set(headers(X_Seg_Ros_Token='wrong'))
    assert guard.refusal_to_set(headers(X_Seg_Ros_Token='ä'))
    assert guard.refusal_to_set(headers(X_Seg_Ros_Token=guard.token)) == ''


def test_two_starts_have_two_tokens_and_this_machine_alone_needs_none() -> None:
    assert Guard.of('0.0.0.0', may_set=True).token != Guard.of('0.0.0.0', may_set=True).token
    assert Guard.of('127.0.0.1', may_set=True).token == ''
    assert is_loopback('::1')
    assert not is_loopback('robot.local')

# SPDX-License-Identifier: Apache-2.0
"""A ROS graph of a command's own, on this machine alone.

Whoever tries a demo in the terminal of a robot must not say go in the robot's name.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from typing import NamedTuple

__all__ = ['OwnGraph', 'has_participants', 'own_graph']

FIRST_DOMAIN = 1  # 0 is where everybody is who has exported nothing
LAST_DOMAIN = 101  # up to here DDS leaves the ephemeral ports alone on every system
# Where the first participant of a domain listens (RTPS 2.5, 9.6.2.4): one of each number
FIRST_PORT, PORTS_A_DOMAIN = 7410, 250
# By which a process would be led out of a domain of its own, or out of this machine
ELSEWHERE = ('ROS_DISCOVERY_SERVER', 'ROS_SUPER_CLIENT', 'ROS_STATIC_PEERS')


class OwnGraph(NamedTuple):
    """Where a command's processes meet.

    Attributes:
        environment: Of the processes.
        domain_id: Their DDS domain.
        warning: What of the user's environment is not followed, a sentence; empty for nothing.
    """

    environment: Mapping[str, str]
    domain_id: int
    warning: str


def own_graph(
    environment: Mapping[str, str],
    process_id: int,
    is_taken: Callable[[int], bool] | None = None,
) -> OwnGraph:
    """Returns a graph that nobody else is in, whatever the user has exported.

    Args:
        environment: Of this process.
        process_id: The same; two commands that begin at once begin to look at two places.
        is_taken: Whether a domain has participants on this machine already; by default asks it.
    """
    exported = environment.get('ROS_DOMAIN_ID', '')
    is_taken = is_taken or has_participants
    count = LAST_DOMAIN - FIRST_DOMAIN + 1
    domains = [FIRST_DOMAIN + (process_id + step) % count for step in range(count)]
    strange = [row for row in domains if exported != str(row)]
    domain_id = next((row for row in strange if not is_taken(row)), strange[0])
    own = {name: value for name, value in environment.items() if name not in ELSEWHERE}
    own |= {'ROS_DOMAIN_ID': str(domain_id), 'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST'}
    names = ('ROS_DOMAIN_ID', *ELSEWHERE)
    ignored = [f'{name}={environment[name]}' for name in names if environment.get(name)]
    warning = ''
    if ignored:
        warning = (
            f'{", ".join(ignored)} is exported and not followed: this runs in domain {domain_id} '
            'of its own, on this machine alone, so that no robot takes it for its own node.'
        )
    return OwnGraph(own, domain_id, warning)


def has_participants(domain_id: int) -> bool:
    """Returns whether a process of this machine is in a domain, by the port that the first has."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(('', FIRST_PORT + PORTS_A_DOMAIN * domain_id))
        except OSError:
            return True
    return False

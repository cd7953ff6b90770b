# SPDX-License-Identifier: Apache-2.0
"""A ROS graph of a command's own, on this machine alone.

Whoever tries a demo in the terminal of a robot must not say go in the robot's name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

__all__ = ['OwnGraph', 'own_graph']

FIRST_DOMAIN = 1  # 0 is where everybody is who has exported nothing
LAST_DOMAIN = 101  # up to here DDS leaves the ephemeral ports alone on every system
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


def own_graph(environment: Mapping[str, str], process_id: int) -> OwnGraph:
    """Returns a graph that nobody else is in, whatever the user has exported.

    Args:
        environment: Of this process.
        process_id: The same; two commands at once get two graphs.
    """
    exported = environment.get('ROS_DOMAIN_ID', '')
    count = LAST_DOMAIN - FIRST_DOMAIN + 1
    domain_id = FIRST_DOMAIN + process_id % count
    if exported == str(domain_id):
        domain_id = FIRST_DOMAIN + (process_id + 1) % count
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

# SPDX-License-Identifier: Apache-2.0
"""Who may ask: the checks of a request before anything is answered.

A page of somebody else, open in the same browser, can send requests to this machine. It cannot
choose their Host and Origin, so that these two tell it from our own page: Host against DNS
rebinding, Origin against requests from other sites.
"""

from __future__ import annotations

import hmac
import ipaddress
import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ['Guard', 'is_loopback']

LOOPBACK_NAMES = ('localhost', 'ip6-localhost')
TOKEN_HEADER = 'X-Seg-Ros-Token'  # noqa: S105  the name of a header


@dataclass(frozen=True)
class Guard:
    """Answers why a request is refused.

    Attributes:
        host: What the server is bound to.
        names: Names of this machine by which it may be asked for.
        may_set: Whether anything may be changed at all.
        token: Without it nothing is changed; empty where none is needed.
    """

    host: str
    names: tuple[str, ...]
    may_set: bool = False
    token: str = ''

    @classmethod
    def of(cls, host: str, *, may_set: bool) -> Guard:
        """Returns the guard of a server that is bound to an address of this machine."""
        name = socket.gethostname().lower()
        names = (*LOOPBACK_NAMES, name, f'{name}.local', host.lower())
        token = secrets.token_urlsafe(16) if may_set and not is_loopback(host) else ''
        return cls(host, names, may_set, token)

    def refusal(self, headers: Mapping[str, str]) -> str:
        """Returns why nothing is answered at all, a sentence; empty where it is."""
        host = name_of(headers.get('Host', ''))
        if host not in self.names and not self._is_our_address(host):
            return (
                f'Host {host or "(none)"} is none of the names of this server. Ask for it by its '
                f'address or as one of {", ".join(sorted(set(self.names)))}.'
            )
        origin = headers.get('Origin')
        if origin is not None and origin != f'http://{headers.get("Host", "")}':
            return f'A page of {origin} may not ask this server. Open its own page.'
        return ''

    def refusal_to_set(self, headers: Mapping[str, str]) -> str:
        """Returns why nothing is changed, a sentence; empty where it is."""
        if not self.may_set:
            return 'Nothing can be set here. Start it again with: seg_ros view --allow-set'
        if self.token and not hmac.compare_digest(
            self.token.encode(), headers.get(TOKEN_HEADER, '').encode()
        ):
            return (
                'The token is missing or wrong. Open the address that seg_ros view printed when '
                'it started, with all that stands behind #.'
            )
        return ''

    def _is_our_address(self, host: str) -> bool:
        """Whether it is an address, which no name server has a say in."""
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return False
        return address.is_loopback if is_loopback(self.host) else True


def is_loopback(host: str) -> bool:
    """Returns whether only this machine can reach an address."""
    if host.lower() in LOOPBACK_NAMES:
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def name_of(host: str) -> str:
    """Returns the name in a Host header, without its port and without the brackets of IPv6."""
    if host.startswith('['):
        return host[1:].partition(']')[0].lower()
    return host.rpartition(':')[0].lower() if ':' in host else host.lower()

# SPDX-License-Identifier: Apache-2.0
"""From the node to the process that speaks for it: the newest verdict, and when it was made.

A pair of sockets that keep the bounds of messages. Of memory that both share, a reader could see a
half of a verdict, and would have to look again and again whether the writer is still there; of a
socket the kernel tells at once that the other side is gone, killed or not.
"""

from __future__ import annotations

import json
import select
import socket
import time
from typing import NamedTuple

__all__ = ['HeartbeatLink', 'HeartbeatVerdict', 'Statuses', 'linked_pair']

Statuses = tuple[tuple[str, bytes], ...]
"""Topics, and what is to be published there, serialised."""

MOST_BYTES = 1 << 16
MS_PER_S = 1000.0
END = b'end'


class HeartbeatVerdict(NamedTuple):
    """A verdict of the node.

    Attributes:
        at_ns: When it was made, by the steady clock, which all processes share.
        stop: What it says.
        statuses: Why.
    """

    at_ns: int
    stop: bool
    statuses: Statuses

    def to_bytes(self) -> bytes:
        """Returns a line of JSON and what is serialised behind it."""
        sizes = [(topic, len(status)) for topic, status in self.statuses]
        head = json.dumps([self.at_ns, self.stop, sizes]).encode()
        return b'\n'.join([head, b''.join(status for _, status in self.statuses)])

    @classmethod
    def from_bytes(cls, data: bytes) -> HeartbeatVerdict:
        """Reads what ``to_bytes`` made.

        Raises:
            ValueError: It made something else.
        """
        head, _, body = data.partition(b'\n')
        statuses, begin = [], 0
        try:
            at_ns, stop, sizes = json.loads(head)
            for topic, size in sizes:
                statuses.append((str(topic), body[begin : begin + size]))
                begin += size
        except (ValueError, TypeError) as error:
            raise ValueError(f'This is no beat: {head!r}') from error
        if not (isinstance(at_ns, int) and isinstance(stop, bool) and begin == len(body)):
            raise ValueError(f'This is no beat: {head!r}')
        return cls(at_ns, stop, tuple(statuses))


class HeartbeatLink:
    """One end of it.

    Args:
        end: Of ``linked_pair``.

    Attributes:
        is_over: Whether the other side is gone; ``was_told``, if it said so before.
    """

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._end.setblocking(False)
        self.is_over = False
        self.was_told = False

    def fileno(self) -> int:
        """The descriptor, for a child to inherit."""
        return self._end.fileno()

    def send(self, beat: HeartbeatVerdict) -> bool:
        """Sends a verdict; returns whether anybody is there.

        A reader that has stopped and whose queue is full misses it: what it finds there when it
        goes on is old, and it sees that.
        """
        return self._send(beat.to_bytes())

    def end(self) -> None:
        """Says that no verdict will come any more."""
        self._send(END)

    def close(self) -> None:
        self._end.close()

    def receive(self, timeout_s: float) -> HeartbeatVerdict | None:
        """Returns the newest verdict that has come, None where none came in time."""
        if self.is_over:
            time.sleep(max(0.0, timeout_s))
            return None
        poll = select.poll()  # select takes no descriptor above 1023
        poll.register(self._end, select.POLLIN)
        readable = poll.poll(max(0.0, timeout_s) * MS_PER_S)
        newest: HeartbeatVerdict | None = None
        while readable and not self.is_over:
            try:
                data = self._end.recv(MOST_BYTES)
            except BlockingIOError:
                break
            except OSError:
                data = b''
            self.was_told = self.was_told or data == END
            self.is_over = data in (b'', END)
            if not self.is_over:
                newest = HeartbeatVerdict.from_bytes(data)
        return newest

    def _send(self, data: bytes) -> bool:
        try:
            self._end.send(data)
        except BlockingIOError:
            pass
        except OSError:
            return False
        return True


def linked_pair() -> tuple[socket.socket, socket.socket]:
    """Returns two ends."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)

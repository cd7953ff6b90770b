# SPDX-License-Identifier: Apache-2.0
"""The server of the page: Server-Sent Events with what is seen, pictures, and a few requests.

A viewer is an open stream of events: while there is one, the graph is listened to. Of each view
the page gets a small JSON; it fetches the picture once it has drawn the one before, so that a slow
phone leaves pictures out and is never behind.
"""

from __future__ import annotations

import base64
import json
import socket
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

from seg_ros.commands.view.audience import Audience, LiveView, TooMany
from seg_ros.commands.view.guard import Guard
from seg_ros.core.errors import ConfigurationError, SegRosError

__all__ = ['NotConfirmed', 'ViewServer']

RESOURCES = Path(__file__).parents[2] / 'resource'
FILES = {
    '/': ('view.html', 'text/html; charset=utf-8'),
    '/view.css': ('view.css', 'text/css; charset=utf-8'),
    '/view.js': ('view.js', 'text/javascript; charset=utf-8'),
}
HEADERS = {
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
    'Referrer-Policy': 'no-referrer',
    'Cross-Origin-Resource-Policy': 'same-origin',
    'Content-Security-Policy': "default-src 'self'; img-src 'self' data: blob:; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
}
QUIET_S = 1.0  # without a new view the stream says that it lives, and notices who has left
STILL_S = 8.0  # so long a still waits for a picture and a stop
SOCKET_TIMEOUT_S = 20.0  # who does not read for so long has left
MOST_BYTES = 64 << 10  # of a request


class NotConfirmed(SegRosError):
    """What is asked for may only be done once somebody has said that it is meant."""


Do = Callable[[Mapping[str, Any]], Any]


class ViewServer(ThreadingHTTPServer):
    """Serves the page until it is closed.

    Args:
        address: Host and port; port 0 takes a free one.
        audience: Who looks, and at what.
        guard: Who may.
        asked: What a page may ask for by POST, by path.
        told: What it may read, by path.
        setting: Which of ``asked`` changes something.
    """

    daemon_threads = True  # a stream of events never ends by itself
    allow_reuse_address = True

    def __init__(
        self,
        address: tuple[str, int],
        audience: Audience,
        guard: Guard,
        asked: Mapping[str, Do],
        told: Mapping[str, Do],
        setting: frozenset[str] = frozenset(),
    ) -> None:
        self.audience, self.guard = audience, guard
        self.asked, self.told, self.setting = asked, told, setting
        self.address_family = socket.AF_INET6 if ':' in address[0] else socket.AF_INET
        super().__init__(address, Visit)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Says nothing of those who close their page in the middle of an answer."""


class Visit(BaseHTTPRequestHandler):
    """One connection."""

    server: ViewServer
    protocol_version = 'HTTP/1.1'  # one connection for many pictures
    timeout = SOCKET_TIMEOUT_S
    server_version, sys_version = 'seg_ros', ''
    disable_nagle_algorithm = True
    wbufsize = -1  # header and body of an answer in one packet
    _routes: ClassVar[dict[str, str]] = {
        '/events': '_events',
        '/picture': '_picture',
        '/still': '_still',
    }

    def do_GET(self) -> None:
        if not self._is_refused():
            url = urlsplit(self.path)
            query = {name: row[-1] for name, row in parse_qs(url.query).items()}
            if url.path in FILES:
                name, kind = FILES[url.path]
                self._answer((RESOURCES / name).read_bytes(), kind)
            elif url.path in self._routes:
                getattr(self, self._routes[url.path])(query.get('camera', ''), query)
            elif url.path in self.server.told:
                self._do(self.server.told[url.path], query)
            else:
                self._refuse(HTTPStatus.NOT_FOUND, f'There is no {url.path} here. Go to /.')

    def do_POST(self) -> None:
        path = urlsplit(self.path).path
        if self._is_refused():
            return
        if path not in self.server.asked:
            self._refuse(HTTPStatus.NOT_FOUND, f'Nothing can be asked of {path}.')
            return
        if path in self.server.setting:
            reason = self.server.guard.refusal_to_set(self.headers)  # type: ignore[arg-type]
            if reason:
                self._refuse(HTTPStatus.FORBIDDEN, reason)
                return
        body = self._body()
        if body is not None:
            self._do(self.server.asked[path], body)

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002
        """Keeps the terminal for what matters."""

    def _is_refused(self) -> bool:
        reason = self.server.guard.refusal(self.headers)  # type: ignore[arg-type]
        if reason:
            self._refuse(HTTPStatus.FORBIDDEN, reason)
        return bool(reason)

    def _body(self) -> Mapping[str, Any] | None:
        """The JSON of a request; None where it was refused."""
        # A form of another site cannot send this type without asking first (CORS)
        if self.headers.get_content_type() != 'application/json':
            self._refuse(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, 'Send application/json.')
            return None
        length = self.headers.get('Content-Length', '')
        if not length.isdigit() or int(length) > MOST_BYTES:
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f'Send {MOST_BYTES} bytes at most.')
            return None
        try:
            body = json.loads(self.rfile.read(int(length)))
        except ValueError as error:
            self._refuse(HTTPStatus.BAD_REQUEST, f'This is no JSON: {error}.')
            return None
        if not isinstance(body, dict):
            self._refuse(HTTPStatus.BAD_REQUEST, 'Send an object.')
            return None
        return body

    def _do(self, do: Do, what: Mapping[str, Any]) -> None:
        try:
            self._answer_json(do(what))
        except NotConfirmed as error:
            self._refuse(HTTPStatus.CONFLICT, str(error))
        except ConfigurationError as error:
            self._refuse(HTTPStatus.BAD_REQUEST, str(error))
        except SegRosError as error:
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, str(error))

    def _events(self, camera: str, _query: Mapping[str, str]) -> None:
        audience = self.server.audience
        try:
            with audience.seat(camera):
                self._begin(HTTPStatus.OK, {'Content-Type': 'text/event-stream'}, stream=True)
                after = 0
                while True:
                    view = audience.next(camera, after, QUIET_S)
                    if view is None:
                        self._send(b': nothing new\n\n')
                        continue
                    after = view.number
                    scene = {**view.scene, 'picture_number': view.picture_number}
                    self._send(b'data: %b\n\n' % _json(scene))
        except TooMany as error:
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, str(error))
        except OSError:
            self.close_connection = True  # the page was closed

    def _picture(self, camera: str, _query: Mapping[str, str]) -> None:
        picture = self.server.audience.newest(camera).picture
        if picture:
            self._answer(picture, 'image/jpeg')
        else:
            self._refuse(HTTPStatus.NOT_FOUND, 'No picture has come yet.')

    def _still(self, camera: str, _query: Mapping[str, str]) -> None:
        """The page as it is now, in one file that needs nothing else."""
        audience = self.server.audience
        try:
            with audience.seat(camera):
                view = self._complete_view(camera)
        except TooMany as error:
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, str(error))
            return
        self._answer(still_of(view).encode(), 'text/html; charset=utf-8', {
            'Content-Disposition': 'inline; filename="view.html"',
            'Content-Security-Policy': "default-src 'none'; img-src data: blob:; connect-src "
            "data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'",
        })  # fmt: skip

    def _complete_view(self, camera: str) -> LiveView:
        """A view with a picture and a stop; the newest one where that takes too long."""
        audience = self.server.audience
        view, waited_s = audience.newest(camera), 0.0
        while waited_s < STILL_S and not is_complete(view):
            newer = audience.next(camera, view.number, QUIET_S)
            waited_s += QUIET_S if newer is None else 0.2
            view = newer or view
        return view

    def _answer_json(self, value: Any) -> None:
        self._answer(_json(value), 'application/json')

    def _refuse(self, status: HTTPStatus, reason: str) -> None:
        self.close_connection = True  # what else was sent is not read
        self._answer(_json({'error': reason}), 'application/json', status=status)

    def _answer(
        self,
        data: bytes,
        kind: str,
        headers: Mapping[str, str] | None = None,
        status: HTTPStatus = HTTPStatus.OK,
    ) -> None:
        about = {'Content-Type': kind, 'Content-Length': str(len(data)), **(headers or {})}
        self._begin(status, about)
        self._send(data)

    def _begin(
        self, status: HTTPStatus, headers: Mapping[str, str], *, stream: bool = False
    ) -> None:
        self.send_response(status)
        for name, value in {**HEADERS, **headers}.items():
            self.send_header(name, value)
        if stream or self.close_connection:
            self.send_header('Connection', 'close')
            self.close_connection = True
        self.end_headers()

    def _send(self, data: bytes) -> None:
        self.wfile.write(data)
        self.wfile.flush()


def is_complete(view: LiveView) -> bool:
    """Returns whether a view shows all that the page is for."""
    scene = view.scene
    is_heard = bool(scene and scene['stop']['cause'] != 'silence' and scene['lane'])
    return bool(is_heard and view.picture and scene['ground']['known'])


def still_of(view: LiveView) -> str:
    """Returns the page with one view in it, as one file that needs nothing else."""
    html, css, script = (
        (RESOURCES / FILES[path][0]).read_text(encoding='utf-8')
        for path in ('/', '/view.css', '/view.js')
    )
    picture = base64.b64encode(view.picture).decode()
    data = {
        **view.scene,
        'picture_number': view.picture_number,
        'picture_data': f'data:image/jpeg;base64,{picture}' if picture else '',
    }
    text = _json(data).decode().replace('<', '\\u003c')
    html = html.replace('<link rel="stylesheet" href="view.css">', f'<style>\n{css}</style>')
    return html.replace(
        '<script src="view.js"></script>',
        f'<script type="application/json" id="still">{text}</script>\n<script>\n{script}</script>',
    )


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(',', ':'), allow_nan=False).encode()

# SPDX-License-Identifier: Apache-2.0
"""``seg_ros view`` against the real node: over HTTP, and in a real browser where there is one."""

from __future__ import annotations

import http.client
import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from test.commands.view.conftest import Serve
from test.ros.drive import Drive
from test.ros.graph import wait_for
from test.ros.mounted_camera import person_at
from test.ros.processes import started_on

BROWSER = shutil.which('chromium') or shutil.which('google-chrome')
OVERLAY = '/segmentation/overlay/compressed'

in_a_browser = pytest.mark.skipif(
    BROWSER is None, reason='needs a browser: apt-get install chromium'
)

Answer = tuple[int, Any]


def ask(port: int, path: str, body: Any = None, **headers: str) -> Answer:
    """Returns the status and what came, as JSON where it is."""
    connection = http.client.HTTPConnection('127.0.0.1', port, timeout=30.0)
    sent = {name.replace('_', '-'): value for name, value in headers.items()}
    if body is None:
        connection.request('GET', path, headers=sent)
    else:
        sent = {'Content-Type': 'application/json', **sent}
        connection.request('POST', path, json.dumps(body), headers=sent)
    answer = connection.getresponse()
    data = answer.read()
    connection.close()
    is_json = answer.headers.get_content_type() == 'application/json'
    return answer.status, json.loads(data) if is_json else data


class Events:
    """An open stream of events."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection('127.0.0.1', port, timeout=30.0)
        self._connection.request('GET', '/events')
        self._stream = self._connection.getresponse()

    def until(self, condition: Callable[[Any], Any]) -> Any:
        """Returns the first scene for which a condition holds."""

        def next_scene() -> Any:
            line = self._stream.readline()
            if not line.startswith(b'data: '):
                return None
            scene = json.loads(line[6:])
            return scene if condition(scene) else None

        return wait_for(next_scene, 'a scene like that')

    def close(self) -> None:
        self._stream.close()
        self._connection.close()


@pytest.fixture
def looking() -> Iterator[Callable[[int], Events]]:
    opened: list[Events] = []

    def look(port: int) -> Events:
        opened.append(Events(port))
        return opened[-1]

    yield look
    for events in opened:
        events.close()


def test_the_stop_its_reason_and_the_picture_are_served(
    drive: Drive, serve: Serve, looking: Callable[[int], Events]
) -> None:
    port = serve()
    events = looking(port)
    scene = events.until(
        lambda row: (
            row['stop']['cause'] == 'person'
            and row['picture_number']
            and row['picture']['people']
            and row['ground']['known']
        )
    )
    assert scene['node'] == '/segmentation'
    assert 'person' in scene['stop']['reason']
    assert scene['picture']['zone']
    assert scene['ground']['zone']
    status, picture = ask(port, '/picture')
    assert status == 200
    assert picture[:2] == b'\xff\xd8'
    _, still = ask(port, '/still')
    assert b'id="still"' in still
    assert b'src="view.js"' not in still


def test_while_nobody_looks_nothing_is_subscribed_to(
    drive: Drive, serve: Serve, looking: Callable[[int], Events]
) -> None:
    port, peer = serve(), drive.graph.peer
    wait_for(lambda: 'view' in peer.get_node_names(), 'the view is on the graph')
    assert peer.count_subscribers(OVERLAY) == 0
    events = looking(port)
    wait_for(lambda: peer.count_subscribers(OVERLAY) == 1, 'somebody looks')
    events.close()
    wait_for(lambda: peer.count_subscribers(OVERLAY) == 0, 'nobody looks any more')


def test_without_a_node_the_page_says_silence_and_stop(
    domain_id: int, serve: Serve, looking: Callable[[int], Events]
) -> None:
    scene = looking(serve('--node', '/nobody')).until(bool)
    assert (scene['stop']['stop'], scene['stop']['cause']) == (True, 'silence')
    assert 'no node /nobody' in scene['stop']['reason']


def test_a_foreign_name_site_or_content_is_refused(serve: Serve) -> None:
    port = serve('--allow-set')
    assert ask(port, '/', Host='rebound.example')[0] == 403
    assert ask(port, '/picture', Origin='http://evil.example')[0] == 403
    change = {'parameters': {'stop.hold_s': 0.0}}
    assert ask(port, '/apply', change, Origin='http://evil.example')[0] == 403
    assert ask(port, '/apply', change, Content_Type='text/plain')[0] == 415
    assert ask(port, '/nothing')[0] == 404
    assert ask(port, '/../../etc/passwd')[0] == 404


def test_nothing_is_changed_unless_that_is_allowed(drive: Drive, serve: Serve) -> None:
    status, answer = ask(serve(), '/apply', {'parameters': {'stop.hold_s': 0.0}})
    assert status == 403
    assert '--allow-set' in answer['error']
    assert drive.graph.nodes[0].config.stop.hold_s == 1.0


def test_a_zone_is_applied_to_a_standing_vehicle_and_to_a_moving_one_only_when_confirmed(
    drive: Drive, serve: Serve, looking: Callable[[int], Events]
) -> None:
    node = drive.graph.nodes[0]
    port = serve('--allow-set')
    events = looking(port)
    corners = [[0.2, 1.0], [0.4, 0.6], [0.6, 0.6], [0.8, 1.0]]
    body = {'drawings': [{'kind': 'stop_zone', 'frame': 'image', 'corners': corners}]}
    events.until(lambda row: row['cameras'])
    status, answer = ask(port, '/apply', body)
    assert (status, 'Nobody says how fast' in answer['error']) == (409, True)

    drive.odometry, drive.speed_mps = True, 2.0
    events.until(lambda row: row['speed_mps'] == 2.0)
    status, answer = ask(port, '/apply', body)
    assert (status, 'moves, at 2.0 m/s' in answer['error']) == (409, True)
    assert node.config.stop.zone == 'polygon'

    drive.speed_mps = 0.0
    events.until(lambda row: row['speed_mps'] == 0.0)
    assert ask(port, '/apply', body)[0] == 200
    assert node.config.stop.zone == 'image'
    assert node.config.stop.image_polygon[:4] == (0.2, 1.0, 0.4, 0.6)
    events.until(lambda row: row['picture']['zone'] == corners)

    drive.speed_mps = 2.0
    events.until(lambda row: row['speed_mps'] == 2.0)
    change = {'parameters': {'stop.hold_s': 2.5}}
    assert ask(port, '/apply', change)[0] == 409
    assert ask(port, '/apply', {**change, 'confirmed': True})[0] == 200
    assert node.config.stop.hold_s == 2.5


def test_a_change_that_the_node_refuses_changes_nothing(
    drive: Drive, serve: Serve, looking: Callable[[int], Events]
) -> None:
    port = serve('--allow-set')
    looking(port).until(lambda row: row['cameras'])
    body = {'parameters': {'engine': 'no such engine'}, 'confirmed': True}
    status, answer = ask(port, '/apply', body)
    assert status == 400
    assert 'as it was' in answer['error']
    wait_for(lambda: drive.graph.nodes[0].inputs, 'the node is active again')
    assert drive.graph.nodes[0].config.engine != 'no such engine'


@pytest.fixture
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=BROWSER, args=['--no-sandbox'])
        yield made
        made.close()


def opened(browser: Any, port: int, width: int = 1280, scheme: str = 'light') -> Any:
    """The page; it must ask for nothing from elsewhere, and say no error."""
    page = browser.new_page(viewport={'width': width, 'height': 900}, color_scheme=scheme)
    page.wrong = []
    page.on('pageerror', lambda error: page.wrong.append(str(error)))
    page.on('console', lambda row: page.wrong.append(row.text) if row.type == 'error' else None)
    ours = f'http://127.0.0.1:{port}/'
    page.on(
        'request',
        lambda row: row.url.startswith((ours, 'data:', 'blob:')) or page.wrong.append(row.url),
    )
    page.goto(ours)
    return page


@in_a_browser
def test_the_page_says_stop_and_why_and_go_once_the_way_is_clear(
    drive: Drive, serve: Serve, browser: Any, tmp_path: Path
) -> None:
    port = serve()
    for width, scheme in ((1280, 'light'), (400, 'dark')):
        page = opened(browser, port, width, scheme)
        page.wait_for_selector('#stop.person', timeout=60_000)
        assert page.inner_text('#word') == 'STOP'
        assert 'person' in page.inner_text('#reason').lower()
        page.wait_for_function('() => document.getElementById("picture").width > 0 && bitmap')
        # Nothing sticks out to the side
        assert page.evaluate('document.documentElement.scrollWidth') <= width
        colours = page.evaluate(
            'new Set(document.getElementById("picture").getContext("2d")'
            '.getImageData(0, 0, 300, 150).data).size'
        )
        assert colours > 10  # a picture is drawn
        assert page.wrong == []
        page.close()
    page = opened(browser, port)
    drive.image = person_at(8.0, 30.0)
    page.wait_for_selector('#stop.clear', timeout=60_000)
    assert page.inner_text('#word') == 'GO'
    drive.graph.destroy(drive.graph.nodes[0])
    page.wait_for_selector('#stop.silence', timeout=60_000)
    assert 'Stop' in page.inner_text('#reason')
    assert page.wrong == []


@in_a_browser
def test_a_page_whose_server_is_gone_says_stop(
    domain_id: int, drive: Drive, browser: Any, tmp_path: Path
) -> None:
    log = tmp_path / 'ended.log'
    with started_on(domain_id, log, ['seg_ros.cli', 'view', '--port', '0']) as start:
        process = start()
        found = wait_for(
            lambda: log.exists() and re.search(r':(\d+)/', log.read_text()), 'the address'
        )
        page = opened(browser, int(found[1]))
        page.wait_for_selector('#stop.person', timeout=60_000)
        process.terminate()
        process.wait()
        page.wait_for_selector('#stop.silence', timeout=60_000)
        assert 'nothing has come' in page.inner_text('#reason').lower()


@in_a_browser
def test_zones_are_drawn_with_the_mouse_and_saved_as_a_params_file(
    drive: Drive, serve: Serve, browser: Any, tmp_path: Path
) -> None:
    page = opened(browser, serve())
    page.wait_for_function('() => scene && scene.cameras.length && bitmap', timeout=60_000)
    page.click('button[data-kind=ego_mask]')
    box = page.locator('#picture').bounding_box()
    for u, v in ((0.25, 0.875), (0.5, 0.75), (0.75, 0.875)):
        page.mouse.click(box['x'] + u * box['width'], box['y'] + v * box['height'])
    page.click('button[data-kind=watched_zone]')
    page.fill('#name', 'door')
    ground = page.locator('#ground').bounding_box()
    for u, v in ((0.4, 0.4), (0.6, 0.4), (0.5, 0.7)):
        page.mouse.click(ground['x'] + u * ground['width'], ground['y'] + v * ground['height'])
    page.wait_for_selector('#save:enabled')
    with page.expect_download() as download:
        page.click('#save')
    path = tmp_path / 'zones.yaml'
    download.value.save_as(path)
    text = path.read_text()
    mask = json.loads(re.search(r'stop\.ego_mask: (.+)', text)[1])  # type: ignore[index]
    assert mask == pytest.approx([0.25, 0.875, 0.5, 0.75, 0.75, 0.875], abs=0.005)
    assert 'zones.names: [door]' in text
    assert 'ground 1' in text
    assert page.is_hidden('#apply')  # without --allow-set

    # The node takes the file as it is
    node = drive.graph.node(started=False, cli_args=['--ros-args', '--params-file', str(path)])
    assert node.config.stop.ego_mask == pytest.approx(mask)
    assert node.config.zones.names == ('door',)
    assert page.wrong == []


@in_a_browser
def test_a_still_shows_the_same_without_a_server(
    drive: Drive, serve: Serve, browser: Any, tmp_path: Path
) -> None:
    port = serve()
    _, data = ask(port, '/still')
    (tmp_path / 'still.html').write_bytes(data)
    page = browser.new_page(viewport={'width': 1280, 'height': 900})
    page.goto((tmp_path / 'still.html').as_uri())
    page.wait_for_function('() => bitmap')
    assert page.inner_text('#word') == 'STOP'
    assert page.is_hidden('#tools')

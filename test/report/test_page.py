# SPDX-License-Identifier: Apache-2.0
"""The page of a report in a real browser: drawn, pointed at, zoomed, without any network."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from seg_ros.cli import main
from test.report.drives import drive_bag

BROWSER = shutil.which('chromium') or shutil.which('google-chrome')

pytestmark = pytest.mark.skipif(
    BROWSER is None, reason='needs a browser: apt-get install chromium'
)


@pytest.fixture(scope='module')
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=BROWSER, args=['--no-sandbox'])
        yield made
        made.close()


@pytest.fixture(scope='module')
def bags(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp('bags')
    return (
        drive_bag(folder / 'a'),
        drive_bag(folder / 'b', person=range(10, 14), fault=range(20, 30), dropped=(35,)),
    )


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A page that may ask for nothing but itself, and must not fail."""
    made = browser.new_page(viewport={'width': 1400, 'height': 1000})
    wrong: list[str] = []
    made.on('pageerror', lambda error: wrong.append(str(error)))
    made.on('console', lambda row: wrong.append(row.text) if row.type == 'error' else None)
    made.on('request', lambda row: row.url.startswith(('file:', 'data:')) or wrong.append(row.url))
    yield made
    made.close()
    assert not wrong


def opened(page: Any, tmp_path: Path, *bags: Path) -> Any:
    assert main(['report', *map(str, bags), '-o', str(tmp_path)]) == 0
    page.goto((tmp_path / 'report.html').as_uri())
    return page


def test_the_page_shows_the_drive(page: Any, tmp_path: Path, bags: tuple[Path, Path]) -> None:
    opened(page, tmp_path, bags[1])
    assert page.locator('#verdict.bad').count() == 1
    names = page.locator('.row .name').all_inner_texts()
    for title in ('Stop', 'Lane', 'Nearest person', 'Lane offset', 'Classes', 'Latency'):
        assert any(name.startswith(title) for name in names)
    colours = page.locator('.row rect').evaluate_all(
        'rows => rows.map(r => r.getAttribute("fill"))'
    )
    assert {'#2e7d50', '#e53935', '#ab47bc'} <= set(colours)  # go, person, fault
    boxes = [row.bounding_box() for row in page.locator('.row path').all()]
    assert all(box is not None and box['width'] > 1.0 for box in boxes)
    assert page.locator('.moment').count() == page.locator('.pin').count() >= 2
    widths = page.locator('.moment img').evaluate_all('rows => rows.map(r => r.naturalWidth)')
    assert widths
    assert min(widths) > 0


@pytest.mark.parametrize('width', [1280, 400])
def test_no_two_times_of_the_axis_lie_upon_each_other_and_none_is_cut(
    page: Any, tmp_path: Path, bags: tuple[Path, Path], width: int
) -> None:
    page.set_viewport_size({'width': width, 'height': 900})
    opened(page, tmp_path, bags[1])
    left = page.locator('.axis .plot').bounding_box()['x']
    boxes = [row.bounding_box() for row in page.locator('.axis span').all()]
    assert len(boxes) >= 3
    assert boxes[0]['x'] >= left
    for before, after in itertools.pairwise(boxes):
        assert before['x'] + before['width'] + 4 <= after['x']


def test_the_pointer_tells_time_state_and_command(
    page: Any, tmp_path: Path, bags: tuple[Path, Path]
) -> None:
    opened(page, tmp_path, bags[1])
    box = page.locator('.row .plot').nth(1).bounding_box()
    begin_s, end_s = page.evaluate('[report.from_s, report.to_s]')
    x = box['x'] + box['width'] * (1.3 - begin_s) / (
        end_s - begin_s
    )  # in the middle of the person
    page.mouse.move(x, box['y'] + 5)
    said = page.locator('#say').inner_text()
    assert said.startswith('1.30 s')
    assert 'Stop: person since 1.1 s: because it is person' in said
    assert 'Nearest person 8.00 m' in said
    assert page.locator('#command').inner_text() == f'seg_ros play {bags[1]} --start 1.30'


def test_the_picture_of_the_moment_is_under_the_pointer_and_never_outside_of_the_page(
    page: Any, tmp_path: Path, bags: tuple[Path, Path]
) -> None:
    opened(page, tmp_path, bags[1])
    assert page.locator('img.thumb').is_hidden()
    box = page.locator('.row .plot').nth(1).bounding_box()
    for share in (0.02, 0.5, 0.98):
        x = box['x'] + share * box['width']
        page.mouse.move(x, box['y'] + 5)
        page.wait_for_function('document.querySelector("img.thumb").naturalWidth > 0')
        at = page.locator('img.thumb').bounding_box()
        assert at['x'] >= 0
        assert at['x'] + at['width'] <= 1400
        assert not at['x'] <= x <= at['x'] + at['width']
        shown_s = float(page.locator('img.thumb').get_attribute('data-at'))
        assert shown_s == pytest.approx(page.evaluate('pointed'), abs=0.11)  # 10 images a second
    page.mouse.move(box['x'] + 50, 5)
    assert page.locator('img.thumb').is_hidden()


@pytest.mark.parametrize('scheme', ['light', 'dark'])
def test_the_page_is_light_where_the_system_is_and_can_be_read_in_both(
    page: Any, tmp_path: Path, bags: tuple[Path, Path], scheme: str
) -> None:
    page.emulate_media(color_scheme=scheme)
    opened(page, tmp_path, bags[1])
    script = (
        'name => { const s = getComputedStyle(document.querySelector(name));'
        ' return [s.color, s.backgroundColor].map(c => c.match(/[0-9.]+/g).map(Number)); }'
    )
    text, ground = page.evaluate(script, 'body')
    assert (luminance(ground) > 0.5) == (scheme == 'light')
    pairs = [(text, ground)]
    for name in ('.verdict', '.tile', '.bar', 'button'):
        colour, behind = page.evaluate(script, name)
        pairs.append((colour, behind))
        pairs.append((page.evaluate(script, '.muted')[0], behind))
    assert min(contrast(*pair) for pair in pairs) >= 4.5  # WCAG 2.1, AA


def luminance(rgb: list[float]) -> float:
    parts = [v / 255 for v in rgb[:3]]
    red, green, blue = (v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(a: list[float], b: list[float]) -> float:
    dark, light = sorted((luminance(a), luminance(b)))
    return (light + 0.05) / (dark + 0.05)


def test_dragging_zooms_and_a_double_click_shows_all_again(
    page: Any, tmp_path: Path, bags: tuple[Path, Path]
) -> None:
    opened(page, tmp_path, bags[1])
    whole = page.evaluate('[view.from, view.to]')
    box = page.locator('.row .plot').nth(1).bounding_box()
    page.mouse.move(box['x'] + 0.25 * box['width'], box['y'] + 5)
    page.mouse.down()
    page.mouse.move(box['x'] + 0.75 * box['width'], box['y'] + 5)
    page.mouse.up()
    begin_s, end_s = page.evaluate('[view.from, view.to]')
    assert end_s - begin_s == pytest.approx(0.5 * (whole[1] - whole[0]), rel=0.02)
    shown = page.locator('.row svg').first.get_attribute('viewBox')
    assert float(shown.split()[0]) == pytest.approx(begin_s)
    page.mouse.dblclick(box['x'] + 100, box['y'] + 5)
    assert page.evaluate('[view.from, view.to]') == whole


def test_a_link_leads_to_its_time(page: Any, tmp_path: Path, bags: tuple[Path, Path]) -> None:
    opened(page, tmp_path, bags[1])
    page.goto((tmp_path / 'report.html').as_uri() + '#t=2.50')
    page.reload()
    assert page.locator('#say b').inner_text() == '2.50 s'
    page.locator('.moment').first.click()
    at_s = float(page.locator('.moment').first.get_attribute('data-at'))
    assert page.locator('#say b').inner_text() == f'{at_s:.2f} s'


def test_two_runs_are_shown_over_each_other(
    page: Any, tmp_path: Path, bags: tuple[Path, Path]
) -> None:
    opened(page, tmp_path, *bags)
    assert 'stop changed in' in page.locator('#verdict').inner_text()
    assert page.locator('.moment .pair').first.locator('img').count() == 2
    assert page.locator('.row .track').all_inner_texts()[:2] == ['A', 'B']
    assert page.locator('table tr').count() > 10

# SPDX-License-Identifier: Apache-2.0
"""The page of a report: one HTML file that needs nothing else, not even a network."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

import cv2

from seg_ros.core.types import RgbImage
from seg_ros.pictures.drawing import Colour
from seg_ros.report.chart import STOP_COLOURS, Chart
from seg_ros.report.moments import WorstMoment

__all__ = ['Page', 'Tile', 'Verdict', 'page_html']

RESOURCES = Path(__file__).parents[1] / 'resource'
DIGITS = 4
JPEG_QUALITY = 80
CHANGED = ' class="changed"'


class Tile(NamedTuple):
    """A figure that is read first.

    Attributes:
        name: What it is.
        value: With its unit.
        note: In small letters.
        mood: ``good``, ``bad`` or empty.
    """

    name: str
    value: str
    note: str = ''
    mood: str = ''


class Verdict(NamedTuple):
    """The drive in one sentence, and whether it was a bad one."""

    text: str
    bad: bool


@dataclass(frozen=True)
class Page:
    """All that is on the page.

    Attributes:
        title: Of the page.
        subtitle: Engine, backend, time.
        verdict: The first thing that is read.
        tiles: Then these.
        span_s: Begin and end of the timeline.
        rows: The timeline.
        moments: The worst ones first, with one picture or two each.
        play: The command that plays the bag.
        legend: Names and colours of what is drawn beside the stop.
        moments_title: What the moments are called.
        table_title: Over the table at the end.
        table_head: Its columns; none without a table.
        table_rows: Its cells; a row whose cells behind the first differ is marked.
        thumbnails: What is shown under the pointer: time in seconds, small picture.
    """

    title: str
    subtitle: str
    verdict: Verdict
    tiles: Sequence[Tile]
    span_s: tuple[float, float]
    rows: Sequence[Chart]
    moments: Sequence[tuple[WorstMoment, Sequence[RgbImage]]]
    play: str
    legend: Sequence[tuple[str, Colour]] = ()
    moments_title: str = 'Worst moments'
    table_title: str = ''
    table_head: Sequence[str] = ()
    table_rows: Sequence[Sequence[str]] = ()
    thumbnails: Sequence[tuple[float, RgbImage]] = ()


def page_html(page: Page) -> str:
    """Returns the text of the file."""
    css = (RESOURCES / 'report.css').read_text(encoding='utf-8')
    script = (RESOURCES / 'report.js').read_text(encoding='utf-8')
    keys = [(kind.text, kind.colour) for kind in STOP_COLOURS]
    legend = ''.join(
        f'<span><i style="background:{_css(colour)}"></i>{escape(text)}</span>'
        for text, colour in (*keys, *page.legend)
    )
    bad = ' bad' if page.verdict.bad else ''
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{escape(page.title)}</title>
<link rel="icon" href="data:,">
<style>
{css}</style>
</head>
<body>
<div class="head"><h1>{escape(page.title)}</h1>
<span class="muted">{escape(page.subtitle)}</span></div>
<p class="verdict{bad}" id="verdict">{escape(page.verdict.text)}</p>
<div class="tiles">{''.join(map(_tile, page.tiles))}</div>
<h2>Timeline
<span class="muted">point to look, drag to zoom, double-click for all of it</span></h2>
<div class="keys">{legend}</div>
<div class="bar"><span class="say" id="say"></span><code id="command"></code>
<button id="copy" title="copy the command that plays the bag from here">Copy</button>
<button id="whole">Whole drive</button></div>
<div class="timeline" id="timeline"></div>
<h2>{escape(page.moments_title)}</h2>
<div class="moments">{''.join(map(_moment, range(len(page.moments)), page.moments))}</div>
{'' if page.moments else '<p class="muted">There is none: nothing stood out.</p>'}
{_table(page)}
<script type="application/json" id="data">{_data(page)}</script>
<script>
{script}</script>
</body>
</html>
"""


def _tile(tile: Tile) -> str:
    return (
        f'<div class="tile {tile.mood}"><span class="muted">{escape(tile.name)}</span>'
        f'<b>{escape(tile.value)}</b><span class="muted">{escape(tile.note)}</span></div>'
    )


def _moment(index: int, item: tuple[WorstMoment, Sequence[RgbImage]]) -> str:
    moment, pictures = item
    images = ''.join(f'<img alt="" src="{_data_url(row)}">' for row in pictures)
    return (
        f'<div class="moment sort-{moment.sort}" id="moment-{index + 1}" '
        f'data-at="{moment.at_s:.3f}"><div class="pair">{images}</div><div class="text">'
        f'<span class="number">{index + 1}</span><b>{escape(moment.title)}</b>'
        f'<div class="muted">{escape(moment.reason)}</div>'
        f'<a href="#t={moment.at_s:.2f}">at {moment.at_s:.2f} s</a></div></div>'
    )


def _data_url(picture: RgbImage) -> str:
    """A picture as a file, inside of the page."""
    bgr = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    _, data = cv2.imencode('.jpg', bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return f'data:image/jpeg;base64,{base64.b64encode(data.tobytes()).decode()}'


def _table(page: Page) -> str:
    if not page.table_head:
        return ''
    head = ''.join(f'<th>{escape(word)}</th>' for word in page.table_head)
    rows = ''.join(
        f'<tr{CHANGED if len(set(row[1:])) > 1 else ""}>'
        f'{"".join(f"<td>{escape(cell)}</td>" for cell in row)}</tr>'
        for row in page.table_rows
    )
    return f'<h2>{escape(page.table_title)}</h2><table><tr>{head}</tr>{rows}</table>'


def _data(page: Page) -> str:
    """What the script draws, as JSON that cannot end the element that it is in."""
    data: Mapping[str, Any] = {
        'from_s': page.span_s[0],
        'to_s': page.span_s[1],
        'play': page.play,
        'rows': [_row(row) for row in page.rows],
        'moments': [moment._asdict() for moment, _ in page.moments],
        'thumbnails': [
            {'at_s': at_s, 'picture': _data_url(picture)} for at_s, picture in page.thumbnails
        ],
    }
    return json.dumps(_plain(data), separators=(',', ':'), allow_nan=False).replace('<', '\\u003c')


def _row(row: Chart) -> dict[str, Any]:
    return {
        **{name: getattr(row, name) for name in ('title', 'unit', 'limits', 'zero', 'missing')},
        'ticks': row.ticks,
        'bands': [
            [{**band._asdict(), 'colour': _css(band.colour)} for band in bands]
            for bands in row.bands
        ],
        'lines': [
            {
                'name': line.name,
                'colour': _css(line.colour),
                'at_s': line.at_s.tolist(),
                'values': line.values.tolist(),
            }
            for line in row.lines
        ],
        'areas': [
            {
                'name': area.name,
                'colour': _css(area.colour),
                'at_s': area.at_s.tolist(),
                'low': area.low.tolist(),
                'high': area.high.tolist(),
            }
            for area in row.areas
        ],
    }


def _plain(value: Any) -> Any:
    """Numbers of few digits; null for what is none."""
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    if isinstance(value, float):
        return round(value, DIGITS) if math.isfinite(value) else None
    return value


def _css(colour: Colour) -> str:
    return '#{:02x}{:02x}{:02x}'.format(*colour)

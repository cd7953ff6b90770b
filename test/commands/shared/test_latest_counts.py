"""A log is followed while it grows, in whatever pieces it comes."""

from __future__ import annotations

from pathlib import Path

from seg_ros.commands.shared.latest_counts import LatestCounts


def test_the_latest_whole_line_of_json_counts(tmp_path: Path) -> None:
    log = tmp_path / 'recorder.log'
    counts = LatestCounts(log)
    pieces = [
        ('', {}),
        ('Starting\n', {}),
        ('{"/label": 1}\n{"/label": 2}\n', {'/label': 2}),
        ('Something else\n{"/lab', {'/label': 2}),
        ('el": 3}\n', {'/label': 3}),
    ]
    for text, expected in pieces:
        with log.open('a') as file:
            file.write(text)
        assert counts.read() == expected

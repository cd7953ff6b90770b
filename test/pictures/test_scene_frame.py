# SPDX-License-Identifier: Apache-2.0
"""The reason in the banner is read to its end, however small the picture is."""

from __future__ import annotations

import pytest

from seg_ros.pictures.drawing import text_width
from seg_ros.pictures.scene_frame import fitted_lines

LONG = (
    'the picture has 1.3 times as much of "another place" as one that the engine knows may '
    'have, more than 1.0: nothing can be seen in it for sure'
)


def test_a_short_reason_is_one_line_of_the_usual_size() -> None:
    assert fitted_lines('the way is proven clear', 20, 900) == (['the way is proven clear'], 20)


@pytest.mark.parametrize('width', [1200, 570, 410])
def test_a_long_reason_is_whole_on_one_or_two_lines_that_fit(width: int) -> None:
    lines, size_px = fitted_lines(LONG, 20, width)
    assert ' '.join(lines) == LONG
    assert len(lines) == (1 if width == 1200 else 2)
    assert all(text_width(line, size_px) <= width for line in lines)


def test_what_fits_on_no_two_lines_ends_with_dots() -> None:
    lines, size_px = fitted_lines(LONG, 20, 250)
    assert lines[1].endswith('...')
    assert LONG.startswith(' '.join(lines).removesuffix('...'))
    assert all(text_width(line, size_px) <= 250 for line in lines)

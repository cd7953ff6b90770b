"""The legend: which colour is which class."""

from __future__ import annotations

import cv2

from seg_ros.core.labels import LabelMap
from seg_ros.core.types import RgbImage
from seg_ros.pictures.drawing import TEXT, draw_text, text_width

__all__ = ['draw_legend', 'legend_height']

GAP_EM = 1.4  # between two columns, in font sizes
SWATCH_EM = 1.1
LINE_EM = 1.7


def legend_height(label_map: LabelMap, width: int, size_px: int) -> int:
    """Returns how many pixels high the legend is in a given width."""
    columns, _ = _grid(label_map, width, size_px)
    rows = -(-len(label_map.classes) // columns)
    return round(rows * LINE_EM * size_px)


def draw_legend(
    picture: RgbImage, label_map: LabelMap, at_xy: tuple[int, int], width: int, size_px: int
) -> None:
    """Draws the classes in aligned columns, by rising id, row after row.

    Args:
        picture: Is written to.
        label_map: The classes.
        at_xy: Upper left corner.
        width: How wide it may be.
        size_px: Size of the font.
    """
    columns, column_width = _grid(label_map, width, size_px)
    swatch = round(SWATCH_EM * size_px)
    for index, row in enumerate(sorted(label_map.classes, key=lambda row: row.id)):
        x = at_xy[0] + index % columns * column_width
        middle = at_xy[1] + round((index // columns + 0.5) * LINE_EM * size_px)
        corner = (x, middle - swatch // 2)
        opposite = (x + swatch - 1, middle - swatch // 2 + swatch - 1)
        cv2.rectangle(picture, corner, opposite, row.colour_rgb, cv2.FILLED)
        baseline = middle + round(0.34 * size_px)
        draw_text(picture, _spoken(row.name), (x + round(1.5 * swatch), baseline), size_px, TEXT)


def _grid(label_map: LabelMap, width: int, size_px: int) -> tuple[int, int]:
    """Columns that fit, as even as they can be filled, and the width of each."""
    widest = max(text_width(_spoken(row.name), size_px) for row in label_map.classes)
    column_width = round(widest + (1.5 * SWATCH_EM + GAP_EM) * size_px)
    fit = max(1, (width + round(GAP_EM * size_px)) // column_width)
    count = len(label_map.classes)
    rows = -(-count // fit)
    return -(-count // rows), column_width


def _spoken(name: str) -> str:
    return name.replace('_', ' ')

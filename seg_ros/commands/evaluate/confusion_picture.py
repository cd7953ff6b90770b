"""A confusion matrix as a picture."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from seg_ros.core.types import RgbImage
from seg_ros.pictures.drawing import blank, draw_text, text_width

__all__ = ['confusion_picture']

CELL_PX, TEXT_PX, MARGIN_PX = 48, 14, 12


def confusion_picture(counts: NDArray[np.int64], names: Sequence[str]) -> RgbImage:
    """Returns the matrix with the share of each true class (row) per answer (column), in %.

    Args:
        counts: ``(C, C)`` pixels, rows are the truth.
        names: C class names.
    """
    left = MARGIN_PX + max(text_width(name, TEXT_PX) for name in names) + MARGIN_PX
    top = left
    size = CELL_PX * len(names)
    canvas = blank(left + size + MARGIN_PX, top + size + MARGIN_PX)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    heat = cv2.applyColorMap((shares * 255).astype(np.uint8), cv2.COLORMAP_VIRIDIS)
    heat = cv2.cvtColor(heat, cv2.COLOR_BGR2RGB)
    cells = cv2.resize(heat, (size, size), interpolation=cv2.INTER_NEAREST)
    canvas[top : top + size, left : left + size] = cells
    for index, name in enumerate(names):
        middle = index * CELL_PX + CELL_PX // 2
        draw_text(canvas, name, (MARGIN_PX, top + middle + TEXT_PX // 2), TEXT_PX)
        upright = blank(top - MARGIN_PX, CELL_PX)
        draw_text(upright, name, (0, CELL_PX // 2 + TEXT_PX // 2), TEXT_PX)
        turned = np.rot90(upright)
        canvas[MARGIN_PX:top, left + index * CELL_PX : left + (index + 1) * CELL_PX] = turned
    for row, column in np.argwhere(shares >= 0.005):
        text = f'{100 * shares[row, column]:.0f}'
        x = left + column * CELL_PX + (CELL_PX - text_width(text, TEXT_PX)) // 2
        y = top + row * CELL_PX + CELL_PX // 2 + TEXT_PX // 2
        dark = (20, 20, 20) if shares[row, column] > 0.6 else (240, 240, 240)
        draw_text(canvas, text, (int(x), int(y)), TEXT_PX, dark)
    return canvas

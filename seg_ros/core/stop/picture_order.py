# SPDX-License-Identifier: Apache-2.0
"""Order of a picture: whether its parts lie where they belong.

What is read in wrong order, or begins in the middle of its buffer, is whole, sharp and bright;
only its parts lie elsewhere. Each edge of a part then goes on at the edge of another one, or at
the end of the picture, as a jigsaw puzzle does (Gallagher 2012, "Jigsaw puzzles with pieces of
unknown orientation"), and not in its neighbour. The edge of a house or of a lorry goes on nowhere,
and what a pole hides goes on beside the pole.

Lines of pixels go on in each other where both step up and down at the same places. Where either
side of a step is black nothing is seen.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ['Seam', 'astray', 'wrap']

GreyImage = NDArray[np.uint8]
FloatImage = NDArray[np.float32]
Seam = tuple[int, int]

# Of the root of a step, which is in root grey levels: steps of half a level are rounding and noise
FLOOR = 0.5
FLOOR_OF_ENDS = 1.0
# Grey levels. Around the round picture of a fisheye, and beside bars, nothing is seen: where it
# begins is at the same rows on both sides. Of 196 clean pictures of eight sets in such a disc
# (0.6 of the height in radius) 31 % went on elsewhere without this, 2.6 % do. Of parts in wrong
# order 98.5 % are found, as before; at a fifth of the light 92 % (95 % before, 73 % with 12)
BLACK = 4
EDGES = 16  # that are looked at: 8 parts have 7, houses and trees have some as well
EDGE_APART = 6  # pixels: nearer, two edges are one
# Pixels between the edges of a part: what a pole or a post hides goes on beside it. Of 8 parts
# each is 40 wide
NEAREST = 24


class _Lines(NamedTuple):
    """Edges, as places across the picture.

    Attributes:
        before: Index of the line of pixels before each edge.
        behind: Index of the line behind it.
    """

    before: NDArray[np.intp]
    behind: NDArray[np.intp]


def wrap(grey: GreyImage, row_seam: Seam, column_seam: Seam) -> float:
    """Returns how well a picture goes on at its other end: 0 not at all, 2 both across and down.

    Less how well it goes on at its fullest seam: one that begins in its middle does not go on
    where its ends meet, and a world of a few flat colours, whose ends are alike, goes on there.

    Args:
        grey: ``(H, W)``.
        row_seam: The row before and the row behind the fullest seam across the picture.
        column_seam: The column before and the one behind the fullest that is upright.
    """
    height, width = grey.shape
    columns = grey[:, (0, width - 1, *column_seam)].T
    rows = grey[(0, height - 1, *row_seam), :]
    return sum(_joined(_steps(lines, 1, FLOOR_OF_ENDS)) for lines in (columns, rows))


def _joined(steps: FloatImage) -> float:
    """How much better the first two of four lines go on in each other than the last two."""
    first_end, other_end, before, behind = steps
    return max(0.0, float(first_end @ other_end) - max(0.0, float(before @ behind)))


def astray(grey: GreyImage, shares: FloatImage) -> float:
    """Returns how much better the edge of a part goes on elsewhere than where it lies.

    From 0, nowhere better, to 1, elsewhere as if it had never been apart and here not at all.

    Args:
        grey: ``(H, W)``, upright edges of which are looked for.
        shares: ``(W - margins,)`` of the height that is a step, for each column but for as many on
            both sides.
    """
    width = grey.shape[1]
    edges = _fullest(shares) + (width - len(shares)) // 2
    # The ends of the picture are the edges of a part as well
    lines = _Lines(np.append(edges - 1, width - 1), np.append(edges + 1, 0))
    steps = _steps(grey[:, np.concatenate(lines)].T, 3, FLOOR)
    count = len(lines.before)
    # NumPy's product would start threads, which take longer than it
    product = cv2.gemm(steps[:count], steps[count:], 1.0, None, 0.0, flags=cv2.GEMM_2_T)
    alike = np.maximum(np.asarray(product), 0.0)
    here = alike.diagonal().copy()
    here[-1] = 0.0
    np.fill_diagonal(alike, 0.0)
    alike[np.abs(lines.before[:, None] - lines.behind) < NEAREST] = 0.0
    # Each edge goes on in one other, and that one goes on in none better
    place, there = np.arange(count), alike.argmax(axis=1)
    is_mutual = alike.argmax(axis=0)[there] == place
    gain = alike[place, there] - np.maximum(here, here[there])
    return max(0.0, float((gain * is_mutual).max()))


def _fullest(shares: FloatImage) -> NDArray[np.intp]:
    """Returns where the most is a step, apart from each other."""
    left = shares.copy()
    found = np.empty(EDGES, np.intp)
    for number in range(EDGES):
        place = int(left.argmax())
        found[number] = place
        left[max(0, place - EDGE_APART) : place + EDGE_APART + 1] = -1.0
    return found


def _steps(lines: GreyImage, smooth: int, floor: float) -> FloatImage:
    """``(N, K)`` the roots of the steps along each line, with their signs, all of length 1.

    Roots, so that one outline is not all that there is. A line without steps is of length 0, one
    that is half black shorter: it proves half.

    Args:
        lines: ``(N, L)`` of pixels.
        smooth: Over how many of them the mean is taken; a step is as far as fits in.
        floor: Steps, in root grey levels, of a line half of which counts.
    """
    levels = np.asarray(cv2.blur(lines.astype(np.float32), (smooth, 1)))
    apart = max(1, smooth - 1)
    steps = levels[:, apart:] - levels[:, :-apart]
    is_lit = np.asarray(cv2.erode(lines, np.ones((1, smooth), np.uint8))) > BLACK
    is_seen = is_lit[:, apart:] & is_lit[:, :-apart]
    steps *= is_seen
    roots = np.copysign(np.sqrt(np.abs(steps)), steps)
    roots -= roots.mean(axis=1, keepdims=True)
    energy = np.einsum('ij,ij->i', roots, roots) + floor * roots.shape[1]
    return np.asarray(roots * np.sqrt(is_seen.mean(axis=1) / energy)[:, None], np.float32)

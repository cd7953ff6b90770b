# SPDX-License-Identifier: Apache-2.0
"""Panoptic quality of people (Kirillov et al., arXiv 1801.00868)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.classes import UNLABELLED

__all__ = ['PanopticQuality']

MATCHED_IOU = 0.5  # above it no two can match the same
UNKNOWN_SHARE = 0.5  # of a person that is seen where nothing is known: it does not count


@dataclass
class PanopticQuality:
    """Books seen people against true ones.

    Attributes:
        iou: Sum over the matches.
        matched: Pairs with an intersection over union above a half.
        extra: Seen, and nobody's match.
        missed: True, and nobody's match.
        touching: True people of whom a pixel touches another's.
        touching_matched: Those of them who match.
    """

    iou: float = 0.0
    matched: int = 0
    extra: int = 0
    missed: int = 0
    touching: int = 0
    touching_matched: int = 0

    def add(self, truth: NDArray[np.uint8], seen: NDArray[np.integer]) -> None:
        """Count one picture.

        Args:
            truth: ``(H, W)`` numbers of people, 0 for nobody, 255 for unknown.
            seen: ``(H, W)`` numbers of people, 0 for nobody.
        """
        most = int(seen.max()) + 1
        flat = truth.astype(np.int64) * most + seen
        shape = UNLABELLED + 1, most
        pairs = np.bincount(flat.ravel(), minlength=shape[0] * shape[1]).reshape(shape)
        seen_px = pairs.sum(0)
        on_unknown = pairs[UNLABELLED]
        is_person = seen_px > 0
        is_person[0] = False
        true_px = pairs[:UNLABELLED].sum(1)
        people = np.flatnonzero(true_px[1:]) + 1
        inside = pairs[people][:, is_person]
        # pixels that nobody knows are in no union
        union = true_px[people, None] + (seen_px - on_unknown)[is_person] - inside
        iou = inside / np.maximum(union, 1)
        match = iou > MATCHED_IOU
        counts = ~match.any(0) & ((on_unknown <= UNKNOWN_SHARE * seen_px)[is_person])
        self.iou += float(iou[match].sum())
        self.matched += int(match.sum())
        self.extra += int(counts.sum())
        self.missed += int((~match.any(1)).sum())
        touches = np.isin(people, touching(truth))
        self.touching += int(touches.sum())
        self.touching_matched += int((match.any(1) & touches).sum())

    @property
    def touching_found(self) -> float:
        """Share of the people who touch somebody that match, 0 to 1."""
        return self.touching_matched / max(1, self.touching)

    @property
    def recognition(self) -> float:
        """F1 of the people (RQ), 0 to 1."""
        return self.matched / max(1.0, self.matched + 0.5 * (self.extra + self.missed))

    @property
    def segmentation(self) -> float:
        """Mean intersection over union of those who match (SQ), 0 to 1."""
        return self.iou / max(1, self.matched)

    @property
    def value(self) -> float:
        """Both together (PQ), 0 to 1."""
        return self.recognition * self.segmentation


def touching(truth: NDArray[np.uint8]) -> NDArray[np.integer]:
    """Numbers of the people who have somebody beside, above or below a pixel of theirs."""
    found: set[int] = set()
    for a, b in ((truth[:, 1:], truth[:, :-1]), (truth[1:], truth[:-1])):
        border = (a != b) & (a != 0) & (b != 0) & (a != UNLABELLED) & (b != UNLABELLED)
        found |= {*a[border].tolist(), *b[border].tolist()}
    return np.array(sorted(found), np.int64)

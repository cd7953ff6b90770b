# SPDX-License-Identifier: Apache-2.0
"""One moment of a drive as people look at it: what came in, what came out, how long it took."""

from __future__ import annotations

from dataclasses import dataclass

from seg_ros.core.types import RgbImage

__all__ = ['PicturedMoment']


@dataclass(frozen=True)
class PicturedMoment:
    """A camera image beside its result.

    Attributes:
        image: What the camera saw.
        overlay: The same with the label colours over it.
        elapsed_s: Since the first image.
        latency_ms: From the image's stamp to the arrival of its labels; None where it means
            nothing.
        accuracy: Share of the pixels that are labelled rightly; None where nobody knows.
    """

    image: RgbImage
    overlay: RgbImage
    elapsed_s: float
    latency_ms: float | None = None
    accuracy: float | None = None

    def caption(self) -> str:
        """Returns time, latency and accuracy in one line."""
        parts = [f'{self.elapsed_s:.1f} s']
        if self.latency_ms is not None:
            parts.append(f'{self.latency_ms:.0f} ms')
        if self.accuracy is not None:
            parts.append(f'{self.accuracy:.1%} right')
        return '   '.join(parts)

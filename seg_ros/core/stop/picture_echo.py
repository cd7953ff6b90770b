# SPDX-License-Identifier: Apache-2.0
"""Echo of a picture: whether all of it is there a second time, somewhere beside.

A reflection in a pane, two fields of an interlaced picture that do not belong together, frames
that a decoder blended, a recorder's view of all cameras: what stands at one place stands at
another one as well, always as far away and in the same direction. Windows, fences and dashes of a
lane repeat themselves, too, but each at a distance of its own.

The measure is the one by which echoes are found in sound and in seismograms: the cepstrum, the
transform of the logarithm of the spectrum (Bogert, Healy and Tukey 1963). A copy with a share r of
the strength multiplies the spectrum by a ripple, whose logarithm has one peak of about r at the
distance of the copy.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ['echo']

# Pixels of 80 across: nearer, outlines are like themselves (a pole, a kerb)
NEAREST = 5
# Of the mean of the spectrum: where there is less, noise would count as much as what is seen.
# Of 0.1 and 0.3, the first tells ghosts of 30 % better from 822 clean pictures
FLOOR = 0.1
LEAST_ENERGY = 1e-3  # of a pixel, in grey levels: keeps the spectrum of a flat picture finite


def echo(grey: NDArray[np.uint8]) -> float:
    """Returns how strongly a picture is there a second time: 0 not at all, 1 as strongly.

    Args:
        grey: ``(45, 80)``; of other sizes, too, where ``NEAREST`` is of that width.
    """
    peaks = np.asarray(cv2.Laplacian(grey, cv2.CV_32F))
    # Roots, so that two headlights at night are not all that is there
    roots = np.copysign(np.sqrt(np.abs(peaks)), peaks)
    waves = cv2.dft(roots)
    # Of packed waves the products are real, and 0 where an imaginary part would stand: log(1) is 0
    spectrum = cv2.mulSpectrums(waves, waves, 0, conjB=True)
    spectrum *= 1.0 / (FLOOR * float(np.vdot(roots, roots)) + LEAST_ENERGY * roots.size)
    spectrum += 1.0
    cepstrum = cv2.dft(cv2.log(spectrum), flags=cv2.DFT_INVERSE | cv2.DFT_SCALE)
    # Few distances are whole pixels: the peak of the others is spread over four
    spread = cv2.boxFilter(
        cepstrum, -1, (2, 2), normalize=False, borderType=cv2.BORDER_CONSTANT
    )  # fmt: skip
    # What is below the middle is the same again
    half = np.asarray(spread[: len(grey) // 2 + 2])
    aside = half[:, NEAREST : half.shape[1] - NEAREST + 1]
    return float(max(aside.max(), half[NEAREST:].max()))

# SPDX-License-Identifier: Apache-2.0
"""Pictures in which somebody can be seen and nobody is labelled.

The 126 dashcam pictures of the Roboflow project "lane-detection-segmentation", version 7, have
labels of lane markings alone. All of them were looked at. A clip of one of these is none without
anybody: a stop in it is no false one, and is told apart.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ['UNLABELLED_PEOPLE']

AHEAD = 'a motorcyclist in the next lane, in the rain'

UNLABELLED_PEOPLE: Mapping[str, str] = {
    'yt-5b7U_ZrU6dE-0052_jpg': AHEAD,
    'yt-5b7U_ZrU6dE-0053_jpg': AHEAD,
    'yt-5b7U_ZrU6dE-0054_jpg': AHEAD,
    'yt-5b7U_ZrU6dE-0055_jpg': AHEAD,
    'yt-5b7U_ZrU6dE-0056_jpg': AHEAD,
    'yt-5b7U_ZrU6dE-0057_jpg': AHEAD,
    'yt-_TqDU5dCl_Y-0018_jpg': 'a motorcyclist who comes towards the camera',
    'yt-zaCMqlJ8GrM-0054_jpg': 'somebody on the pavement, in the shade',
}
"""Who is in a picture, by its name without endings."""

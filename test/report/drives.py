# SPDX-License-Identifier: Apache-2.0
"""Bags of small drives, as the node leaves them, with whatever goes wrong in them."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from pathlib import Path

import cv2
import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from sensor_msgs.msg import CompressedImage
from std_msgs.msg import Bool, String

from test.ros.graph import LATCHED, header_of, image_message
from test.ros.recording import Recorded, write_bag

BEGIN_NS = 1_700_000_000_000_000_000
PERIOD_NS = 100_000_000
LATENCY_NS = 30_000_000
SIZE_HW = (36, 64)
CLASSES = {
    'unlabelled': 255,
    'classes': [
        {'id': 0, 'name': 'road', 'colour': [128, 64, 128], 'roles': ['drivable']},
        {'id': 1, 'name': 'pedestrian', 'colour': [220, 20, 60], 'roles': ['pedestrian']},
    ],
}
NO_FRAMES: Collection[int] = ()


def drive_bag(
    path: Path,
    *,
    frames: int = 40,
    person: Collection[int] = NO_FRAMES,
    fault: Collection[int] = NO_FRAMES,
    lane_lost: Collection[int] = NO_FRAMES,
    dropped: Collection[int] = NO_FRAMES,
    slow: Collection[int] = NO_FRAMES,
    relabelled: Collection[int] = NO_FRAMES,
    offset_m: float = 0.1,
    replayed: bool = False,
) -> Path:
    """Writes a drive of ten frames a second.

    Args:
        path: Of the bag.
        frames: How many the camera sends.
        person: Frames with somebody in the zone, 8 m away.
        fault: Frames during which the stop has a fault.
        lane_lost: Frames without a valid lane.
        dropped: Frames that got no labels.
        slow: Frames whose labels came 200 ms late.
        relabelled: Frames a quarter of which is labelled otherwise.
        offset_m: In the lane.
        replayed: Messages are recorded at the stamps of their images.
    """
    rows = [Recorded('/segmentation/classes', BEGIN_NS, String(data=json.dumps(CLASSES)))]
    for index in range(frames):
        stamp_ns = BEGIN_NS + (1 + index) * PERIOD_NS
        rows.append(Recorded('/camera/image/compressed', stamp_ns, _picture(stamp_ns)))
        if index in dropped:
            continue
        late_ns = 200_000_000 if index in slow else LATENCY_NS
        at_ns = stamp_ns if replayed else stamp_ns + late_ns
        labels = np.zeros(SIZE_HW, np.uint8)
        labels[9:18, 20:28] = int(index in person)
        labels[:, : SIZE_HW[1] // 4] = int(index in relabelled)
        rows.append(Recorded('/segmentation/label', at_ns, image_message(labels, stamp_ns)))
        rows += [row._replace(at_ns=at_ns) for row in _decisions(index in person, index in fault)]
        lane = _lane(index not in lane_lost, offset_m)
        rows.append(Recorded('/segmentation/lane_track/status', at_ns, lane))
    rows.append(Recorded('/diagnostics', rows[-1].at_ns, _diagnostics()))
    rows.sort(key=lambda row: row.at_ns)
    return write_bag(path, rows, {'/segmentation/classes': LATCHED})


def _decisions(person: bool, fault: bool) -> Iterator[Recorded]:
    kind = 'stale' if fault else 'person' if person else 'clear'
    values = {'stop': str(kind != 'clear').lower(), 'kind': kind}
    if person:
        values['nearest.distance_m'] = '8.00'
    status = DiagnosticStatus(message=f'because it is {kind}', values=_key_values(values))
    yield Recorded('/segmentation/pedestrian_stop', 0, Bool(data=kind != 'clear'))
    yield Recorded('/segmentation/pedestrian_stop/status', 0, status)


def _lane(valid: bool, offset_m: float) -> DiagnosticStatus:
    values = {
        'valid': str(valid).lower(),
        'offset_m': f'{offset_m:.3f}',
        'heading_rad': '0.0100',
        'curvature_per_m': '0.00200',
        'width_m': '3.50',
    }
    reason = 'both lines' if valid else 'no line is seen'
    return DiagnosticStatus(message=reason, values=_key_values(values))


def _diagnostics() -> DiagnosticArray:
    values = {'frames_received': '40', 'engine': 'tiny', 'backend': 'canned'}
    return DiagnosticArray(status=[DiagnosticStatus(values=_key_values(values))])


def _picture(stamp_ns: int) -> CompressedImage:
    pixels = np.full((*SIZE_HW, 3), 90, np.uint8)
    message = CompressedImage(header=header_of(stamp_ns), format='jpeg')
    message.data = cv2.imencode('.jpg', pixels)[1].tobytes()
    return message


def _key_values(values: dict[str, str]) -> list[KeyValue]:
    return [KeyValue(key=key, value=value) for key, value in values.items()]

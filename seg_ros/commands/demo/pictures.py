# SPDX-License-Identifier: Apache-2.0
"""The pictures of a demo: a video, a contact sheet, and one moment as a planner is given it."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seg_ros.commands.demo.recording import DemoRecording
from seg_ros.core.units import NS_PER_S
from seg_ros.pictures.annotated_frame import AnnotatedFrame
from seg_ros.pictures.contact_sheet import contact_sheet, evenly
from seg_ros.pictures.drawing import Box, blank, paste
from seg_ros.pictures.from_above import GroundView, draw_from_above
from seg_ros.pictures.picture_file import write_picture
from seg_ros.pictures.video_writer import VideoWriter, best_format
from seg_ros.recordings.ahead import Ahead
from seg_ros.recordings.bag import BagRecording
from seg_ros.recordings.contents import message_stamp_ns

__all__ = ['ground_views', 'write_contact_sheet', 'write_moment', 'write_video']

MOMENTS = 12  # of the contact sheet
PICTURES_AHEAD = 8  # drawn while the encoder works

PREFIX = '/segmentation/'
LINES = ('lane_track', 'lane_track/left', 'lane_track/right')
TOPICS = ('drivable', 'scan', 'obstacles', 'pedestrians', 'markers', *LINES)
PANEL_WH = (640, 360)  # of the moment, which has two side by side
GAP = 4  # pixels between its panels


def write_video(path: Path, recording: DemoRecording, summary: Mapping[str, Any]) -> Path:
    """Writes camera and result side by side, as fast as they came.

    Args:
        path: Without a suffix; the best format that can be written chooses it.
        recording: At least one image of it was answered.
        summary: Its figures.

    Returns:
        The file.
    """
    stamps = recording.shown()
    span_s = (stamps[-1] - stamps[0]) / NS_PER_S
    rate_hz = (len(stamps) - 1) / span_s if span_s else 1.0
    video_format = best_format()
    every = max(1, math.ceil(rate_hz / video_format.max_rate_hz - 0.05))
    height, width = recording.moment(stamps[0]).image.shape[:2]
    title = f'{summary["engine"]} on {summary["backend"]}'
    layout = AnnotatedFrame(title, recording.label_map, (width, height))
    drawn = (layout.draw(recording.moment(stamp_ns)) for stamp_ns in stamps[::every])
    with (
        VideoWriter(path, video_format, layout.size_wh, rate_hz / every) as writer,
        Ahead(drawn, PICTURES_AHEAD) as pictures,
    ):
        for picture in pictures:
            writer.write(picture)
    return writer.path


def write_contact_sheet(
    path: Path, recording: DemoRecording, summary: Mapping[str, Any], source: str
) -> None:
    """Writes moments of the whole drive, its figures and the legend into one PNG."""
    stamps = recording.shown()
    moments = [recording.moment(stamps[index]) for index in evenly(MOMENTS, len(stamps))]
    latency_ms = summary['latency_ms']['stamp_to_received']
    parts = [
        f'{summary["engine"]} on {summary["backend"]}',
        f'{summary["frames_out"]} of {summary["frames_in"]} images labelled',
        f'{summary["fps"]:.1f} a second',
        f'{latency_ms["p50"]:.0f} ms from camera to label, 95 % within {latency_ms["p95"]:.0f} ms',
    ]
    if summary['pixel_accuracy'] is not None:
        parts.append(f'{summary["pixel_accuracy"]:.1%} of pixels right')
    sheet = contact_sheet(f'seg_ros: {source}', '     '.join(parts), moments, recording.label_map)
    write_picture(path, sheet)


def write_moment(path: Path, recording: DemoRecording, bag: Path) -> bool:
    """Writes the moment with the most people, out of those with a lane if there are any.

    Args:
        path: A JPEG.
        recording: Of the bag.
        bag: Has the topics of a planner where the ground was known.

    Returns:
        Whether there was such a moment.
    """
    views = ground_views(bag)
    shown = [stamp_ns for stamp_ns in recording.shown() if stamp_ns in views]
    if not shown:
        return False
    best_ns = max(shown, key=lambda ns: (bool(views[ns].lines), len(views[ns].people)))
    moment = recording.moment(best_ns)
    width, height = PANEL_WH
    size_wh = width, 2 * height + GAP
    canvas = blank(2 * width + GAP, size_wh[1])
    paste(canvas, moment.image, Box(0, 0, width, height))
    paste(canvas, moment.overlay, Box(0, height + GAP, width, height))
    paste(canvas, draw_from_above(views[best_ns], size_wh), Box(width + GAP, 0, *size_wh))
    write_picture(path, canvas)
    return True


def ground_views(bag: Path) -> dict[int, GroundView]:
    """Returns what is known of the ground by stamp, of all frames that have a grid."""
    frames: dict[int, dict[str, Any]] = defaultdict(dict)
    wanted = {f'{PREFIX}{topic}' for topic in TOPICS}
    recording = BagRecording(bag)
    for row in recording.messages(wanted):
        message = recording.read(row)
        for stamped in (message,) if hasattr(message, 'header') else message.markers[:1]:
            frames[message_stamp_ns(stamped)][row.topic.removeprefix(PREFIX)] = message
    return {
        stamp_ns: _view(messages)
        for stamp_ns, messages in frames.items()
        if 'drivable' in messages
    }


def _view(messages: dict[str, Any]) -> GroundView:
    grid = messages['drivable']
    info = grid.info
    poses = messages['pedestrians'].poses if 'pedestrians' in messages else ()
    return GroundView(
        np.asarray(grid.data, np.int8).reshape(info.height, info.width),
        float(info.resolution),
        (float(info.origin.position.x), float(info.origin.position.y)),
        scan=_ends(messages['scan']) if 'scan' in messages else _points(()),
        obstacles=_cloud(messages['obstacles']) if 'obstacles' in messages else _points(()),
        lines=tuple(
            _points([row.pose.position for row in messages[name].poses])
            for name in LINES
            if name in messages
        ),
        zone=_zone(messages.get('markers')),
        people=_points([pose.position for pose in poses]),
    )


def _points(positions: Any) -> NDArray[np.float64]:
    return np.array([(at.x, at.y) for at in positions], np.float64).reshape(-1, 2)


def _ends(scan: Any) -> NDArray[np.float64]:
    ranges = np.asarray(scan.ranges, np.float64)
    angles = scan.angle_min + scan.angle_increment * np.arange(ranges.size)
    ends = np.column_stack([np.cos(angles) * ranges, np.sin(angles) * ranges])
    return np.asarray(ends[np.isfinite(ranges)])


def _cloud(cloud: Any) -> NDArray[np.float64]:
    rows = np.asarray(cloud.data, np.uint8).reshape(-1, cloud.point_step)
    xy = np.ascontiguousarray(rows[:, :8]).view('<f4')  # x and y come first
    return xy.astype(np.float64)


def _zone(markers: Any) -> NDArray[np.float64]:
    rows = [row for row in markers.markers if row.ns == 'zone'] if markers is not None else []
    return _points(rows[0].points if rows else ())

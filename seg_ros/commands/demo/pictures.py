"""The pictures of a demo: a video and a contact sheet."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2

from seg_ros.commands.demo.recording import DemoRecording
from seg_ros.core.units import NS_PER_S
from seg_ros.pictures.annotated_frame import AnnotatedFrame
from seg_ros.pictures.contact_sheet import contact_sheet, evenly
from seg_ros.pictures.video_writer import VideoWriter, best_format
from seg_ros.recordings.ahead import Ahead

__all__ = ['write_contact_sheet', 'write_video']

MOMENTS = 12
PICTURES_AHEAD = 8


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
    cv2.imwrite(str(path), cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))

# SPDX-License-Identifier: Apache-2.0
"""The rule: cores for the network where it is the bottleneck, else one for the others."""

from __future__ import annotations

from seg_ros.inference.tuning.choice import Candidate, Timing, choose

FAST_CAMERA_MS = 1e3 / 30.0


def row(backend: str, threads: int, median_ms: float, busy_ms: float = 1.0, **more: str) -> Timing:
    precision = more.pop('precision', 'fp32')
    candidate = Candidate(backend, precision, threads)
    return Timing(candidate, 1.0, 1.0, median_ms, median_ms, busy_ms, **more)


def taken(*rows: Timing, precision: str = 'auto', threads: int = 0) -> str:
    best = choose(rows, 2, FAST_CAMERA_MS, precision, threads)
    return '' if best is None else f'{best[0].candidate}: {best[1]}'


def test_the_network_may_have_every_core_while_it_is_the_bottleneck() -> None:
    said = taken(row('onnxruntime', 1, 124.0), row('onnxruntime', 2, 71.0))
    assert said == (
        'onnxruntime fp32, 2 threads: measured 71 ms an image; the network is the bottleneck and '
        'may have every core'
    )


def test_a_core_is_left_to_the_others_where_that_keeps_up_with_the_cameras() -> None:
    said = taken(row('openvino', 1, 16.0), row('openvino', 2, 10.0))
    assert said == (
        'openvino fp32, 1 thread: measured 16 ms an image; it keeps up with the cameras and '
        'leaves a core free'
    )


def test_more_cameras_make_it_the_bottleneck() -> None:
    rows = [row('openvino', 1, 16.0), row('openvino', 2, 10.0)]
    best = choose(rows, 2, FAST_CAMERA_MS / 4, 'auto', 0)
    assert best is not None
    assert best[0].candidate.threads == 2


def test_a_busy_neighbour_decides_between_what_is_equally_fast() -> None:
    assert taken(row('onnxruntime', 2, 70.0, 150.0), row('openvino', 2, 72.0, 90.0)).startswith(
        'openvino'
    )
    assert taken(row('onnxruntime', 2, 60.0, 150.0), row('openvino', 2, 72.0, 90.0)).startswith(
        'onnxruntime'
    )


def test_fewer_threads_decide_between_what_is_equally_fast_beside_a_busy_neighbour_too() -> None:
    two = row('openvino', 2, 60.0, 100.0)
    assert taken(two, row('openvino', 1, 62.0, 104.0)).startswith('openvino fp32, 1 thread:')
    assert taken(two, row('openvino', 1, 62.0, 106.0)).startswith('openvino fp32, 2 threads:')
    assert taken(two, row('openvino', 1, 64.0, 50.0)).startswith('openvino fp32, 2 threads:')


def test_what_has_other_labels_or_could_not_run_is_never_taken() -> None:
    wrong = row('onnxruntime', 2, 10.0, precision='int8', why_not='its labels differ')
    assert taken(wrong, row('openvino', 2, 72.0)).startswith('openvino')
    assert taken(wrong) == ''


def test_a_wish_for_precision_or_threads_is_kept() -> None:
    rows = row('openvino', 2, 40.0, precision='bf16'), row('onnxruntime', 1, 90.0)
    assert taken(*rows, precision='fp32').startswith('onnxruntime fp32, 1 thread')
    assert taken(*rows, threads=2).startswith('openvino bf16')
    assert taken(*rows, precision='fp16') == ''

# SPDX-License-Identifier: Apache-2.0
"""The benchmark's processes work together; what they measure is not judged here."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import pytest

from seg_ros.commands.bench import command as bench
from seg_ros.commands.bench.figures import FIGURES
from seg_ros.commands.bench.networks import write_small_engine
from seg_ros.commands.bench.parts import Settings
from seg_ros.commands.bench.process import BenchProcess, bench_environment
from seg_ros.core.errors import SegRosError
from seg_ros.inference.engine import load_engine

SHORT = Settings(
    rounds=1,
    bare_s=0.3,
    calm_s=1.0,
    busy_s=1.0,
    warm_up_s=0.2,
    cameras_s=1.0,
    memory_frames=40,
    transport_s=1.0,
    overlap_s=0.3,
    overlap_rounds=1,
    view_s=1.0,
)


@pytest.mark.slow
def test_every_figure_comes_out_of_one_short_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bench, 'QUICK', SHORT)
    parser = argparse.ArgumentParser()
    bench.add_arguments(parser)
    engine = write_small_engine(tmp_path / 'small')
    words = ['--quick', '--json', '--backend', 'onnxruntime', '--engine', str(engine)]
    words += ['--camera-size', '640', '360']
    assert bench.main(parser.parse_args(words)) in (0, 1)

    printed = json.loads(capsys.readouterr().out)
    values = {name: printed[name] for name in FIGURES}
    if printed['raw']['no_textbook']:
        assert 'cv_bridge' in printed['raw']['no_textbook']
        assert values.pop('over_textbook_throughput') is None
        assert values.pop('over_textbook_p95') is None
    assert values.pop('auto_over_best') is None
    assert 'by hand' in printed['raw']['no_choice']
    assert printed['cpu_overlapped_rate_ratio'] > 0
    if reason := printed['raw'].get('no_overlap'):
        assert 'gcc' in reason
        assert values.pop('overlapped_of_ideal') is None
    else:
        assert printed['overlapped_rate_ratio'] > 0
    assert all(value is not None and value >= 0 for value in values.values()), values
    assert 0 < values['multi_camera_min_share'] <= 1
    assert printed['labels_per_s'] > 0
    assert printed['raw']['view']['pictures'] > 0
    assert printed['raw']['view']['picture_wh'] == [640, 360]
    assert printed['raw']['settings']['camera_wh'] == [640, 360]
    assert printed['raw']['backend']['backend'] == 'onnxruntime'
    assert load_engine(engine).name == printed['raw']['engine']


def test_a_process_that_ends_early_is_reported_with_the_end_of_its_log(tmp_path: Path) -> None:
    script = 'import sys; print("the reason", file=sys.stderr); sys.exit(3)'
    with (
        BenchProcess('peer', ['-c', script], bench_environment(tmp_path), tmp_path) as peer,
        pytest.raises(SegRosError, match=r'(?s)peer has ended with code 3.*the reason'),
    ):
        peer.answer()


def test_a_process_is_closed_while_its_output_is_still_read(tmp_path: Path) -> None:
    """An error of the thread that reads is one of the test, by pytest's threadexception."""
    script = 'import sys\nwhile True: print("x" * 4000)'
    for _ in range(10):
        with BenchProcess('peer', ['-c', script], bench_environment(tmp_path), tmp_path) as peer:
            time.sleep(0.05)
        assert not peer._reader.is_alive()
        assert peer._process.returncode is not None

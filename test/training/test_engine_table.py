# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip('torch', reason='training needs torch: training/install.sh')

from pathlib import Path  # noqa: E402

from torch import nn  # noqa: E402

from training.compare import macs  # noqa: E402
from training.engine_table import gigamacs, speed_table, table_of_engines  # noqa: E402
from training.export import export_onnx  # noqa: E402

REPOSITORY = Path(__file__).resolve().parents[2]


class Tiny(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 16, 3, 4, 1), nn.Conv2d(16, 12, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)


def tuned(cpu: str, median_ms: float) -> dict[str, Any]:
    def row(backend: str, precision: str, threads: int, ms: float) -> dict[str, Any]:
        candidate = {'backend': backend, 'precision': precision, 'threads': threads}
        return {'candidate': candidate, 'median_ms': ms}

    return {
        'engine': 'roadseg',
        'key': {'cpu': cpu, 'cores': 2},
        'chosen': {'backend': 'openvino', 'precision': 'int8', 'threads': 2},
        'rows': [
            row('openvino', 'int8', 1, 2 * median_ms),
            row('openvino', 'int8', 2, median_ms),
            row('openvino', 'bf16', 2, 0.0),  # cannot run there
        ],
    }


def test_multiply_adds_of_a_graph_are_those_of_the_network(tmp_path: Path) -> None:
    network = Tiny().eval()
    export_onnx(network, tmp_path / 'model.onnx', (64, 32), half_weights=True)
    assert gigamacs(tmp_path / 'model.onnx') * 1e9 == pytest.approx(macs(network, (64, 32)))


def test_a_cpu_that_is_measured_again_has_its_row_once_and_others_keep_theirs() -> None:
    first = speed_table([tuned('slow', 100.0), tuned('fast', 20.0)], '')
    rows = speed_table([tuned('slow', 50.0)], first).splitlines()[2:]
    assert rows == [
        '| fast, 2 | `roadseg` |  |  |  |  | 50 (2) | openvino int8, 2 |',
        '| slow, 2 | `roadseg` |  |  |  |  | 20 (2) | openvino int8, 2 |',
    ]


def test_the_page_says_what_the_engines_own_figures_say() -> None:
    folders = sorted(path.parent for path in (REPOSITORY / 'engines').glob('*/spec.yaml'))
    assert table_of_engines(folders) in (REPOSITORY / 'docs/engines.md').read_text()

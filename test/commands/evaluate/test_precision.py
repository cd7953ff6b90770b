# SPDX-License-Identifier: Apache-2.0
"""Every task asks the backend for the precision that the node's parameters name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from seg_ros.cli import main
from seg_ros.commands.evaluate.lane import task as lane
from seg_ros.commands.evaluate.sight import task as sight
from seg_ros.commands.evaluate.stop import processes as stop
from seg_ros.core.errors import EngineError


@pytest.mark.parametrize(
    ('name', 'module', 'arguments'),
    [
        ('stop', stop, ('--dataset', 'pictures')),
        ('stop', stop, ('--video', 'pictures')),
        ('sight', sight, ('--dataset', 'pictures')),
        ('lane', lane, ('--labels', 'network')),
    ],
)
def test_the_precision_of_the_parameters_is_what_is_measured(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    module: Any,
    arguments: tuple[str, ...],
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / 'pictures'
    folder.mkdir()
    cv2.imwrite(str(folder / 'a.png'), np.full((36, 64, 3), 90, np.uint8))
    cv2.imwrite(str(folder / 'a.label.png'), np.full((36, 64), 3, np.uint8))
    asked: list[str] = []

    def create_backend(*_: Any, precision: str = 'auto', **__: Any) -> Any:
        asked.append(precision)
        raise EngineError('asked')

    monkeypatch.setattr(module, 'create_backend', create_backend)
    assert main(['evaluate', '--task', name, '-p', 'precision:=fp32', *arguments]) != 0
    assert asked == ['fp32']

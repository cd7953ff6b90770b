# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path
from typing import Any


class FindPackageShare:
    def __init__(self, package: str) -> None:
        assert package == 'seg_ros'

    def perform(self, context: Any) -> str:
        return str(Path(__file__).parents[4])

# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path
from typing import Any

INSTALLED = {'seg_ros', 'nav2_collision_monitor', 'nav2_lifecycle_manager', 'nav2_costmap_2d'}


class FindPackageShare:
    def __init__(self, package: str) -> None:
        self.package = package

    def perform(self, context: Any) -> str:
        if self.package not in INSTALLED:
            raise KeyError(self.package)  # PackageNotFoundError is one
        return str(Path(__file__).parents[4])

# SPDX-License-Identifier: Apache-2.0
"""Where the repository lies."""

from __future__ import annotations

from pathlib import Path

__all__ = ['REPOSITORY']

REPOSITORY = Path(__file__).parents[1]

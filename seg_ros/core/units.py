# SPDX-License-Identifier: Apache-2.0
"""Units: stamps are integer nanoseconds, times that people give are seconds."""

from __future__ import annotations

__all__ = ['NS_PER_MS', 'NS_PER_S']

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000

# SPDX-License-Identifier: Apache-2.0
"""One line of what ``seg_ros doctor`` found."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ['CheckResult']


class CheckResult(NamedTuple):
    """One check.

    Attributes:
        check: What was looked at.
        ok: False when it stands in the way of the main job; what is only missing an option is ok.
        value: What was found.
        fix: What to do about it. A row that is ok may have one too, as a hint.
    """

    check: str
    ok: bool
    value: str
    fix: str = ''

    @property
    def mark(self) -> str:
        """'ok', 'hint' for what could be better, 'FIX' for what must be."""
        if not self.ok:
            return 'FIX'
        return 'hint' if self.fix else 'ok'

# SPDX-License-Identifier: Apache-2.0
"""How the node ends when only a new process can use the GPU; the launch files start one then."""

from __future__ import annotations

__all__ = ['EXIT_DEVICE_LOST', 'RESTART_AFTER_S']

EXIT_DEVICE_LOST = 75  # sysexits.h, EX_TEMPFAIL: try again
RESTART_AFTER_S = 2.0  # a GPU that is lost at once again must not fill the log

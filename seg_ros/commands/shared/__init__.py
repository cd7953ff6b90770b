# SPDX-License-Identifier: Apache-2.0
"""What several commands share: child processes, a line of progress, waits, types of a bag.

Read ``children.py`` first. May import what ``commands`` may, and no command.
"""

# SPDX-License-Identifier: Apache-2.0
"""The workshop's command line: one folder a command, which begins in its ``command.py``.

``seg_ros/cli.py`` lists them, and imports only the one that is asked for. May import every room;
no room imports a command.
"""

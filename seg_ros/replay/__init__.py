# SPDX-License-Identifier: Apache-2.0
"""One recording in, one finished bag out; no graph, no clock.

Read ``replay.py`` first, which tells the story. May import ``recordings``, ``pictures``,
``messages``, ``decisions``, ``inference`` and ``core``; neither ``ros`` nor ``report``.

A process that replays has no use for the classes of ROS, unless it has taken them already.
"""

from seg_ros.messages.plain import prefer_plain

prefer_plain()

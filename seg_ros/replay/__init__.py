"""One recording in, one finished bag out; no graph, no clock. May import messages and media.

A process that replays has no use for the classes of ROS, unless it has taken them already.
"""

from seg_ros.messages.plain import prefer_plain

prefer_plain()

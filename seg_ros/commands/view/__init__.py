# SPDX-License-Identifier: Apache-2.0
"""``seg_ros view``: what the node says, live, as a page in a browser.

Read ``command.py`` first. ``watched_node.py`` listens to the graph in the main thread,
``scene.py`` makes JSON of what it hears, ``server.py`` serves it from threads of its own, and
``audience.py`` is all that both sides share. ``foxglove.py`` (``--foxglove``) is a thread and a
node of its own. May import ``shared`` and ``seg_ros.ros``.
"""

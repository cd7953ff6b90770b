# SPDX-License-Identifier: Apache-2.0
"""What the node says, as messages, on machines with ROS and without.

Read ``outputs.py`` first: the table of all topics. May import ``decisions`` and ``core``; only
``types.py`` imports message packages, and nothing here talks to a graph.
"""

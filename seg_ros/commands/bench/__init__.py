# SPDX-License-Identifier: Apache-2.0
"""``seg_ros bench``: the node measured against bare inference and a textbook node.

Read ``figures.py`` first, which says what is measured, then ``parts.py``, which measures it with
the processes of ``stage.py``. May import ``ros`` and ``inference``; imports no other command.
"""

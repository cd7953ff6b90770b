# SPDX-License-Identifier: Apache-2.0
"""Lane tracking: from label images to the lane's path in metres, with a word on its validity.

Read ``tracker`` first. It follows painted lines (``markings``) and, without them, the drivable
ground (``corridor``). Both are a ``follower``: begun by ``vote``, predicted by ``filter``, updated
by ``fit``, judged by ``checks``. ``points`` is where pixels become metres, ``shape`` the curve.
"""

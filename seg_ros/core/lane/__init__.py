"""Lane tracking: from label images to the lane's path in metres, with a word on its validity.

Read ``tracker`` first. It follows painted lines (``markings``) and, without them, the drivable
ground (``corridor``); both are a ``follower``: predicted by ``filter``, updated by ``fit``, judged by
``checks``, begun by ``vote``. ``points`` is where the pixels become metres, ``shape`` the curve.
"""

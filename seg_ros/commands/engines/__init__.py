"""``seg_ros engines`` (``command.py``) and ``seg_ros build-engine`` (``build.py``): plans."""

# SPDX-License-Identifier: Apache-2.0
"""Pictures and videos for people: text, legends, moments side by side, the ground from above.

Read ``drawing.py`` first. Only draws: may import ``core``, and knows no recording and no network.
"""

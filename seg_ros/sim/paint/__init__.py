# SPDX-License-Identifier: Apache-2.0
"""Painters: a moment of the world as a picture with labels; may import the rest of ``sim``.

Read ``renderer`` first, then ``canvas`` and ``brush``, which every painter uses.
"""

# SPDX-License-Identifier: Apache-2.0
"""Renderers of labels alone, much faster than a picture; may import ``sim`` and ``sim.paint``.

Read ``road`` first: a bare road. ``renderer`` adds all that stands on it.
"""

# SPDX-License-Identifier: Apache-2.0
"""Which backend, precision and threads are fastest here: measured once and remembered.

Read ``choice.py`` for the rule, ``memory.py`` for what is kept. ``tune_process`` runs it.
"""

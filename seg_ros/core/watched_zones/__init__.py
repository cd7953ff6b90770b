# SPDX-License-Identifier: Apache-2.0
"""Watched zones: how much of a named part of picture or ground some classes cover.

Read ``monitor`` first.
"""

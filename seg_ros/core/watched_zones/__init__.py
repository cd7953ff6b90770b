"""Watched zones: how much of a named part of picture or ground some classes cover.

Read ``monitor`` first.
"""

# SPDX-License-Identifier: Apache-2.0
"""Numbers of a command line: what cannot be is refused by argparse, NaN and infinity too."""

from __future__ import annotations

import argparse
import math

__all__ = ['one_or_more', 'positive', 'positive_or_zero', 'zero_or_more']


def positive(text: str) -> float:
    """Returns a finite number above 0."""
    value = _number(text)
    if not value > 0.0:
        raise argparse.ArgumentTypeError(f'{text}: give more than 0')
    return value


def positive_or_zero(text: str) -> float:
    """Returns a finite number that is not below 0."""
    value = _number(text)
    if not value >= 0.0:
        raise argparse.ArgumentTypeError(f'{text}: give 0 or more')
    return value


def one_or_more(text: str) -> int:
    """Returns a whole number above 0."""
    value = zero_or_more(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f'{text}: give 1 or more')
    return value


def zero_or_more(text: str) -> int:
    """Returns a whole number that is not below 0."""
    try:
        value = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f'{text!r} is no whole number') from None
    if value < 0:
        raise argparse.ArgumentTypeError(f'{text}: give 0 or more')
    return value


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f'{text!r} is no number') from None
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f'{text}: give a finite number')
    return value

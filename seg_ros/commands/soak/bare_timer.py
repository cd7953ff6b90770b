# SPDX-License-Identifier: Apache-2.0
"""Wakes up at the rate of the heartbeat and does nothing else: the best this machine can do."""

from __future__ import annotations

import json
import sys
import time

__all__: list[str] = []


def main(period_s: float) -> None:
    """Tells once a second when it woke up."""
    due_s = time.monotonic()
    while True:
        woken_ns: list[int] = []
        for _ in range(round(1.0 / period_s)):
            due_s = max(due_s + period_s, time.monotonic())
            time.sleep(max(0.0, due_s - time.monotonic()))
            woken_ns.append(time.time_ns())
        print(json.dumps({'woken_ns': woken_ns}), flush=True)


if __name__ == '__main__':
    main(float(sys.argv[1]))

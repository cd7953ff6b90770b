# SPDX-License-Identifier: Apache-2.0
"""Cores and priority."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from seg_ros.core.errors import ConfigurationError
from seg_ros.ros.scheduling import cores_of, raise_priority

ON_ONE_CORE = """
import os, threading
from seg_ros.ros.scheduling import AT_START, put_on_cores

over = threading.Event()
older = threading.Thread(target=over.wait)
older.start()
core = min(os.sched_getaffinity(0))
put_on_cores(str(core))
younger = threading.Thread(target=over.wait)
younger.start()
print([os.sched_getaffinity(row.native_id) == {core} for row in (older, younger)])
put_on_cores('')
print([os.sched_getaffinity(row.native_id) == AT_START for row in (older, younger)])
over.set()
"""


@pytest.mark.parametrize(
    ('text', 'cores'), [('0', {0}), ('0,2', {0, 2}), ('1-3', {1, 2, 3}), ('0, 2-3', {0, 2, 3})]
)
def test_cores_are_named_as_taskset_takes_them(text: str, cores: set[int]) -> None:
    assert cores_of(text, range(4)) == cores


@pytest.mark.parametrize('text', ['x', '1-', ',', '-1', '3-1', '4', '0-9999999999', '0;1'])
def test_a_core_that_is_none_is_refused_by_name(text: str) -> None:
    with pytest.raises(ConfigurationError, match=f"cpu_cores is '{text}'"):
        cores_of(text, range(4))


def test_every_thread_of_the_process_is_put_on_its_cores_and_back() -> None:
    result = subprocess.run(
        [sys.executable, '-c', ON_ONE_CORE], capture_output=True, text=True, check=True
    )
    assert result.stdout.split('\n')[:2] == ['[True, True]'] * 2


def test_a_priority_that_is_not_allowed_says_how_to_allow_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_arguments: object) -> None:
        raise PermissionError(1, 'Operation not permitted')

    monkeypatch.setattr(os, 'sched_setscheduler', refuse)
    assert 'rtprio 40' in raise_priority(os.getpid(), 40)
    assert raise_priority(os.getpid(), 0) == ''

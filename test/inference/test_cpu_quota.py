# SPDX-License-Identifier: Apache-2.0
"""What control groups say in the forms that containers and services have."""

from __future__ import annotations

from pathlib import Path

import pytest

from seg_ros.inference.cpu_quota import quota_cores

V1 = '12:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n'
Files = dict[str, str]


@pytest.mark.parametrize(
    ('own', 'files', 'cores'),
    [
        ('0::/\n', {}, None),
        ('0::/\n', {'cpu.max': 'max 100000\n'}, None),
        ('0::/\n', {'cpu.max': '150000 100000\n'}, 1.5),
        # a service within a slice that is limited; the tightest of all counts
        ('0::/a/b\n', {'a/cpu.max': '100000 100000\n', 'a/b/cpu.max': 'max 100000\n'}, 1.0),
        ('0::/a/b\n', {'a/cpu.max': '400000 100000\n', 'a/b/cpu.max': '50000 100000\n'}, 0.5),
        # the host's path, in a container that sees its own group at the mount
        ('0::/system.slice/docker-abc\n', {'cpu.max': '200000 100000\n'}, 2.0),
        (V1, {'cpu,cpuacct/docker/abc/cpu.cfs_quota_us': '50000\n'}, None),
        (
            V1,
            {
                'cpu,cpuacct/docker/abc/cpu.cfs_quota_us': '50000\n',
                'cpu,cpuacct/docker/abc/cpu.cfs_period_us': '100000\n',
            },
            0.5,
        ),
        (V1, {'cpu/cpu.cfs_quota_us': '300000\n', 'cpu/cpu.cfs_period_us': '100000\n'}, 3.0),
        (V1, {'cpu/cpu.cfs_quota_us': '-1\n', 'cpu/cpu.cfs_period_us': '100000\n'}, None),
        # malformed: no limit, and no traceback
        ('nonsense', {'cpu.max': ''}, None),
        ('0::/\n', {'cpu.max': '100000\n'}, None),
        ('0::/\n', {'cpu.max': 'many 100000\n'}, None),
        ('0::/\n', {'cpu.max': '100000 0\n'}, None),
        ('0::/\n', {'cpu.max': '-100000 100000\n'}, None),
    ],
)
def test_the_tightest_limit_of_a_process_is_found(
    own: str, files: Files, cores: float | None, tmp_path: Path
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / 'own').write_text(own)
    assert quota_cores(tmp_path, tmp_path / 'own') == cores


def test_a_machine_without_control_groups_has_no_limit(tmp_path: Path) -> None:
    assert quota_cores(tmp_path / 'nothing', tmp_path / 'none') is None
    (tmp_path / 'own').write_bytes(b'0::/\xff')
    assert quota_cores(tmp_path, tmp_path / 'own') is None

# SPDX-License-Identifier: Apache-2.0
"""What setup.py, package.xml and the page of the Jetson say of what is needed agrees."""

from __future__ import annotations

import re
import runpy
import shlex
from unittest import mock

import pytest

from test.paths import REPOSITORY

OF_ROS = {'jazzy', 'kilted'}  # whole distributions as wheels; rosdep's users have theirs
KEYS = {  # of rosdep
    'onnxruntime': 'python3-onnxruntime-pip',
    'opencv-python-headless': 'python3-opencv',
    'numpy': 'python3-numpy',
    'argcomplete': 'python3-argcomplete',
}
PACKAGE_XML = (REPOSITORY / 'package.xml').read_text(encoding='utf-8')
JETSON = (REPOSITORY / 'docs' / 'jetson.md').read_text(encoding='utf-8')
HELPS_TO_BUILD = 'colcon-common-extensions'


def name_of(requirement: str) -> str:
    return re.split(r'[<>=!~\[; ]', requirement)[0]


def extras() -> dict[str, list[str]]:
    with mock.patch('setuptools.setup') as setup:
        runpy.run_path(str(REPOSITORY / 'setup.py'))
    rows: dict[str, list[str]] = setup.call_args.kwargs['extras_require']
    return rows


def bounds(requirement: str) -> set[str]:
    """Returns what keeps a newer version out."""
    return set(re.findall(r'(?:==|<)[\w.]+', requirement))


@pytest.mark.parametrize('extra', sorted(extras().keys() - OF_ROS))
def test_every_extra_is_named_for_who_installs_with_rosdep(extra: str) -> None:
    """By its key where rosdep has one, else by pip's name with the extra that brings it."""
    for name in map(name_of, extras()[extra]):
        if key := KEYS.get(name):
            assert key in PACKAGE_XML
        else:
            (comment,) = re.findall(rf'[:;]\s+{re.escape(name)}\s+\(([^)]+)\)', PACKAGE_XML)
            assert extra in re.split(r',\s+', comment), f'{name} is of {extra}, too'


@pytest.mark.parametrize(('extra', 'jetpack'), [('jetpack6', 6), ('jetpack7', 7)])
def test_an_extra_of_a_jetpack_takes_what_its_page_installs(extra: str, jetpack: int) -> None:
    (line,) = re.findall(rf'# JetPack {jetpack} .*\npip install (.+)', JETSON)
    written = {name_of(word): bounds(word) for word in shlex.split(line)}
    assert written.pop(HELPS_TO_BUILD) == set()
    assert written == {name_of(row): bounds(row) for row in extras()[extra]}


def test_nothing_that_a_jetpack_6_is_given_brings_numpy_2() -> None:
    """Else Humble's cv_bridge and apt's OpenCV break: onnx takes the newest numpy there is."""
    rows = extras()['jetpack6']
    assert 'numpy<2' in rows
    assert '<4.12' in next(row for row in rows if row.startswith('opencv'))  # the last for numpy 1

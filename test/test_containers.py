# SPDX-License-Identifier: Apache-2.0
"""Dockerfile and pixi.toml, which cannot be built here, against what says what is needed."""

from __future__ import annotations

import re
import runpy
from typing import Any
from unittest import mock
from xml.etree import ElementTree

import pytest

from test.paths import REPOSITORY

DOCKERFILE = (REPOSITORY / 'docker/Dockerfile').read_text()
MANUAL = (REPOSITORY / 'docker/README.md').read_text()
README = (REPOSITORY / 'README.md').read_text()
QUICKSTART = (REPOSITORY / 'docs/quickstart.md').read_text()
# What ros-base brings (REP 2001); the rest of package.xml must be asked for by its name
ROS_BASE = {
    'rclpy', 'rcl_interfaces', 'lifecycle_msgs', 'sensor_msgs', 'std_msgs', 'std_srvs',
    'builtin_interfaces', 'rosgraph_msgs', 'diagnostic_msgs', 'geometry_msgs', 'nav_msgs',
    'visualization_msgs', 'launch', 'launch_ros',
}  # fmt: skip
CONDA = {'numpy': 'numpy', 'pyyaml': 'pyyaml', 'onnxruntime': 'onnxruntime',
         'opencv-python-headless': 'py-opencv'}  # fmt: skip


def ranges() -> dict[str, str]:
    """What setup.py asks for, to run on a CPU: lowest versions by name."""
    with mock.patch('setuptools.setup') as setup:
        runpy.run_path(str(REPOSITORY / 'setup.py'))
    words = setup.call_args.kwargs
    rows = [*words['install_requires'], *words['extras_require']['cpu']]
    return dict(row.split('>=') for row in rows)


def needed() -> set[str]:
    return {
        str(row.text) for row in ElementTree.parse(REPOSITORY / 'package.xml').iter('exec_depend')
    }


def pixi() -> dict[str, Any]:
    tomllib = pytest.importorskip('tomllib', reason='comes with Python 3.11')
    found: dict[str, Any] = tomllib.loads((REPOSITORY / 'pixi.toml').read_text())
    return found


def test_the_image_installs_as_readme_and_quickstart_say() -> None:
    (rosdep,) = re.findall(r'rosdep install (.+?) \\', DOCKERFILE)
    assert f'rosdep install {rosdep}`' in README
    assert f'rosdep install {rosdep}\n' in QUICKSTART
    assert '--no-deps' in DOCKERFILE
    assert f"'onnxruntime>={ranges()['onnxruntime']}'" in DOCKERFILE
    skipped = set(re.findall(r'--skip-keys (\S+)', rosdep))
    assert skipped == {'python3-onnxruntime-pip'} <= needed()  # pip installs it, nothing else


def test_an_image_is_built_of_every_distribution_that_the_readme_promises() -> None:
    promised = re.findall(r'a ROS 2 installation \(([\w, ]+)\)', README)[0].lower().split(', ')
    built = re.findall(r'--build-arg ROS_DISTRO=(\w+) -t seg_ros:(\w+)', MANUAL)
    assert [row[0] for row in built] == [row[1] for row in built] == promised
    launching = (REPOSITORY / 'launch/nav2.launch.py').read_text()
    assert all(f"'{name}'" in launching for name in promised)
    assert 'FROM ros:${ROS_DISTRO}-ros-base' in DOCKERFILE
    assert DOCKERFILE.index('ARG ROS_DISTRO') < DOCKERFILE.index('FROM')


def test_what_is_copied_into_the_image_leaves_out_what_is_made_here() -> None:
    ignored = (REPOSITORY / '.dockerignore').read_text().split()
    assert {'.git', '.venv*', 'out', 'build', 'install', 'log'} <= set(ignored)
    assert 'colcon build --packages-select seg_ros' in DOCKERFILE
    assert (REPOSITORY / 'launch/segmentation.launch.py').exists()
    assert 'ros2 launch seg_ros segmentation.launch.py' in DOCKERFILE


def test_pixi_has_the_versions_of_setup_py_and_the_packages_of_package_xml() -> None:
    there = pixi()['dependencies']
    for name, low in ranges().items():
        assert there[CONDA[name]] == f'>={low}'
    of_ros = {row for row in needed() if not row.startswith('python3-')}
    asked_for = {
        name.removeprefix('ros-jazzy-').replace('-', '_')
        for name in there
        if name.startswith('ros-jazzy-')
    }
    assert asked_for == {'ros_base', *(of_ros - ROS_BASE)}


def test_every_task_that_the_manual_names_is_there_and_calls_a_command_that_is() -> None:
    tasks = pixi()['tasks']
    assert set(re.findall(r'pixi run (\w+)', MANUAL)) <= tasks.keys()
    assert 'seg_ros doctor' in tasks['doctor']['cmd']
    assert all(tasks[name]['depends-on'] == ['build'] for name in ('doctor', 'launch'))


def test_both_say_that_they_are_unbuilt() -> None:
    for text in (DOCKERFILE, MANUAL, (REPOSITORY / 'pixi.toml').read_text()):
        assert 'nbuilt' in text

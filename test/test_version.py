# SPDX-License-Identifier: Apache-2.0
"""The version stands once, in ``seg_ros/__init__.py``; ROS tools read it from package.xml."""

from __future__ import annotations

import subprocess
import sys
import xml.etree.ElementTree as ET

import seg_ros
from test.paths import REPOSITORY


def test_package_xml_has_the_version_of_the_package() -> None:
    assert ET.parse(REPOSITORY / 'package.xml').findtext('version') == seg_ros.__version__


def test_setup_py_takes_the_version_from_the_package() -> None:
    told = subprocess.run(
        [sys.executable, 'setup.py', '--version'],
        cwd=REPOSITORY, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert told.stdout.split()[-1] == seg_ros.__version__

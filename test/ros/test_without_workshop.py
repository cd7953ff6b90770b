# SPDX-License-Identifier: Apache-2.0
"""The node runs where only the node's dependencies are installed, and imports none but these."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from sensor_msgs.msg import Image

from test.ros.drive import Drive
from test.ros.graph import Graph, wait_for

WORKSHOP_ROOMS = ('commands', 'recordings', 'replay', 'report', 'pictures', 'sim')
NOT_FOR_THE_NODE = (
    'PIL', 'apsw', 'backports', 'launch', 'lz4', 'matplotlib', 'onnx', 'pandas', 'playwright',
    'ray', 'rosbags', 'ruamel', 'scipy', 'torch', 'zstandard',
    'onnxruntime', 'openvino', 'tensorrt',  # the canned backend needs none
)  # fmt: skip

NODE_ALONE = """
import sys

rooms = tuple(f'seg_ros.{room}' for room in sys.argv[1].split())
blocked = (*rooms, *sys.argv[2].split())

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name in blocked or name.partition('.')[0] in blocked:
            raise ModuleNotFoundError(f'{name} is not for the node', name=name)

sys.meta_path.insert(0, Blocked())
from seg_ros.cli import main

code = main(['run', *sys.argv[3:]])
print(sorted(name for name in sys.modules if name.startswith(rooms)), flush=True)
sys.exit(code)
"""


def test_the_node_publishes_labels_with_everything_of_the_workshop_blocked(
    graph: Graph, domain_id: int, engine: Path, tmp_path: Path
) -> None:
    log = tmp_path / 'node.log'
    words = ['--ros-args', '-p', f'engine:={engine}', '-p', 'backend:=canned']
    with log.open('wb') as out:
        node = subprocess.Popen(
            [sys.executable, '-c', NODE_ALONE, ' '.join(WORKSHOP_ROOMS),
             ' '.join(NOT_FOR_THE_NODE), *words],
            stdout=out,
            stderr=subprocess.STDOUT,
            env={**os.environ, 'ROS_DOMAIN_ID': str(domain_id)},
        )  # fmt: skip
    labels = graph.collect(Image, '/segmentation/label')
    drive = Drive(graph)
    try:
        wait_for(lambda: labels or node.poll() is not None, 'a label image')
        assert labels, log.read_text()
    finally:
        drive.close()
        node.terminate()
        assert node.wait(30.0) == 0, log.read_text()
    assert log.read_text().splitlines()[-1] == '[]', 'a room of the workshop was imported'


def test_importing_the_node_imports_no_room_of_the_workshop() -> None:
    code = 'import sys, seg_ros.ros.segmentation_node; print(*sys.modules)'
    loaded = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert 'seg_ros.ros.worker' in loaded
    rooms = tuple(f'seg_ros.{room}' for room in WORKSHOP_ROOMS)
    assert [name for name in loaded if name.startswith(rooms)] == []
    assert [name for name in loaded if name.partition('.')[0] in NOT_FOR_THE_NODE] == []

# SPDX-License-Identifier: Apache-2.0
"""Installs seg_ros with pip and, as an ament_python package, with colcon."""

import re
from pathlib import Path

from setuptools import find_packages, setup

NAME = 'seg_ros'
HERE = Path(__file__).parent
VERSION = re.search(  # its one source; package.xml has the same, which a test checks
    r"__version__ = '(.+)'", (HERE / NAME / '__init__.py').read_text(encoding='utf-8')
)[1]

# PyPI carries the real ROS 2 as wheels; a robot has its ROS from apt and takes none of these.
ROS_WHEELS = {
    'jazzy': [
        'ros-jazzy-rclpy==7.1.6',
        'ros-jazzy-rmw-fastrtps-cpp==8.4.3',
        'ros-jazzy-common-interfaces==5.3.6',
        'ros-jazzy-lifecycle-msgs==2.0.3',
    ],
    'kilted': [
        'ros-kilted-rclpy==9.1.2',
        'ros-kilted-rmw-fastrtps-cpp==9.3.3',
        'ros-kilted-common-interfaces==5.5.1',
        'ros-kilted-lifecycle-msgs==2.3.0',
    ],
}


def share(folder: str) -> list[tuple[str, list[str]]]:
    """Lists the files of a folder for installation below ``share/seg_ros/``."""
    rows: dict[str, list[str]] = {}
    for path in sorted((HERE / folder).rglob('*')):
        if path.is_file() and '__pycache__' not in path.parts:
            file = path.relative_to(HERE)
            rows.setdefault(f'share/{NAME}/{file.parent.as_posix()}', []).append(file.as_posix())
    return list(rows.items())


setup(
    name=NAME,
    version=VERSION,
    description='Semantic segmentation for ROS 2: labels, pedestrian stop and lane track',
    # No address: nobody can be written to. Report what is wrong as an issue of the repository.
    author='The seg_ros authors',
    maintainer='The seg_ros authors',
    license='Apache-2.0',
    python_requires='>=3.10',
    packages=find_packages(include=[NAME, f'{NAME}.*']),
    package_data={NAME: ['py.typed', 'resource/*']},
    data_files=[
        ('share/ament_index/resource_index/packages', [f'{NAME}/resource/{NAME}']),
        (f'share/{NAME}', ['package.xml']),
        ('bin', ['bin/seg_ros']),  # colcon's; pip puts its own script over it
        *share('launch'),
        *share('config'),
        *share('engines'),
    ],
    install_requires=['numpy>=1.21', 'pyyaml>=5.4'],
    extras_require={
        **ROS_WHEELS,
        # Ranges: what is tested together is pinned in .ci/requirements-*.txt.
        'cpu': ['onnxruntime>=1.17', 'opencv-python-headless>=4.5.4'],
        'openvino': ['openvino>=2025.0'],
        'wrap': ['onnx>=1.15'],
        # GPU memory, and what rewrites the network for a plan; TensorRT itself is JetPack's on a
        # Jetson. Before 12.9 cuda-bindings hold Python's lock while they wait for the GPU.
        'cuda': ['cuda-bindings>=12.9.10', 'onnx>=1.15'],
        # As docs/jetson.md installs them. Humble's cv_bridge is built for numpy 1, and onnx would
        # bring numpy 2; an OpenCV of pip from 4.12 on asks for that, too.
        'jetpack6': [
            'cuda-bindings==12.9.10',
            'numpy<2',
            'onnx>=1.15',
            'onnxruntime>=1.17',
            'opencv-python-headless>=4.5.4,<4.12',
        ],
        'jetpack7': [
            'cuda-bindings==13.4.4',
            'onnx>=1.15',
            'onnxruntime>=1.17',
            'opencv-python-headless>=4.5.4',
        ],
        'rtx': [
            'cuda-bindings>=13',
            'onnx>=1.15',
            'tensorrt-rtx-cu13-bindings==1.7.1.116',
            'tensorrt-rtx-cu13-libs==1.7.1.116',
        ],
        # Bounds: seg_ros/recordings/truncated_mcap.py says why.
        'bags': ['rosbags>=0.11.6,<0.12'],
        # seg_ros view --foxglove; its messages are defined by rosbags.
        'foxglove': ['foxglove-sdk>=0.30', 'rosbags>=0.11.6,<0.12'],
        'completion': ['argcomplete>=2'],  # of the shell
        'ray': ['ray>=2.40'],  # seg_ros replay --ray
    },
    entry_points={
        'console_scripts': [
            'seg_ros = seg_ros.cli:main',
            'segmentation_node = seg_ros.ros.process:main_process',
        ],
    },
    options={
        'develop': {'script_dir': f'$base/lib/{NAME}'},
        'install': {'install_scripts': f'$base/lib/{NAME}'},
    },
    zip_safe=False,
)

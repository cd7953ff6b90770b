# SPDX-License-Identifier: Apache-2.0
"""``seg_ros``: the command line, one row per command.

A command is a module with ``add_arguments(parser)`` and ``main(arguments) -> exit code``, or with
``main(argv)`` where all that follows is for ROS. It is imported only when it is asked for, so
that ``seg_ros --help`` needs neither ROS nor an engine.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from typing import NamedTuple

from seg_ros import __version__
from seg_ros.core.errors import SegRosError
from seg_ros.ros.process import ONE_THREAD

__all__ = ['COMMANDS', 'main']


class Command(NamedTuple):
    """Where a command lives and what it is for."""

    module: str
    summary: str
    takes_all_arguments: bool = False


COMMANDS = {
    'run': Command('seg_ros.ros.segmentation_node', 'run the node', takes_all_arguments=True),
    'camera': Command(
        'seg_ros.commands.camera.command', 'publish a drive, video, folder or bag as a camera'
    ),
    'play': Command(
        'seg_ros.commands.play.command', 'publish a recorded bag as it was, with its clock'
    ),
    'replay': Command(
        'seg_ros.commands.replay', 'replay a recording into a finished bag, without a graph'
    ),
    'report': Command(
        'seg_ros.commands.report', 'show what happened on a recorded drive, or what changed'
    ),
    'demo': Command(
        'seg_ros.commands.demo.command',
        'run camera, node and recorder; leave pictures and figures',
    ),
    'gate': Command('seg_ros.ros.gate_node', 'stop cmd_vel for people', takes_all_arguments=True),
    'golden': Command(
        'seg_ros.commands.golden.command',
        'replay three simulated drives and compare with what is expected',
    ),
    'evaluate': Command(
        'seg_ros.commands.evaluate.command',
        'measure labels, pedestrian stop, sight or lane track',
        takes_all_arguments=True,
    ),
    'simulate': Command(
        'seg_ros.commands.simulate.command',
        'drive a vehicle by what the node publishes, in a closed loop',
    ),
    'doctor': Command('seg_ros.commands.doctor.command', 'check this machine and say what to fix'),
    'bench': Command(
        'seg_ros.commands.bench.command',
        'measure the node against bare inference and a textbook node',
    ),
    'build-engine': Command('seg_ros.commands.build_engine', "make an engine's TensorRT plan"),
    'calibrate-engine': Command(
        'seg_ros.commands.calibrate_engine', 'measure which pictures an engine knows'
    ),
    'gpu-check': Command(
        'seg_ros.commands.gpu.command', "check this machine's GPU, with TensorRT"
    ),
    'engines': Command(
        'seg_ros.commands.engines.command', 'list, verify and prune TensorRT plans'
    ),
    'wrap': Command(
        'seg_ros.commands.wrap.command', "put the engine contract around a third party's network"
    ),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit code."""
    os.environ.setdefault(*ONE_THREAD)  # read when numpy is imported, here and in child processes
    argv = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(
        prog='seg_ros', description='Semantic segmentation for ROS 2.', allow_abbrev=False
    )
    parser.add_argument('--version', action='version', version=f'seg_ros {__version__}')
    rows = parser.add_subparsers(dest='command', metavar='COMMAND', required=True)
    chosen = next((word for word in argv if not word.startswith('-')), None)
    for name, command in COMMANDS.items():
        row = rows.add_parser(name, help=command.summary, description=command.summary)
        if name == chosen and not command.takes_all_arguments:
            module = importlib.import_module(command.module)
            module.add_arguments(row)
            row.set_defaults(main=module.main)
    try:
        if chosen in COMMANDS and COMMANDS[chosen].takes_all_arguments:
            module = importlib.import_module(COMMANDS[chosen].module)
            return int(module.main(argv[argv.index(chosen) + 1 :]))
        arguments = parser.parse_args(argv)
        return int(arguments.main(arguments))
    except SegRosError as error:
        print(f'seg_ros {chosen}: {error}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == '__main__':
    sys.exit(main())

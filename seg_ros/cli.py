# SPDX-License-Identifier: Apache-2.0
"""``seg_ros``: the command line, one row per command.

A command is a module with ``add_arguments(parser)`` and ``main(arguments) -> exit code``, or with
``main(argv)`` where all that follows is for ROS. It is imported only when it is asked for, so
that ``seg_ros --help`` needs neither ROS nor an engine.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import os
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

from seg_ros import __version__
from seg_ros.core.errors import SegRosError
from seg_ros.ros.process import ONE_THREAD, module_of

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
    'view': Command(
        'seg_ros.commands.view.command', 'show what the node says, live, in a browser'
    ),
    'calibrate': Command(
        'seg_ros.commands.calibrate.command', 'find how a camera is mounted, from lane markings'
    ),
    'demo': Command(
        'seg_ros.commands.demo.command',
        'run camera, node and recorder; leave pictures and figures',
    ),
    'sample': Command(
        'seg_ros.commands.sample', 'make a drive of five seconds, for play, replay and report'
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
    'faults': Command(
        'seg_ros.commands.faults.command',
        'break everything around the node and judge every word of its stop',
    ),
    'soak': Command(
        'seg_ros.commands.soak.command', 'run the node with four cameras for long; what grows?'
    ),
    'build-engine': Command('seg_ros.commands.build_engine', "make an engine's TensorRT plan"),
    'calibrate-engine': Command(
        'seg_ros.commands.calibrate_engine', 'measure which pictures an engine knows'
    ),
    'gpu-check': Command(
        'seg_ros.commands.gpu.command', "check this machine's GPU, with TensorRT"
    ),
    'tune': Command(
        'seg_ros.commands.tune.command', 'measure what runs an engine fastest on this CPU'
    ),
    'engines': Command(
        'seg_ros.commands.engines.command', 'list engines; list, verify and prune TensorRT plans'
    ),
    'wrap': Command(
        'seg_ros.commands.wrap.command', "put the engine contract around a third party's network"
    ),
}


class MissingPackage(ImportError):
    """A command needs a package that is not installed."""


INSTALL = (
    'Source ROS (source /opt/ros/<distribution>/setup.bash), or: pip install ".[jazzy,cpu]" in '
    'the repository; seg_ros doctor says what is missing.'
)

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
COMPLETING = '_ARGCOMPLETE'


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit code."""
    os.environ.setdefault(*ONE_THREAD)  # read when numpy is imported, here and in child processes
    argv = list(sys.argv[1:] if argv is None else argv)
    chosen = next((word for word in argv if not word.startswith('-')), '')
    try:
        code = _run(argv, chosen)
        sys.stdout.flush()  # else Python finds the disk full when nobody can say so any more
        return code
    except SegRosError as error:
        reason = str(error)
    except MissingPackage as error:
        reason = f'{error.name} is not installed. {INSTALL}'
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # whoever read what we say has gone, and has what was wanted
        _forget_output()
        return 1
    except OSError as error:
        if error.errno in FULL:
            _forget_output()
            where = f' ({error.filename})' if error.filename else ''
            reason = f'the disk is full{where}. Make room.'
        elif error.filename is None:
            raise
        else:
            reason = f'{error.filename}: {error.strerror}. Name what this user can read and write.'
    except Exception as error:
        # What rclpy calls a name that cannot be; its module is not imported for its sake
        if not type(error).__module__.startswith('rclpy.exceptions'):
            raise
        reason = f'{" ".join(str(error).split())}. Give another name.'
    print(f'seg_ros {chosen}: {reason}', file=sys.stderr)
    return 1


def _run(argv: Sequence[str], chosen: str) -> int:
    parser = argparse.ArgumentParser(
        prog='seg_ros', description='Semantic segmentation for ROS 2.', allow_abbrev=False
    )
    parser.add_argument('--version', action='version', version=f'seg_ros {__version__}')
    rows = parser.add_subparsers(dest='command', metavar='COMMAND', required=True)
    if COMPLETING in os.environ:  # a shell asks what may come next, and tells the line here
        typed = os.environ.get('COMP_LINE', '').split()[1:]
        chosen = next((word for word in typed if not word.startswith('-')), '')
    for name, command in COMMANDS.items():
        row = rows.add_parser(name, help=command.summary, description=command.summary)
        if name == chosen and not command.takes_all_arguments:
            module = _module_of(command)
            module.add_arguments(row)
            row.set_defaults(main=module.main)
    _complete(parser)
    if chosen in COMMANDS and COMMANDS[chosen].takes_all_arguments:
        module = _module_of(COMMANDS[chosen])
        return int(module.main(argv[argv.index(chosen) + 1 :]))
    arguments = parser.parse_args(argv)
    return int(arguments.main(arguments))


def _forget_output() -> None:
    """Sends what waits to be printed to nowhere; Python would try again when it ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def _module_of(command: Command) -> Any:
    """Imports a command.

    Raises:
        MissingPackage: It needs a package that is not installed.
        SegRosError: numpy and cv2 do not fit each other.
    """
    try:
        return module_of(command.module)
    except ModuleNotFoundError as error:
        name = (error.name or '').partition('.')[0]
        if name in ('', 'seg_ros'):
            raise
        raise MissingPackage(name=name) from error


def _complete(parser: argparse.ArgumentParser) -> None:
    """Answers a shell that completes a line, where argcomplete is installed, and ends then."""
    if COMPLETING in os.environ:
        with contextlib.suppress(ImportError):
            import argcomplete

            argcomplete.autocomplete(parser)


if __name__ == '__main__':
    sys.exit(main())

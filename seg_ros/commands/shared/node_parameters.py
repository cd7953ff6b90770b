# SPDX-License-Identifier: Apache-2.0
"""The node's parameters on the command line of a command that works as the node does."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

from seg_ros.core.parameters.node_config import NodeConfig
from seg_ros.parameter_files import NODE, given_parameters
from seg_ros.replay.parameters import config_of

__all__ = ['add_parameter_arguments', 'assignments_from_arguments', 'config_from_arguments']


def add_parameter_arguments(parser: argparse._ActionsContainer) -> None:
    """Declares ``--params``, ``-p`` and ``--node``."""
    parser.add_argument(
        '--params', type=Path, metavar='FILE', help="the node's parameter file, as ROS reads it"
    )
    parser.add_argument(
        '-p',
        dest='assignments',
        action='append',
        default=[],
        metavar='NAME:=VALUE',
        help='one parameter, like engine:=roadsynth or inference_threads:=2',
    )
    parser.add_argument(
        '--node',
        default=NODE,
        metavar='NAME',
        help=f'full name of the node that the file is read for ({NODE})',
    )


def config_from_arguments(
    arguments: argparse.Namespace, warn: Callable[[str], object] | None = None
) -> NodeConfig:
    """Returns the parameters as a node would have them.

    Args:
        arguments: Of the command line.
        warn: Is told what the node would warn of; None logs it.

    Raises:
        ConfigurationError: The node would refuse them.
    """
    given = arguments.params, arguments.assignments, _node(arguments)
    return config_of(*given) if warn is None else config_of(*given, warn)


def assignments_from_arguments(arguments: argparse.Namespace) -> list[str]:
    """Returns them as ``-p NAME:=VALUE`` of a node under any name."""
    files = [] if arguments.params is None else [arguments.params]
    given = given_parameters(files, arguments.assignments, _node(arguments))
    # JSON is YAML, and quotes every text
    rows = (f'{name}:={json.dumps(value)}' for name, value in given.values.items())
    return [word for row in rows for word in ('-p', row)]


def _node(arguments: argparse.Namespace) -> str:
    return f'/{arguments.node.strip("/")}'

# SPDX-License-Identifier: Apache-2.0
"""The parameters as people read them: YAML file, page of the manual, ``--help``."""

from __future__ import annotations

import sys
import textwrap
from typing import Any

from seg_ros.core.parameters.node_config import NodeConfig
from seg_ros.core.parameters.option import Option, ParameterValue, options_of

__all__ = ['parameters_help', 'parameters_page', 'parameters_table', 'parameters_yaml']

YAML_HEAD = """\
# SPDX-License-Identifier: Apache-2.0
# The parameters of the segmentation node, each with its default and what it means.
# Written by `python -m seg_ros.core.parameters.text`; a test compares it with the code.
#
#   ros2 launch seg_ros segmentation.launch.py params_file:=my_copy.yaml
#   seg_ros run --ros-args --params-file my_copy.yaml
#
# "live" parameters may change at any time (ros2 param set), the others are read at configure.

/**:
  ros__parameters:
"""


PAGE_HEAD = """\
# Parameters

<!-- Written by `python -m seg_ros.core.parameters.text --page`; a test compares it. -->

[`config/segmentation.yaml`](../config/segmentation.yaml) is the same as a file to copy. "Live"
parameters may change at any time (`ros2 param set`), the others are read at configure.

"""


def parameters_page() -> str:
    """Returns the text of ``docs/parameters.md``."""
    return PAGE_HEAD + parameters_table()


def parameters_yaml() -> str:
    """Returns the text of ``config/segmentation.yaml``."""
    parts = [YAML_HEAD]
    for name, default, rule in options_of(NodeConfig):
        comment = textwrap.wrap(f'{rule.doc} {_rule_words(rule, default)}', 90)
        parts += [f'    # {line}\n' for line in comment]
        parts.append(f'    {name}: {_yaml_value(default)}\n\n')
    return ''.join(parts).rstrip('\n') + '\n'


def parameters_table() -> str:
    """Returns the table of all parameters, in Markdown."""
    rows = ['| parameter | default | meaning |', '|---|---|---|']
    for name, default, rule in options_of(NodeConfig):
        words = f'{rule.doc} {_rule_words(rule, default)}'.replace('|', '\\|')
        rows.append(f'| `{name}` | `{_yaml_value(default)}` | {words} |')
    return '\n'.join(rows) + '\n'


def parameters_help(config: type[Any] = NodeConfig) -> str:
    """Returns what ``seg_ros run --help`` lists."""
    parts = []
    for name, default, rule in options_of(config):
        text = textwrap.wrap(f'{rule.doc} {_rule_words(rule, default)}', 84)
        parts.append(f'  {name}:={_yaml_value(default)}\n')
        parts += [f'      {line}\n' for line in text]
    return ''.join(parts)


def _rule_words(rule: Option, default: ParameterValue) -> str:
    words = []
    if rule.choices:
        words.append(f'One of {", ".join(rule.choices)}.')
    if rule.low is not None:
        kind = int if isinstance(default, int) else float
        words.append(f'{kind(rule.low)} to {kind(rule.high or 0)} {rule.unit}'.rstrip() + '.')
    if rule.live:
        words.append('Live.')
    return ' '.join(words)


def _yaml_value(value: ParameterValue) -> str:
    if isinstance(value, tuple):
        return f'[{", ".join(_yaml_value(item) for item in value)}]'
    if isinstance(value, bool):
        return str(value).lower()
    return f"'{value}'" if isinstance(value, str) else str(value)


if __name__ == '__main__':
    print(parameters_page() if '--page' in sys.argv else parameters_yaml(), end='')

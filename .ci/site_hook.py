# SPDX-License-Identifier: Apache-2.0
"""What mkdocs shows of links that leave the manual: the path, for the site has no such file."""

from __future__ import annotations

import re
from typing import Any

OUTSIDE = re.compile(r'\[`?([^\]`]+)`?\]\(\.\./([^)]+)\)')


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Returns the page with each link to a file of the repository as its path."""
    return OUTSIDE.sub(_path, markdown)


def _path(link: re.Match[str]) -> str:
    text, path = link.groups()
    return f'`{path}`' if text in path else f'{text} (`{path}`)'

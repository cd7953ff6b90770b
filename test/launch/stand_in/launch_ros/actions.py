# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any


class LifecycleNode:
    def __init__(self, *, name: Any, namespace: Any, **more: Any) -> None:
        self.keywords = {'name': name, 'namespace': namespace, **more}


class Node:
    def __init__(self, *, package: Any, executable: Any, name: Any = None, **more: Any) -> None:
        self.keywords = {'package': package, 'executable': executable, 'name': name, **more}

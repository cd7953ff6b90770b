# SPDX-License-Identifier: Apache-2.0
"""An engine: a folder with a network (``model.onnx``) and its meaning (``spec.yaml``)."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import seg_ros
from seg_ros.core.errors import EngineError
from seg_ros.core.labels import LabelMap
from seg_ros.core.stop.domain import Domain
from seg_ros.inference.onnx.contract import check_contract, read_model
from seg_ros.inference.onnx.network_size import resized
from seg_ros.inference.spec import (
    SPEC_FILE,
    domain_of,
    label_map_of,
    network_size_of,
    origin_of,
    parse_network_size,
    read_spec,
)

__all__ = [
    'CPU_INT8_FILE',
    'INT8_FILE',
    'ONNX_FILE',
    'Engine',
    'engine_search_path',
    'find_engines',
    'load_engine',
    'model_of',
    'network_path',
]

ONNX_FILE = 'model.onnx'
INT8_FILE = 'model.int8.onnx'
CPU_INT8_FILE = 'model.int8-cpu.onnx'


@dataclass(frozen=True)
class Engine:
    """A network that fits its spec.

    Attributes:
        name: As the spec calls it.
        folder: Where it lies.
        onnx_path: The deployment graph in floating point.
        int8_path: The same with quantisation for TensorRT, or None.
        label_map: Names, colours and roles of its classes; class id = channel of the logits.
        network_size_wh: Width and height of the images that it takes.
        exported_size_wh: The size that its files were exported with; where that is another,
            ``model_of`` changes them.
        description: One sentence for people.
        training: What it was trained on, as the spec tells it.
        metrics: What was measured, as the spec tells it.
        domain: Which pictures it knows, None where nobody has measured it.
        origin: Its licence and what it was trained on, in words.
        cpu_int8_path: The graph with quantisation for OpenVINO on a CPU, or None.
    """

    name: str
    folder: Path
    onnx_path: Path
    int8_path: Path | None
    label_map: LabelMap
    network_size_wh: tuple[int, int]
    exported_size_wh: tuple[int, int]
    description: str = ''
    training: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    domain: Domain | None = None
    origin: str = ''
    cpu_int8_path: Path | None = None


def load_engine(
    name_or_path: str | Path,
    search_path: Sequence[Path] | None = None,
    network_size: str = '',
    *,
    reads_domain: bool = True,
) -> Engine:
    """Returns an engine whose files were read and found to fit each other.

    Args:
        name_or_path: A folder's name on the search path, or the path of a folder.
        search_path: Folders of engines, the first one wins; ``engine_search_path()`` by default.
        network_size: Width and height that it shall run at, '480x272'; empty for its own.
        reads_domain: False for whoever is about to measure it, because the old one may be of
            another version.

    Raises:
        ConfigurationError: A network size that is none.
        EngineError: No such engine, or a wrong spec or network; the message says what to do.
    """
    folder = _folder(name_or_path, search_path)
    spec_path = folder / SPEC_FILE
    spec = read_spec(spec_path, required=('name', 'network_size', 'classes'))
    label_map = label_map_of(spec, spec_path)
    size_wh = network_size_of(spec, spec_path)
    class_count = len(label_map.classes)
    check_contract(folder / ONNX_FILE, class_count, size_wh)
    int8_path, cpu_int8_path = (
        folder / name if (folder / name).exists() else None for name in (INT8_FILE, CPU_INT8_FILE)
    )
    for path in filter(None, (int8_path, cpu_int8_path)):
        check_contract(path, class_count, size_wh)
    return Engine(
        name=spec['name'],
        folder=folder,
        onnx_path=folder / ONNX_FILE,
        int8_path=int8_path,
        label_map=label_map,
        network_size_wh=parse_network_size(network_size) if network_size else size_wh,
        exported_size_wh=size_wh,
        description=spec.get('description', ''),
        training=spec.get('training', {}),
        metrics=spec.get('metrics', {}),
        domain=domain_of(spec, spec_path) if reads_domain else None,
        origin=origin_of(spec),
        cpu_int8_path=cpu_int8_path,
    )


def network_path(engine: Engine, precision: str) -> Path:
    """Returns the file that a precision runs.

    Raises:
        EngineError: INT8 without its file.
    """
    if precision != 'int8':
        return engine.onnx_path
    if engine.int8_path is None:
        raise EngineError(
            f"Engine '{engine.name}' has no model.int8.onnx in {engine.folder}. Make it: python "
            f'-m training.quantize {engine.folder} --calibration CONFIG, or take another '
            'precision.'
        )
    return engine.int8_path


def model_of(engine: Engine, path: Path) -> bytes:
    """Returns the ONNX model in one of an engine's files, at the size that the engine runs at.

    Raises:
        ConfigurationError: Another size than the exported one needs the onnx package.
        EngineError: The file is gone, or the network has only the size of its export.
    """
    data = read_model(path)
    if engine.network_size_wh == engine.exported_size_wh:
        return data
    return resized(data, engine.network_size_wh, str(path))


def find_engines(search_path: Sequence[Path] | None = None) -> dict[str, Path]:
    """Returns the folder of every engine on the search path by name; the first of a name wins."""
    folders: dict[str, Path] = {}
    for place in engine_search_path() if search_path is None else search_path:
        for spec in sorted(place.glob(f'*/{SPEC_FILE}')):
            if not spec.parent.name.startswith('.'):
                folders.setdefault(spec.parent.name, spec.parent)
    return folders


def engine_search_path() -> list[Path]:
    """Returns where engines are looked for, in order: the user's word, the source tree, installs.

    ``$SEG_ROS_ENGINES`` (folders, ':' between them), ``engines/`` beside the package in a source
    checkout, and ``share/seg_ros/engines`` below the prefix of this installation, of Python, and
    of every ``$AMENT_PREFIX_PATH``.
    """
    package = Path(seg_ros.__file__).resolve().parent
    prefixes = [*package.parents[3:4], Path(sys.prefix)]  # prefix/lib/python3.x/site-packages
    prefixes += _paths('AMENT_PREFIX_PATH')
    places = _paths('SEG_ROS_ENGINES')
    if (package.parent / 'setup.py').exists():
        places.append(package.parent / 'engines')
    places += [prefix / 'share' / 'seg_ros' / 'engines' for prefix in prefixes]
    return list(dict.fromkeys(places))


def _folder(name_or_path: str | Path, search_path: Sequence[Path] | None) -> Path:
    text = str(name_or_path)
    if isinstance(name_or_path, Path) or os.sep in text or text in ('', '.', '..'):
        folder = Path(name_or_path).expanduser()
        if text and folder.is_dir():
            return folder
        raise EngineError(
            f"There is no engine folder '{text}'. An engine is a folder with {SPEC_FILE} and "
            f'{ONNX_FILE}. {_found(search_path)}'
        )
    engines = find_engines(search_path)
    if text not in engines:
        raise EngineError(f"There is no engine '{text}'. {_found(search_path)}")
    return engines[text]


def _found(search_path: Sequence[Path] | None) -> str:
    looked_in = engine_search_path() if search_path is None else search_path
    places = ', '.join(str(place) for place in looked_in)
    if engines := find_engines(search_path):
        return f'Found are: {", ".join(engines)} (looked in {places}).'
    return (
        f'None was found at all in {places}. Set SEG_ROS_ENGINES to the folder that holds the '
        'engine folders.'
    )


def _paths(variable: str) -> list[Path]:
    """Returns the folders that an environment variable lists."""
    return [Path(entry) for entry in os.environ.get(variable, '').split(os.pathsep) if entry]

# SPDX-License-Identifier: Apache-2.0
"""Score engines as the node runs them: through ONNX Runtime and, in int8 and bf16, OpenVINO.

    python -m training.evaluate engines/NAME --config CONFIG [--write]

Every image is brought to the network size (stretched, as the pipeline does), the logits are
up-sampled by `seg_ros.core.image.upsample`, the labels go back to the image's size by nearest
neighbour.
`--write` puts the figures into spec.yaml and MODEL_CARD.md. The sets come from the config's
`evaluation` table; none of them may have been trained on.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime
import yaml
from numpy.typing import NDArray

from seg_ros.commands.evaluate.evaluated_camera import EvaluatedCamera
from seg_ros.commands.evaluate.metrics import ConfusionMatrix
from seg_ros.core.errors import BackendUnavailable
from seg_ros.core.image.camera_image import resized
from seg_ros.core.image.upsample import Upsampler
from seg_ros.core.parameters.node_config import NodeConfig
from seg_ros.inference.base import InferenceBackend
from seg_ros.inference.engine import CPU_INT8_FILE, load_engine
from seg_ros.inference.onnx.contract import logits_only, read_model
from seg_ros.inference.registry import create_backend
from training.classes import ROAD_SCENE, ClassTable, classes_of
from training.config import read_config
from training.data import load
from training.labelled_set import LabelledSet
from training.model_card import write_card, write_metrics
from training.score import label_figures, score

__all__ = ['CORRUPTIONS', 'BackendLabels', 'OnnxLabels', 'evaluate', 'ways_through']

Image = NDArray[np.uint8]


def _gamma(image: Image, gamma: float) -> Image:
    table = (np.linspace(0, 1, 256) ** gamma * 255).astype(np.uint8)
    return np.asarray(cv2.LUT(image, table))


def _noise(image: Image, sigma: float) -> Image:
    noise = np.random.default_rng(0).normal(0, sigma, image.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8)


def _jpeg(image: Image, quality: int) -> Image:
    _, code = cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(code, cv2.IMREAD_COLOR))


def _rain(image: Image) -> Image:
    """Grey veil and slanted streaks."""
    random = np.random.default_rng(1)
    streaks = np.zeros(image.shape[:2], np.uint8)
    for _ in range(400):
        x, y = int(random.integers(0, image.shape[1])), int(random.integers(0, image.shape[0]))
        length = int(random.integers(8, 22))
        cv2.line(streaks, (x, y), (x + length // 4, y + length), 255, 1, cv2.LINE_AA)
    veil = cv2.addWeighted(image, 0.8, np.full_like(image, 150), 0.2, 0)
    alpha = (cv2.GaussianBlur(streaks, (0, 0), 0.7) / 255.0 * 0.5)[..., None]
    return (veil * (1 - alpha) + 220 * alpha).astype(np.uint8)


# What other cameras and other days do to an image; labels stay.
CORRUPTIONS: dict[str, Callable[[Image], Image]] = {
    'as it is': lambda image: image,
    'dark, gamma 2': lambda image: _gamma(image, 2.0),
    'bright, gamma 0.5': lambda image: _gamma(image, 0.5),
    'noise, sigma 12': lambda image: _noise(image, 12.0),
    'blur, sigma 1.5 px': lambda image: np.asarray(cv2.GaussianBlur(image, (0, 0), 1.5)),
    'jpeg quality 20': lambda image: _jpeg(image, 20),
    'half the resolution': lambda image: np.asarray(
        cv2.resize(
            cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA),
            image.shape[1::-1],
        )
    ),
    'rain': _rain,
}


def middle(image: Image) -> Image:
    """The middle three quarters: another field of view and aspect ratio (16:9 from 4:3)."""
    height, width = image.shape[:2]
    rows = round(width * 0.75 * 9 / 16)
    top, left = (height - rows) // 2, width // 8
    return image[top : top + rows, left : left + round(width * 0.75)]


class OnnxLabels:
    """Label images from a deployment graph through ONNX Runtime; `infer_s` collects run times."""

    def __init__(self, path: Path, threads: int = 1) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.add_session_config_entry('session.intra_op.allow_spinning', '0')
        self.session = onnxruntime.InferenceSession(
            logits_only(read_model(path), path), options, providers=['CPUExecutionProvider']
        )
        self.size_wh = tuple(self.session.get_inputs()[0].shape[2:0:-1])
        self.upsampler: Upsampler | None = None
        self.infer_s: list[float] = []

    def logits(self, image: Image) -> NDArray[np.float32]:
        """[C,h,w] of one picture."""
        scaled = resized(image, self.size_wh)
        begin = time.perf_counter()
        logits = self.session.run(['logits'], {'image': scaled[None]})[0][0]
        self.infer_s.append(time.perf_counter() - begin)
        return np.asarray(logits)

    def __call__(self, image: Image) -> Image:
        logits = self.logits(image)
        if self.upsampler is None:
            self.upsampler = Upsampler(logits.shape, self.size_wh)
        labels = self.upsampler.labels(logits)
        return np.asarray(
            cv2.resize(labels, image.shape[1::-1], interpolation=cv2.INTER_NEAREST_EXACT)
        )


class BackendLabels:
    """Label images through one of the node's backends; `infer_s` collects run times."""

    def __init__(self, backend: InferenceBackend) -> None:
        self.size_wh = backend.engine.network_size_wh
        self.infer_s: list[float] = []
        self._camera = EvaluatedCamera(backend, NodeConfig(), clock_ns=time.perf_counter_ns)

    def __call__(self, image: Image) -> Image:
        perceived = self._camera.process(image, 0, images=('label',))
        assert perceived.images.label is not None
        self.infer_s.append(perceived.timer.stages_ms['infer'] / 1000.0)
        return perceived.images.label


def ways_through(
    engine: Path, threads: int = 1
) -> Iterator[tuple[str, OnnxLabels | BackendLabels]]:
    """Yields how an engine can be run, each with what it adds to the name of a row."""
    yield '', OnnxLabels(engine / 'model.onnx', threads)
    if (engine / 'model.int8.onnx').exists():
        yield ' int8', OnnxLabels(engine / 'model.int8.onnx', threads)
    for precision in ('int8', 'bf16'):
        if precision == 'int8' and not (engine / CPU_INT8_FILE).exists():
            continue
        try:
            chosen = create_backend(
                'openvino', load_engine(engine), threads=threads, precision=precision
            )
        except BackendUnavailable as error:
            print(f'No rows in {precision} through OpenVINO: {error}')
            continue
        yield f' openvino {precision}', BackendLabels(chosen.backend)


def evaluate(
    labels_of: Callable[[Image], Image],
    data: LabelledSet,
    classes: ClassTable = ROAD_SCENE,
    change: Callable[[Image], Image] = lambda image: image,
    crop: Callable[[Image], Image] = lambda image: image,
    every: int = 1,
) -> dict[str, Any]:
    """What `score` reports, of every n-th image.

    `crop` is done to image and labels, `change` to the image only.
    """
    matrix = ConfusionMatrix(len(classes))
    figures = label_figures(classes)
    picks = range(0, len(data), every)
    for index in picks:
        image = change(np.ascontiguousarray(crop(np.asarray(data.images[index]))))
        truth, found = crop(np.asarray(data.labels[index])), labels_of(image)
        matrix.add(truth, found)
        figures.add(np.ascontiguousarray(truth), found)
    return {'images': len(picks), **score(matrix, classes), **figures.rounded()}


def robustness(
    labels_of: OnnxLabels, data: LabelledSet, classes: ClassTable, every: int
) -> list[dict[str, Any]]:
    """A row for each corruption, and one for a crop of another aspect ratio."""
    rows = []
    for name, change in CORRUPTIONS.items():
        result = evaluate(labels_of, data, classes, change, every=every)
        rows.append({'change': name, 'network_size': list(labels_of.size_wh), **result})
    cropped = evaluate(labels_of, data, classes, crop=middle, every=every)
    size_wh = list(labels_of.size_wh)
    rows.append({'change': '16:9 crop, 75 % of the view', 'network_size': size_wh, **cropped})
    return rows


def labels_of_run(run: Path, size_wh: tuple[int, int]) -> OnnxLabels:
    """The weights of a run at any network size, exported for the moment."""
    from training.export import export_onnx, load_checkpoint

    network, _ = load_checkpoint(run / 'last.pt')
    with tempfile.TemporaryDirectory() as folder:
        export_onnx(network, Path(folder) / 'model.onnx', size_wh)
        return OnnxLabels(Path(folder) / 'model.onnx')


def at_other_sizes(run: Path, config: dict[str, Any], every: int) -> dict[str, Any]:
    """The run's weights at the `network_size` of those evaluation rows that have one."""
    results = {}
    for row in config['evaluation']:
        if 'network_size' not in row:
            continue
        width, height = row['network_size']
        labels = labels_of_run(run, (width, height))
        result = evaluate(labels, load(row), classes_of(config), every=every)
        result['network_size'] = [width, height]
        results[f'{row["name"]} at {width}x{height}'] = result
        print(row['name'], json.dumps(result), flush=True)
    return results


def of_another_run(run: Path, size_wh: tuple[int, int], every: int) -> dict[str, Any]:
    """The weights of a run beside the engine's on the evaluation rows of its own config."""
    config = read_config(str(run / 'config.yaml'))
    labels = labels_of_run(run, size_wh)
    results = {}
    for row in config['evaluation']:
        result = evaluate(labels, load(row), classes_of(config), every=every)
        result['network_size'] = list(size_wh)
        results[f'{row["name"]} of {run.name}'] = result
        print(row['name'], run.name, json.dumps(result), flush=True)
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('engine', type=Path)
    parser.add_argument(
        '--config', required=True, help='training config with the evaluation table'
    )
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument('--every', type=int, default=1, help='take every n-th image only')
    parser.add_argument('--robustness', action='store_true')
    parser.add_argument('--run', type=Path, help='the run whose log the model card shows')
    parser.add_argument('--beside', type=Path, help='another run to score, out/train/RUN')
    parser.add_argument(
        '--only',
        choices=('fp32', 'int8', 'openvino int8', 'openvino bf16'),
        nargs='*',
        help='ways through that are measured; rows of others stay as spec.yaml has them',
    )
    parser.add_argument('--write', action='store_true')
    arguments = parser.parse_args()
    config = read_config(arguments.config)
    classes = classes_of(config)
    cv2.setNumThreads(1)
    results: dict[str, Any] = {}
    if arguments.only:
        results = yaml.safe_load((arguments.engine / 'spec.yaml').read_text())['metrics']
    hard: list[dict[str, Any]] = []
    for way, labels in ways_through(arguments.engine, arguments.threads):
        if arguments.only and (way.strip() or 'fp32') not in arguments.only:
            continue
        for row in config['evaluation']:
            if 'network_size' in row:
                continue
            labels.infer_s.clear()
            result = evaluate(labels, load(row), classes, every=arguments.every)
            result['network_size'] = list(labels.size_wh)
            result['infer_ms'] = round(float(np.median(labels.infer_s)) * 1e3, 1)
            results[f'{row["name"]}{way}'] = result
            print(f'{row["name"]}{way}', json.dumps(result), flush=True)
    if arguments.run is not None and not arguments.only:
        results |= at_other_sizes(arguments.run, config, arguments.every)
    if arguments.beside is not None:
        width, height = OnnxLabels(arguments.engine / 'model.onnx').size_wh
        results |= of_another_run(arguments.beside, (width, height), arguments.every)
    if arguments.robustness:
        hard = robustness(
            OnnxLabels(arguments.engine / 'model.onnx', arguments.threads),
            load(config['evaluation'][0]),
            classes,
            4,
        )
        for row in hard:
            print(json.dumps(row), flush=True)
    if arguments.write:
        write_metrics(arguments.engine, arguments.config, results)
        write_card(
            arguments.engine, arguments.config, results, hard, arguments.run, arguments.beside
        )


if __name__ == '__main__':
    main()

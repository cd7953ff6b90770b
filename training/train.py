# SPDX-License-Identifier: Apache-2.0
"""Train a network from a config.

    python -m training.train training/configs/roadseg.yaml [--set steps=100 ...]

Writes out/train/RUN/: config.yaml, log.csv, curve.png, last.pt (resumed when it exists), val-
STEP.json. bf16 on CPUs and GPUs that have it.
"""

from __future__ import annotations

import argparse
import copy
import csv
import itertools
import json
import math
import multiprocessing
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import yaml
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from seg_ros.commands.evaluate.metrics import ConfusionMatrix
from training import models
from training.augment import Augmentation, Sampler
from training.classes import UNLABELLED, ClassTable, classes_of
from training.config import read_config
from training.data import load
from training.export import load_checkpoint
from training.from_onnx import load_onnx
from training.labelled_set import LabelledSet
from training.normalise import normalise
from training.score import label_figures, score

RUNS = Path('out/train')
LOG_EVERY = 20  # steps
MAX_GRADIENT_NORM = 5.0
START_BATCHES = 8  # that give the norms of an engine's network their statistics
ALL_PIXELS_UNTIL = 0.1  # of the schedule: at first every pixel is hard
HARD_SAMPLE = (
    1 << 17
)  # pixels whose losses tell which are hard; all would cost a GPU most of a step


@dataclass(frozen=True)
class LabelRules:
    """What label values say, as tensors.

    Attributes:
        weights: float [classes], of the cross entropy.
        unions: bool [unions, classes]; label `classes + i` says "one of unions[i]".
        people: bool [classes], those that must not be seen where nobody is.
        phantom_weight: Of a known pixel without people where the network sees some.
    """

    weights: Tensor
    unions: Tensor
    people: Tensor
    phantom_weight: float = 1.0

    @staticmethod
    def of(classes: ClassTable, weights: Tensor, phantom_weight: float = 1.0) -> LabelRules:
        unions = torch.zeros(len(classes.unions), len(classes), dtype=torch.bool)
        for row, members in zip(unions, classes.members, strict=True):
            row[list(members)] = True
        people = torch.tensor([bool({'pedestrian', 'cyclist'} & {*r.roles}) for r in classes.rows])
        device = weights.device
        return LabelRules(weights, unions.to(device), people.to(device), phantom_weight)


def segmentation_loss(
    outputs: Sequence[Tensor],
    labels: Tensor,
    rules: LabelRules,
    hard_share: float,
    auxiliary_weight: float = 0.2,
) -> Tensor:
    """Cross entropy of the hardest pixels, and of the auxiliary logits.

    The logits are enlarged to the labels' size, as the exported graph does it. Picking every
    second label instead is cheaper and teaches the network a shift of half a pixel, which costs
    thin things (lane markings, poles) a point of IoU.
    """
    fine = functional.interpolate(
        outputs[0].float(), labels.shape[-2:], mode='bilinear', align_corners=False
    )
    target = labels.long()
    pixels = pixel_losses(fine, target, rules)
    if rules.phantom_weight != 1.0:
        pixels = torch.where(phantoms(fine, target, rules), pixels * rules.phantom_weight, pixels)
    known = pixels[target != UNLABELLED]
    if known.numel() == 0:
        known = pixels  # all zero, with a gradient of zero
    elif hard_share < 1.0:
        # the hardest share of the pixels, and all below about p = 0.7
        sample = known.detach()[:: known.numel() // HARD_SAMPLE | 1]
        kept = max(1, int(hard_share * sample.numel()))
        limit = min(float(sample.kthvalue(sample.numel() - kept + 1).values), 0.35)
        known = known[known >= limit]
    loss = known.mean()
    for coarse in outputs[1:]:
        target = sampled(labels, coarse.shape[-2:])
        of_cells = pixel_losses(coarse.float(), target, rules)
        loss = loss + auxiliary_weight * of_cells.sum() / (target != UNLABELLED).sum().clamp(min=1)
    return loss


def pixel_losses(logits: Tensor, target: Tensor, rules: LabelRules) -> Tensor:
    """Minus the log probability of what the label says, weighted; 0 where it says nothing.

    A union's probability is the sum of its classes' (marginals: Bevandic et al., arXiv
    2108.11224), its weight the least of theirs.
    """
    classes = logits.shape[1]
    is_union = (target >= classes) & (target != UNLABELLED)
    plain = target.masked_fill(is_union, UNLABELLED)
    losses = functional.cross_entropy(
        logits, plain, rules.weights, ignore_index=UNLABELLED, reduction='none'
    )
    places = is_union.nonzero(as_tuple=True)
    if len(places[0]) == 0:
        return losses
    members = rules.unions[target[places] - classes]
    log_shares = functional.log_softmax(logits.permute(0, 2, 3, 1)[places], 1)
    log_union = log_shares.masked_fill(~members, -math.inf).logsumexp(1)
    weights = rules.weights.expand_as(members).masked_fill(~members, math.inf).amin(1)
    return losses.index_put(places, -log_union * weights)


def phantoms(logits: Tensor, target: Tensor, rules: LabelRules) -> Tensor:
    """Where people win although the label excludes them."""
    classes = logits.shape[1]
    may_be_people = torch.ones(UNLABELLED + 1, dtype=torch.bool, device=logits.device)
    may_be_people[:classes] = rules.people
    may_be_people[classes : classes + len(rules.unions)] = (rules.unions & rules.people).any(1)
    return rules.people[logits.detach().argmax(1)] & ~may_be_people[target]


def distillation_loss(
    logits: Tensor, answers: Tensor, labels: Tensor, rules: LabelRules
) -> Tensor:
    """Cross entropy with a teacher's probabilities: it says something where no label does.

    Less the teacher's own entropy, so that 0 is perfect (Hinton et al., arXiv 1503.02531). Where
    it sees people whom the label excludes it is not believed.
    """
    if answers.shape[-2:] != logits.shape[-2:]:
        answers = functional.interpolate(
            answers, logits.shape[-2:], mode='bilinear', align_corners=False
        )
    shares = functional.log_softmax(logits.float(), 1)
    cells = functional.kl_div(shares, answers.log_softmax(1), reduction='none', log_target=True)
    wrong = phantoms(answers, sampled(labels, answers.shape[-2:]), rules)
    return cells.sum(1).masked_fill(wrong, 0.0).mean()


@torch.no_grad()
def answers_of(
    teachers: Sequence[nn.Module], images: Tensor, device: str, scale: float = 1.0
) -> Tensor:
    """Log probabilities [N,C,h,w] of the networks that are learned from, their mean's.

    Args:
        teachers: With logits of one stride.
        images: uint8 [N,H,W,3].
        device: Of torch.
        scale: Of what the teachers see: they may know smaller pictures than the pupil.
    """
    x = normalise(images.to(device))
    if scale != 1.0:
        size = [32 * round(scale * side / 32) for side in x.shape[-2:]]
        x = functional.interpolate(x, size, mode='bilinear', align_corners=False, antialias=True)
    with torch.autocast(device, torch.bfloat16):
        logits = [teacher(x).float() for teacher in teachers]
    shares = torch.stack([one.log_softmax(1) for one in logits])
    return shares.logsumexp(0) - math.log(len(logits))


def sampled(labels: Tensor, shape_hw: Sequence[int]) -> Tensor:
    """Labels at the centres of a coarser grid."""
    step = labels.shape[-1] // shape_hw[1]
    return labels[:, step // 2 :: step, step // 2 :: step].long()


def parameter_groups(
    model: nn.Module, rate: float, encoder_factor: float, decay: float
) -> list[dict[str, Any]]:
    """AdamW groups: a lower rate for a pretrained encoder, no decay on norms and biases."""
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        key = (name.startswith('encoder.'), parameter.ndim > 1)
        groups.setdefault(key, []).append(parameter)
    return [
        {
            'params': parameters,
            'lr': rate * (encoder_factor if encoder else 1.0),
            'weight_decay': decay if decays else 0.0,
        }
        for (encoder, decays), parameters in groups.items()
    ]


def class_weights(sets: Sequence[LabelledSet], classes: int, power: float) -> Tensor:
    """Frequency to the minus `power`, with a mean of one over the pixels' classes."""
    counts = np.zeros(256)
    for data in sets:
        for labels in data.labels[::4]:
            counts += np.bincount(np.ravel(labels), minlength=256)
    share = np.maximum(counts[:classes] / max(1, counts[:classes].sum()), 1e-4)
    weights = share**-power
    return torch.tensor(weights / (weights * share).sum(), dtype=torch.float32)


class Schedule:
    """How far the run is, from 0 to 1: by steps, or by the clock when `minutes` are given.

    Attributes:
        steps: Of the whole run, as the config says.
        warmup: Steps of linear warm-up; half a cosine follows.
    """

    def __init__(
        self, config: dict[str, Any], step: int, progress: float, minutes: float | None
    ) -> None:
        self.steps, self.warmup = config['steps'], config['warmup']
        self.first_step, self.first_progress = step, progress
        self.seconds = minutes and 60 * minutes
        self.begin_s = time.monotonic()

    def progress(self, step: int) -> float:
        if self.seconds is None:
            return step / self.steps
        passed = (time.monotonic() - self.begin_s) / self.seconds
        return min(1.0, self.first_progress + (1 - self.first_progress) * passed)

    def rate(self, step: int, progress: float) -> float:
        """Factor of the learning rate."""
        if step < self.warmup:
            return (step + 1) / self.warmup
        start = min(self.warmup / self.steps, 0.5)
        return 0.5 * (1 + math.cos(math.pi * max(0.0, progress - start) / (1 - start)))

    def left_s(self, step: int) -> float:
        passed = time.monotonic() - self.begin_s
        if self.seconds is not None:
            return self.seconds - passed
        return (self.steps - step) * passed / max(1, step - self.first_step)


class Average:
    """Exponential moving average of weights and batch-norm statistics."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.model = copy.deepcopy(model).eval()
        self.decay = decay

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        decay = min(self.decay, (step + 1) / (step + 20))
        for mean, value in zip(
            self.model.state_dict().values(), model.state_dict().values(), strict=True
        ):
            if mean.dtype.is_floating_point:
                mean.lerp_(value, 1 - decay)
            else:
                mean.copy_(value)


@torch.no_grad()
def evaluate(
    model: nn.Module,
    data: LabelledSet,
    classes: ClassTable,
    size_wh: Sequence[int],
    device: str,
    every: int = 1,
) -> dict[str, Any]:
    """Metrics in bf16 at the images' own size; the engine's are measured by training.evaluate."""
    model.eval()
    matrix = ConfusionMatrix(len(classes))
    figures = label_figures(classes)
    for index in range(0, len(data), every):
        image = cv2.resize(data.images[index], tuple(size_wh), interpolation=cv2.INTER_LINEAR)
        x = normalise(torch.from_numpy(image)[None].to(device))
        with torch.autocast(device, torch.bfloat16):
            logits = model(x)
        truth = data.labels[index]
        logits = functional.interpolate(
            logits.float(), truth.shape, mode='bilinear', align_corners=False
        )
        found = logits.argmax(1)[0].to(torch.uint8).cpu().numpy()
        matrix.add(truth, found)
        figures.add(truth, found)
    images = len(range(0, len(data), every))
    scores = {**score(matrix, classes), **figures.rounded()}
    return {**scores, 'images': images, 'network_size': list(size_wh)}


def draw_curve(folder: Path) -> None:
    """curve.png from log.csv and val-*.json; without matplotlib there is none."""
    try:
        import matplotlib
    except ImportError:
        return
    matplotlib.use('Agg')
    from matplotlib import pyplot

    with (folder / 'log.csv').open() as file:
        rows = [(int(r['step']), float(r['loss'])) for r in csv.DictReader(file)]
    validation = sorted(
        (int(p.stem.split('-')[1]), json.loads(p.read_text())['miou'])
        for p in folder.glob('val-*.json')
    )
    figure, axes = pyplot.subplots(figsize=(8, 4))
    if rows:
        axes.plot(*zip(*rows, strict=True), color='tab:blue', label='loss')
    axes.set_xlabel('step')
    axes.set_ylabel('loss')
    if validation:
        other = axes.twinx()
        other.plot(*zip(*validation, strict=True), 'o-', color='tab:red')
        other.set_ylabel('val mIoU')
    figure.tight_layout()
    figure.savefig(folder / 'curve.png', dpi=80)
    pyplot.close(figure)


class Log:
    """Rows of log.csv and the lines that a person watches: loss, pace, minutes left."""

    def __init__(self, folder: Path, step: int, batch: int) -> None:
        self.path, self.batch = folder / 'log.csv', batch
        self.begin, self.begin_step = time.monotonic(), step
        self.losses: list[float] = []
        if not self.path.exists():
            self._write(['step', 'loss', 'rate', 'seconds_per_step'])

    def add(self, step: int, loss: float, rate: float, progress: float, left_s: float) -> None:
        self.losses.append(loss)
        if step % LOG_EVERY and progress < 1:
            return
        pace_s = (time.monotonic() - self.begin) / (step - self.begin_step)
        mean = float(np.mean(self.losses))
        self.losses = []
        self._write([step, f'{mean:.4f}', f'{rate:.2e}', f'{pace_s:.3f}'])
        print(
            f'{time.strftime("%H:%M:%S")} step {step} ({progress:.1%}) loss {mean:.4f} '
            f'{self.batch / pace_s:.2f} images/s, {left_s / 60:.0f} min left',
            flush=True,
        )

    def _write(self, row: Sequence[Any]) -> None:
        with self.path.open('a', newline='') as file:
            csv.writer(file).writerow(row)


class Mixture:
    """Batches from several sets by their shares; one with `from` joins after that part."""

    def __init__(self, config: dict[str, Any], classes: ClassTable) -> None:
        self.rows = config['sources']
        self.batch = config['batch']
        self.sets = [load(row) for row in self.rows]
        table = config.get('augmentation', {})
        self.samplers = [
            Sampler(data, Augmentation.from_config(table.get(data.name, {})), classes)
            for data in self.sets
        ]

    def draw(self, progress: float, random: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Images uint8 [N,H,W,3] and labels [N,H,W]."""
        shares = np.array([row['share'] * (progress >= row.get('from', 0)) for row in self.rows])
        picks = random.choice(len(self.rows), self.batch, p=shares / shares.sum())
        crops = [self.samplers[pick].draw(random) for pick in picks]
        images, labels = zip(*crops, strict=True)
        return torch.from_numpy(np.stack(images)), torch.from_numpy(np.stack(labels))


class Batches(IterableDataset[tuple[Tensor, Tensor]]):
    """Batches of a mixture without end; each process that draws them has a stream of its own.

    Attributes:
        progress: How far the run is; shared with the processes.
    """

    def __init__(self, mixture: Mixture, seeds: Sequence[int]) -> None:
        self.mixture, self.seeds = mixture, seeds
        self.progress = multiprocessing.Value('d', 0.0)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        worker = get_worker_info()
        random = np.random.default_rng([*self.seeds, *([worker.id] if worker else [])])
        while True:
            yield self.mixture.draw(self.progress.value, random)


def train(
    config: dict[str, Any], device: str = 'cpu', minutes: float | None = None, workers: int = 0
) -> Path:
    """Run or resume; returns the run's folder.

    Args:
        config: As read from the YAML file.
        device: Of torch.
        minutes: End the schedule this long from now, however many steps that makes.
        workers: Processes that draw batches beside the one that trains, which a GPU needs; with
            0 it draws them itself. Another number draws other crops.
    """
    folder = RUNS / config['run']
    folder.mkdir(parents=True, exist_ok=True)
    (folder / 'config.yaml').write_text(yaml.safe_dump(config, sort_keys=False))
    torch.manual_seed(config['seed'])
    classes = classes_of(config)
    mixture = Mixture(config, classes)
    for data in mixture.sets:
        print(f'{data.name}: {len(data)} images {data.sizes}')
    power = config.get('class_power', 0.25)
    weights = class_weights(mixture.sets, len(classes), power).to(device)
    print('class weights', [round(float(w), 2) for w in weights], flush=True)
    rules = LabelRules.of(classes, weights, config.get('phantom_weight', 1.0))
    rows = config.get('validation') or []
    validation = [load(row) for row in ([rows] if isinstance(rows, dict) else rows)]

    model = models.create({'classes': len(classes), **config['model']})
    model = model.to(device, memory_format=torch.channels_last)
    groups = parameter_groups(model, config['rate'], config['encoder_rate'], config['decay'])
    rates = [group['lr'] for group in groups]
    optimizer = torch.optim.AdamW(groups)
    average = Average(model, config['ema'])
    step, progress = restore(folder, config, mixture, model, average, optimizer, device)
    batches = Batches(mixture, [config['seed'], step])
    drawn = iter(DataLoader(batches, None, num_workers=workers, pin_memory=device != 'cpu'))

    paths = config.get('teacher', [])
    paths = [paths] if isinstance(paths, str) else paths
    teachers = [load_checkpoint(path)[0].to(device) for path in paths]
    teacher_scale = config.get('teacher_scale', 1.0)

    schedule = Schedule(config, step, progress, minutes)
    log = Log(folder, step, config['batch'])
    while (progress := schedule.progress(step)) < 1:
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group['lr'] = rate * schedule.rate(step, progress)
        batches.progress.value = progress
        images, labels = (tensor.to(device, non_blocking=True) for tensor in next(drawn))
        model.train()
        with torch.autocast(device, torch.bfloat16):
            outputs = model(normalise(images))
        outputs = [outputs] if isinstance(outputs, Tensor) else outputs
        hard_share = config['hard_share'] if progress >= ALL_PIXELS_UNTIL else 1.0
        loss = segmentation_loss(outputs, labels, rules, hard_share)
        if teachers:
            answers = answers_of(teachers, images, device, teacher_scale)
            loss = loss + distillation_loss(outputs[0], answers, labels, rules)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), MAX_GRADIENT_NORM)
        optimizer.step()
        average.update(model, step)
        step += 1
        progress = schedule.progress(step)
        last = progress >= 1
        rate = optimizer.param_groups[0]['lr']
        log.add(step, float(loss.detach()), rate, progress, schedule.left_s(step))
        if last or step % config['checkpoint_every'] == 0:
            save(folder, config, (step, progress), model, average, optimizer, weights)
            draw_curve(folder)
        if last:
            break
        if validation and step % config['validate_every'] == 0:
            report(average.model, validation, config, step, folder, device)
    if validation:
        report(average.model, validation, config, step, folder, device)
    draw_curve(folder)
    return folder


def report(
    model: nn.Module,
    validation: Sequence[LabelledSet],
    config: dict[str, Any],
    step: int,
    folder: Path,
    device: str,
) -> None:
    """Write val-STEP.json: the figures of the first set, and below `others` of the rest."""
    classes, size_wh = classes_of(config), config['validation_wh']
    first, *others = (evaluate(model, data, classes, size_wh, device) for data in validation)
    names = [data.name for data in validation[1:]]
    result = {**first, 'step': step, 'others': dict(zip(names, others, strict=True))}
    (folder / f'val-{step}.json').write_text(json.dumps(result, indent=1))
    print('val', json.dumps(result), flush=True)


def save(
    folder: Path,
    config: dict[str, Any],
    reached: tuple[int, float],
    model: nn.Module,
    average: Average,
    optimizer: torch.optim.Optimizer,
    class_weights: Tensor,
) -> None:
    """Write last.pt in one move, so that a run that is killed leaves a whole one."""
    state = {
        'step': int(reached[0]),  # plain numbers: no pickle is read back
        'progress': float(reached[1]),
        'config': config,
        'class_weights': class_weights.tolist(),
        'model': model.state_dict(),
        'average': average.model.state_dict(),
        'optimizer': optimizer.state_dict(),
    }
    torch.save(state, folder / 'last.partial')
    (folder / 'last.partial').rename(folder / 'last.pt')


def restore(
    folder: Path,
    config: dict[str, Any],
    mixture: Mixture,
    model: nn.Module,
    average: Average,
    optimizer: torch.optim.Optimizer,
    device: str,
) -> tuple[int, float]:
    """Step and progress to go on from: last.pt's, or 0 with the weights of `start_from`, if any.

    That is a run's checkpoint, or an engine's folder.
    """
    if (folder / 'last.pt').exists():
        state = torch.load(folder / 'last.pt', map_location=device, weights_only=True)
        model.load_state_dict(state['model'])
        average.model.load_state_dict(state['average'])
        optimizer.load_state_dict(state['optimizer'])
        print(f'resumed at step {state["step"]}', flush=True)
        step, progress = int(state['step']), float(state.get('progress', 1.0))
        # a finished run goes on when the config has more steps than it had
        return step, progress if progress < 1 else step / config['steps']
    if config.get('start_from'):
        start = Path(config['start_from'])
        if start.is_dir():
            crops = list(
                itertools.islice(normalised_crops(mixture, config, device), START_BATCHES)
            )
            left_out = load_onnx(model, start / 'model.onnx', crops)
            average.model.load_state_dict(model.state_dict())
        else:
            state = torch.load(start, map_location=device, weights_only=True)
            for target in (model, average.model):
                left_out = load_what_fits(target, state['average'])
        print(f'started from {start}, all but {left_out or "nothing"}', flush=True)
    return 0, 0.0


def normalised_crops(mixture: Mixture, config: dict[str, Any], device: str) -> Iterator[Tensor]:
    """Batches as the network sees them in training."""
    random = np.random.default_rng(config['seed'])
    while True:
        yield normalise(mixture.draw(1.0, random)[0].to(device))


def load_what_fits(model: nn.Module, weights: Mapping[str, Tensor]) -> list[str]:
    """Take the weights whose names and shapes are the model's; returns the names of the others.

    Another number of classes changes the last layers only.
    """
    own = model.state_dict()
    fitting = {k: v for k, v in weights.items() if k in own and own[k].shape == v.shape}
    model.load_state_dict(fitting, strict=False)
    return [name for name in own if name not in fitting]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config')
    parser.add_argument('--set', nargs='*', default=[], metavar='KEY=VALUE')
    parser.add_argument('--minutes', type=float, help='end the schedule this long from now')
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    parser.add_argument(
        '--workers', type=int, default=0, help='processes that draw batches, for a GPU'
    )
    arguments = parser.parse_args()
    torch.set_num_threads(int(os.environ.get('OMP_NUM_THREADS', os.cpu_count() or 1)))
    torch.backends.cudnn.benchmark = True
    cv2.setNumThreads(1)
    config = read_config(arguments.config, arguments.set)
    train(config, arguments.device, arguments.minutes, arguments.workers)


if __name__ == '__main__':
    main()

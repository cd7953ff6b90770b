# SPDX-License-Identifier: Apache-2.0
"""The training loop of what is no map from pictures to logits: schedule, average, checkpoints."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from torch import Tensor, nn

from training.train import (
    MAX_GRADIENT_NORM,
    RUNS,
    Average,
    Log,
    Schedule,
    parameter_groups,
)

__all__ = ['averaged', 'is_finished', 'learn']


def learn(
    network: nn.Module,
    config: dict[str, Any],
    loss_of: Callable[[nn.Module, np.random.Generator], Tensor],
) -> Path:
    """Run or resume; returns the checkpoint.

    Args:
        network: Those of its parameters below `encoder.` have a learning rate of their own.
        config: Keys as in a config of training.train.
        loss_of: Draws a batch and says how wrong the network is.
    """
    folder = RUNS / config['run']
    folder.mkdir(parents=True, exist_ok=True)
    (folder / 'config.yaml').write_text(yaml.safe_dump(config, sort_keys=False))
    groups = parameter_groups(network, config['rate'], config['encoder_rate'], config['decay'])
    rates = [group['lr'] for group in groups]
    optimizer, average = torch.optim.AdamW(groups), Average(network, config['ema'])
    step, last = 0, folder / 'last.pt'
    if last.exists():
        state = torch.load(last, map_location='cpu', weights_only=True)
        network.load_state_dict(state['model'])
        average.model.load_state_dict(state['average'])
        optimizer.load_state_dict(state['optimizer'])
        step = int(state['step'])
        print(f'resumed at step {step}', flush=True)
    random = np.random.default_rng([config['seed'], step])
    schedule, log = Schedule(config, step, 0.0, None), Log(folder, step, config['batch'])
    while step < config['steps']:
        factor = schedule.rate(step, schedule.progress(step))
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group['lr'] = rate * factor
        network.train()
        loss = loss_of(network, random)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), MAX_GRADIENT_NORM)
        optimizer.step()
        average.update(network, step)
        step += 1
        progress = schedule.progress(step)
        log.add(step, float(loss.detach()), factor, progress, schedule.left_s(step))
        if progress >= 1 or step % config['checkpoint_every'] == 0:
            state = {
                'step': step,
                'progress': progress,
                'config': config,
                'model': network.state_dict(),
                'average': average.model.state_dict(),
                'optimizer': optimizer.state_dict(),
            }
            torch.save(state, folder / 'last.partial')
            (folder / 'last.partial').rename(last)
    return last


def is_finished(config: dict[str, Any]) -> bool:
    """Whether this run is trained to the end.

    Raises:
        ValueError: A run of that name was made by another config.
    """
    last = RUNS / config['run'] / 'last.pt'
    if not last.exists():
        return False
    state = torch.load(last, map_location='cpu', weights_only=True)
    if state['config'] != config:
        raise ValueError(
            f'{last} was trained by another config. Remove {last.parent}, or name another run.'
        )
    return float(state['progress']) >= 1.0


def averaged(network: nn.Module, config: dict[str, Any]) -> nn.Module:
    """The network with the averaged weights of its run, in eval mode."""
    last = RUNS / config['run'] / 'last.pt'
    state = torch.load(last, map_location='cpu', weights_only=True)
    network.load_state_dict(state['average'])
    return network.eval()

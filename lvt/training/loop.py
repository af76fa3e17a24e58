"""The training loop: AdamW, warm-up, cosine decay, gradient clipping, resumable state.

All random numbers depend only on the seed and the step, so that an interrupted and resumed run
ends with the same weights as an uninterrupted one.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lvt.checkpoint import reject_zip_bomb
from lvt.errors import UserError
from lvt.panoptic.config import PADDING_MULTIPLE
from lvt.panoptic.model import LVTPanoptic
from lvt.support.files import atomic_folder, publish
from lvt.training.batch import collate
from lvt.training.data import SampleSource
from lvt.training.loader import draw_in_process, draw_in_worker
from lvt.training.losses import LossConfig, panoptic_losses

STATE_SCHEMA = 1
"""Version of the content of training state files."""


@dataclass(frozen=True)
class TrainConfig:
    """Hyperparameters of a training run.

    Attributes:
        steps: optimiser steps.
        batch: pictures in a step.
        seed: seed of all random numbers.
        size: (height, width) of the pictures, multiples of 32.
        crop: (height, width) of random crops in the first part of the run.
        crop_share: length of that part, as a share of the steps.
        learning_rate: the highest learning rate, after warm-up.
        warmup: steps in which the learning rate rises.
        final_share: learning rate at the end, as a share of the highest.
        weight_decay: for matrices and kernels; biases and norms have none.
        clip: largest norm of all gradients together.
        losses: numbers of samples, and weights of the losses.

    Raises:
        UserError: no steps or pictures, or a side that is not a multiple of 32.
    """

    steps: int
    batch: int = 4
    seed: int = 0
    size: tuple[int, int] = (256, 320)
    crop: tuple[int, int] = (256, 320)
    crop_share: float = 0.0
    learning_rate: float = 1e-3
    warmup: int = 200
    final_share: float = 0.01
    weight_decay: float = 0.02
    clip: float = 5.0
    losses: LossConfig = field(default_factory=LossConfig)

    def __post_init__(self) -> None:
        if self.steps < 1 or self.batch < 1:
            raise UserError(f"{self.steps} steps of {self.batch} pictures: give 1 or more of each")
        for name, (height, width) in (("size", self.size), ("crop", self.crop)):
            if height % PADDING_MULTIPLE or width % PADDING_MULTIPLE or min(height, width) < 1:
                raise UserError(
                    f"{name} {height}x{width}: both sides must be multiples of {PADDING_MULTIPLE}"
                )

    def size_at(self, step: int) -> tuple[int, int]:
        """(height, width) of the pictures in a step, counted from 0."""
        return self.crop if step < self.crop_share * self.steps else self.size

    def rate_at(self, step: int) -> float:
        """Learning rate of a step, counted from 0."""
        if step < self.warmup:
            return self.learning_rate * (step + 1) / self.warmup
        progress = (step - self.warmup) / max(1, self.steps - self.warmup)
        cosine = (1 + math.cos(math.pi * progress)) / 2
        return self.learning_rate * (self.final_share + (1 - self.final_share) * cosine)


@dataclass(frozen=True)
class StepReport:
    """Figures of a step.

    Attributes:
        step: number of steps that are finished.
        losses: losses by name, and their sum as `total`.
        rate: learning rate.
        gradient: norm of all gradients, before clipping.
        seconds: time since this process began to train.
    """

    step: int
    losses: dict[str, float]
    rate: float
    gradient: float
    seconds: float


class Trainer:
    """Trains a model and keeps the state of the run.

    Args:
        model: trained in place.
        source: samples to draw from.
        config: hyperparameters.
        worker: draw the samples ahead of time in a worker process.

    Attributes:
        step: number of steps that are finished.
    """

    def __init__(
        self, model: LVTPanoptic, source: SampleSource, config: TrainConfig, *, worker: bool = True
    ):
        self._draw = draw_in_worker if worker else draw_in_process
        self.model = model
        self.source = source
        self.config = config
        self.step = 0
        self._optimiser = torch.optim.AdamW(
            _parameter_groups(model, config.weight_decay), lr=config.learning_rate
        )

    def run(self, report: Callable[[StepReport], None], *, until: int | None = None) -> None:
        """Trains to the end of the run, or until `until` steps are finished.

        Args:
            report: called after every step.
            until: number of finished steps at which to stop; None for the end of the run.

        Raises:
            UserError: the loss is not finite.
        """
        config = self.config
        end = config.steps if until is None else min(until, config.steps)
        steps = range(self.step, end)
        begin = time.perf_counter()
        self.model.train()
        classes = (self.model.config.things, self.model.config.stuff)
        with self._draw(
            self.source, steps, config.size_at, seed=config.seed, count=config.batch
        ) as samples_of_steps:
            for samples in samples_of_steps:
                batch = collate(samples, config.size_at(self.step), classes)
                generator = torch.Generator().manual_seed(config.seed * 1_000_003 + self.step)
                losses = panoptic_losses(self.model, batch, config.losses, generator)
                rate, gradient = self._update(torch.stack(list(losses.values())).sum())
                self.step += 1
                values = {name: float(loss.detach()) for name, loss in losses.items()}
                values["total"] = sum(values.values())
                seconds = time.perf_counter() - begin
                report(StepReport(self.step, values, rate, gradient, seconds))
        self.model.eval()

    def _update(self, loss: Tensor) -> tuple[float, float]:
        """One optimiser step; returns the learning rate and the norm of the gradients."""
        if not torch.isfinite(loss):
            raise UserError(
                f"the loss is not finite at step {self.step}: give a lower learning rate"
            )
        rate = self.config.rate_at(self.step)
        for group in self._optimiser.param_groups:
            group["lr"] = rate
        self._optimiser.zero_grad()
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip)
        self._optimiser.step()
        return rate, float(norm)

    def save(self, path: Path) -> None:
        """Writes the state that `resume` needs; the file appears complete or not at all."""
        state = {
            "schema": STATE_SCHEMA,
            "config": _config_json(self.config),
            "step": self.step,
            "model": self.model.state_dict(),
            "optimiser": self._optimiser.state_dict(),
        }
        with atomic_folder(path.parent) as scratch:
            torch.save(state, scratch / path.name)
            publish(scratch / path.name, path)

    def resume(self, path: Path) -> None:
        """Continues from a file that `save` wrote.

        Raises:
            UserError: there is no such file, or it is of another run or model.
        """
        state = read_state(path)
        if state["config"] != _config_json(self.config):
            ours, theirs = json.loads(_config_json(self.config)), json.loads(state["config"])
            keys = sorted(ours.keys() | theirs.keys())
            changed = ", ".join(key for key in keys if ours.get(key) != theirs.get(key))
            raise UserError(f"{path} is of a run with other settings ({changed}); start anew")
        try:
            self.model.load_state_dict(state["model"])
            self._optimiser.load_state_dict(state["optimiser"])
        except (RuntimeError, ValueError, KeyError) as error:
            raise UserError(f"{path} is of a run of another model; start anew") from error
        self.step = int(state["step"])


def read_state(path: Path) -> dict[str, Any]:
    """The content of a training state file.

    Raises:
        UserError: there is no such file, or it is not a training state.
    """
    if not path.is_file():
        raise UserError(f"no training state at {path}; leave out --resume to start anew")
    reject_zip_bomb(path)
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        if state["schema"] != STATE_SCHEMA:
            raise UserError(f"{path} was written by another version; start anew")
    except UserError:
        raise
    except Exception as error:  # torch.load raises many kinds of errors for damaged data
        raise UserError(f"{path} is damaged or not a training state") from error
    return dict(state)


def _config_json(config: TrainConfig) -> str:
    return json.dumps(asdict(config), sort_keys=True)


def _parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Parameters with and without weight decay, for the optimiser."""
    parameters = list(model.parameters())
    return [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]

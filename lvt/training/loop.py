"""The training loop: AdamW, warm-up and cosine, gradient clipping; stops and goes on exactly.

Everything random depends on the seed and the step, so a run that was interrupted ends with the
same weights as one that was not.
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
from lvt.training.data import LoadedModel, drawn_ahead, drawn_here
from lvt.training.losses import LossConfig, panoptic_losses

STATE_SCHEMA = 1


@dataclass(frozen=True)
class TrainConfig:
    """One training run.

    Attributes:
        steps: of the optimiser.
        batch: pictures a step.
        seed: of everything random.
        size: (height, width) of the pictures, multiples of 32.
        crop: (height, width) that pictures are cropped to in the first part of the run.
        crop_share: how long that part is, as a share of the steps.
        learning_rate: the highest, after warm-up.
        warmup: steps over which it rises.
        final_share: the learning rate at the end, as a share of the highest.
        weight_decay: of matrices and kernels; biases and norms have none.
        clip: largest norm of all gradients together.
        losses: numbers of samples and weights.
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
        """The size of the pictures of a step, counted from 0."""
        return self.crop if step < self.crop_share * self.steps else self.size

    def rate_at(self, step: int) -> float:
        """The learning rate of a step, counted from 0."""
        if step < self.warmup:
            return self.learning_rate * (step + 1) / self.warmup
        progress = (step - self.warmup) / max(1, self.steps - self.warmup)
        cosine = (1 + math.cos(math.pi * progress)) / 2
        return self.learning_rate * (self.final_share + (1 - self.final_share) * cosine)


@dataclass(frozen=True)
class StepReport:
    """What a step did.

    Attributes:
        step: steps done.
        losses: by name, and their sum as `total`.
        rate: the learning rate.
        gradient: the norm of all gradients, before clipping.
        seconds: since this process began to train.
    """

    step: int
    losses: dict[str, float]
    rate: float
    gradient: float
    seconds: float


class Trainer:
    """A model in training, with its optimiser and its place in the run.

    Args:
        model: trained in place.
        source: of examples.
        config: of the run.
        worker: draw examples in a process of their own, ahead of time.
    """

    def __init__(
        self, model: LVTPanoptic, source: LoadedModel, config: TrainConfig, *, worker: bool = True
    ):
        self._draw = drawn_ahead if worker else drawn_here
        self.model = model
        self.source = source
        self.config = config
        self.step = 0
        self._optimiser = torch.optim.AdamW(
            _groups(model, config.weight_decay), lr=config.learning_rate
        )

    def run(self, report: Callable[[StepReport], None], *, until: int | None = None) -> None:
        """Trains to the end of the run, or until so many steps are done.

        Args:
            report: called after every step.
            until: steps; None for all.
        """
        config = self.config
        end = config.steps if until is None else min(until, config.steps)
        steps = range(self.step, end)
        begin = time.perf_counter()
        self.model.train()
        ahead = self._draw(self.source, steps, config.size_at, seed=config.seed, count=config.batch)
        with ahead as batches:
            for examples in batches:
                classes = (self.model.config.things, self.model.config.stuff)
                batch = collate(examples, config.size_at(self.step), classes)
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
        """Writes everything that `resume` needs; the file appears whole or not at all."""
        state = {
            "schema": STATE_SCHEMA,
            "config": _described(self.config),
            "step": self.step,
            "model": self.model.state_dict(),
            "optimiser": self._optimiser.state_dict(),
        }
        with atomic_folder(path.parent) as scratch:
            torch.save(state, scratch / path.name)
            publish(scratch / path.name, path)

    def resume(self, path: Path) -> None:
        """Goes on from a file that `save` wrote.

        Raises:
            UserError: no such file, or it belongs to another run or model.
        """
        state = read_state(path)
        ours, theirs = _described(self.config), state["config"]
        if ours != theirs:
            a, b = json.loads(ours), json.loads(theirs)
            changed = ", ".join(sorted(k for k in a.keys() | b.keys() if a.get(k) != b.get(k)))
            raise UserError(f"{path} is of a run with other settings ({changed}); start anew")
        try:
            self.model.load_state_dict(state["model"])
            self._optimiser.load_state_dict(state["optimiser"])
        except (RuntimeError, ValueError, KeyError) as error:
            raise UserError(f"{path} is of a run of another model; start anew") from error
        self.step = int(state["step"])


def read_state(path: Path) -> dict[str, Any]:
    """The content of a state file.

    Raises:
        UserError: no such file, or not a training state.
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
    except Exception as error:  # torch.load raises whatever a damaged byte stream leads to
        raise UserError(f"{path} is damaged or no training state") from error
    return dict(state)


def _described(config: TrainConfig) -> str:
    return json.dumps(asdict(config), sort_keys=True)


def _groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    parameters = list(model.parameters())
    return [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]

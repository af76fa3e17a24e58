"""Request and default values of a training run. Imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class TrainDefaults:
    """Values of a training run that the request leaves open.

    Attributes:
        steps: optimiser steps.
        batch: pictures in a batch.
        learning_rate: the highest learning rate, after warm-up.
    """

    steps: int
    batch: int
    learning_rate: float


DEMO_DEFAULTS = TrainDefaults(steps=7000, batch=3, learning_rate=1e-3)
FINE_TUNING_DEFAULTS = TrainDefaults(steps=2000, batch=2, learning_rate=2e-4)


@dataclass(frozen=True)
class TrainRequest:
    """A training run: of the demo model, or fine-tuning of a checkpoint on a data set.

    Attributes:
        out: checkpoint to write; the training state is written beside it.
        checkpoint: checkpoint to fine-tune; None for the demo model.
        data: training data in COCO's panoptic format; None for the demo model.
        validation: data in COCO's panoptic format for the evaluation at the end.
        size: (height, width) of the pictures; None for that of the checkpoint or the demo model.
        steps: optimiser steps; None for the default.
        batch: pictures in a batch; None for the default.
        learning_rate: the highest learning rate; None for the default.
        seed: seed of all random numbers.
        resume: continue from the training state beside `out`.
        evaluated: number of pictures for the evaluation at the end; 0 for no evaluation.
        log: file to which losses are appended, one JSON line every few steps.
    """

    out: Path
    checkpoint: Path | None = None
    data: Path | None = None
    validation: Path | None = None
    size: tuple[int, int] | None = None
    steps: int | None = None
    batch: int | None = None
    learning_rate: float | None = None
    seed: int = 0
    resume: bool = False
    evaluated: int = 100
    log: Path | None = None

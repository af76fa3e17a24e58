"""One training run from a request to a checkpoint: the demonstration's, or on a user's pictures."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lvt.checkpoint import CheckpointMeta, identify, load_model, read_checkpoint, write_checkpoint
from lvt.data.preprocessing import IMAGENET_MEAN_255, IMAGENET_STD_255
from lvt.demo import (
    DEMO_BACKBONE,
    DEMO_PANOPTIC,
    DEMO_SIZE,
    HELD_OUT_SEEDS,
    checkpoint_path,
)
from lvt.demo.palette import CLASSES, PALETTE
from lvt.errors import UserError
from lvt.models import ModelSpec, build_random
from lvt.panoptic.config import ProposalConfig
from lvt.panoptic.model import LVTPanoptic
from lvt.panoptic.quality import QualityReport
from lvt.support.files import ensure_writable
from lvt.training.data import CocoFolder, DemoScenes, LoadedModel
from lvt.training.evaluate import evaluate
from lvt.training.initialise import initialise
from lvt.training.loop import StepReport, TrainConfig, Trainer
from lvt.training.losses import LossConfig

DEMO_STEPS, DEMO_BATCH = 7000, 3
TUNING_STEPS, TUNING_BATCH, TUNING_RATE = 2000, 2, 2e-4
SAVE_SECONDS = 120.0
LOG_STEPS = 20

_CLASS_LAYERS = (
    "roi_head.bbox_head.fc_cls.",
    "roi_head.bbox_head.fc_reg.",
    "roi_head.mask_head.conv_logits.",
    "semantic_head.conv_logits.",
)
"""Weights whose shape depends on the number of classes."""

COMPACT_LOSSES = LossConfig(
    rpn_samples=128, roi_samples=64, proposals=ProposalConfig(per_level=100, count=100)
)
"""For small pictures with about ten things: most of the official numbers would be wasted."""


@dataclass(frozen=True)
class TrainRequest:
    """What to train.

    Attributes:
        out: the checkpoint to write; the training state lies beside it.
        checkpoint: to start from; None for the demonstration.
        data: a COCO panoptic folder; None for the demonstration.
        validation: another such folder, to measure on.
        size: (height, width) of the pictures; None for the checkpoint's or the demonstration's.
        steps: None for the default.
        batch: None for the default.
        learning_rate: None for the default.
        seed: of everything random.
        resume: go on from the state beside `out`.
        measure: pictures to measure on at the end; 0 not to.
        log: file to append a JSON line to, every few steps.
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
    measure: int = 100
    log: Path | None = None


@dataclass(frozen=True)
class TrainResult:
    """What came of it.

    Attributes:
        path: the checkpoint, float16.
        names: of the classes.
        quality: of the weights as written; None if not measured.
        measured_on: in words.
        seconds: this process trained.
    """

    path: Path
    names: tuple[str, ...]
    quality: QualityReport | None
    measured_on: str
    seconds: float


@dataclass(frozen=True)
class _Job:
    model: LVTPanoptic
    spec: ModelSpec
    meta: CheckpointMeta
    source: LoadedModel
    validation: LoadedModel | None
    measured_on: str
    config: TrainConfig


def demo_config(steps: int, batch: int, seed: int) -> TrainConfig:
    """The demonstration's run: parts of the scenes first, whole ones at the end."""
    return TrainConfig(
        steps=steps,
        batch=batch,
        seed=seed,
        size=DEMO_SIZE,
        crop=(192, 224),
        crop_share=0.6,
        warmup=min(200, max(1, steps // 10)),
        losses=COMPACT_LOSSES,
    )


def train(request: TrainRequest, report: Callable[[StepReport, int], None]) -> TrainResult:
    """Trains, writes the checkpoint, and measures it as written.

    Args:
        request: what to train.
        report: called after every step, with the number of all steps.

    Raises:
        UserError: something the user can put right.
    """
    # What cannot be written is refused now, not after an hour of training.
    ensure_writable(request.out, [] if request.checkpoint is None else [request.checkpoint])
    job = _demo_job(request) if request.data is None else _tuning_job(request)
    state = request.out.with_name(request.out.name + ".state")
    trainer = Trainer(job.model, job.source, job.config)
    if request.resume:
        trainer.resume(state)
    begin = last = time.monotonic()

    def after(step: StepReport) -> None:
        nonlocal last
        report(step, job.config.steps)
        if request.log and (step.step % LOG_STEPS == 0 or step.step == job.config.steps):
            _append(request.log, _logged(step))
        if time.monotonic() - last > SAVE_SECONDS:
            trainer.save(state)
            last = time.monotonic()

    trainer.run(after)
    trainer.save(state)
    seconds = time.monotonic() - begin
    write_checkpoint(request.out, job.model, job.spec, job.meta, half=True)
    quality, measured_on = None, "not measured"
    if job.validation is not None and request.measure:
        count = min(request.measure, len(job.validation))
        quality = evaluate(_written(request.out), (job.validation[i] for i in range(count)))
        measured_on = f"{count} {job.measured_on}"
        if request.log:
            _append(request.log, {"quality": quality.to_dict(), "pictures": count})
    return TrainResult(request.out, job.meta.class_names or (), quality, measured_on, seconds)


def _demo_job(request: TrainRequest) -> _Job:
    if request.size not in (None, DEMO_SIZE):
        raise UserError(f"the demonstration is trained at {DEMO_SIZE[0]}x{DEMO_SIZE[1]} only")
    spec = ModelSpec.for_panoptic(DEMO_BACKBONE, DEMO_PANOPTIC)
    config = demo_config(request.steps or DEMO_STEPS, request.batch or DEMO_BATCH, request.seed)
    if request.learning_rate:
        config = replace(config, learning_rate=request.learning_rate)
    meta = CheckpointMeta(CLASSES, PALETTE, DEMO_SIZE, IMAGENET_MEAN_255, IMAGENET_STD_255)
    validation = DemoScenes(seeds=HELD_OUT_SEEDS)
    return _Job(
        _fresh(spec, request.seed), spec, meta, DemoScenes(), validation, "held-out scenes", config
    )


def _fresh(spec: ModelSpec, seed: int) -> LVTPanoptic:
    model = build_random(spec, seed)
    assert isinstance(model, LVTPanoptic)
    initialise(model, torch.Generator().manual_seed(seed))
    return model


def _tuning_job(request: TrainRequest) -> _Job:
    if request.checkpoint is None or request.data is None:
        raise UserError("fine-tuning needs a checkpoint to start from and a folder: --ckpt, --data")
    checkpoint = read_checkpoint(checkpoint_path(request.checkpoint))
    spec = identify(checkpoint, task="panoptic")
    size = request.size or checkpoint.meta.input_size
    if size is None:
        raise UserError("the checkpoint does not say which size it is for: give --size HxW")
    assert spec.panoptic is not None
    compact = spec.panoptic.proposals.count <= DEMO_PANOPTIC.proposals.count
    config = TrainConfig(
        steps=request.steps or TUNING_STEPS,
        batch=request.batch or TUNING_BATCH,
        seed=request.seed,
        size=size,
        crop=size,
        learning_rate=request.learning_rate or TUNING_RATE,
        losses=COMPACT_LOSSES if compact else LossConfig(),
    )
    source = CocoFolder(request.data, size)
    spec = ModelSpec.for_panoptic(
        spec.config, replace(spec.panoptic, things=source.things, stuff=source.stuff)
    )
    model = _fresh(spec, request.seed)
    model.load_state_dict(_fitting(checkpoint.state_dict, model.state_dict()))
    meta = CheckpointMeta(source.names, source.palette, size, IMAGENET_MEAN_255, IMAGENET_STD_255)
    validation = None
    if request.validation:
        validation = CocoFolder(request.validation, size)
        if validation.names != source.names:
            raise UserError(f"{request.validation} has other classes than {request.data}")
    measured_on = f"pictures of {request.validation}"
    return _Job(model, spec, meta, source, validation, measured_on, config)


def _fitting(given: dict[str, Tensor], fresh: dict[str, Tensor]) -> dict[str, Tensor]:
    """The checkpoint's weights; fresh ones for outputs that had another number of classes."""
    return {
        key: value
        if key.startswith(_CLASS_LAYERS) and value.shape != given.get(key, value).shape
        else given.get(key, value)
        for key, value in fresh.items()
    }


def _written(path: Path) -> LVTPanoptic:
    checkpoint = read_checkpoint(path)
    model = load_model(checkpoint, identify(checkpoint))
    assert isinstance(model, LVTPanoptic)
    return model


def _logged(step: StepReport) -> dict[str, Any]:
    numbers = {**step.losses, "rate": step.rate, "gradient": step.gradient}
    return {
        "step": step.step,
        "seconds": round(step.seconds, 1),
        **{name: float(f"{value:.4g}") for name, value in numbers.items()},
    }


def _append(path: Path, entry: dict[str, Any]) -> None:
    with path.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(entry) + "\n")

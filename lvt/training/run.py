"""Runs a training request: training, checkpoint, evaluation of the checkpoint."""

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
from lvt.config import Size
from lvt.data.preprocessing import IMAGENET_MEAN_255, IMAGENET_STD_255
from lvt.demo import (
    DEMO_BACKBONE,
    DEMO_PANOPTIC,
    DEMO_SIZE,
    HELD_OUT_SEEDS,
    checkpoint_path,
)
from lvt.demo.dataset import DemoScenes
from lvt.demo.palette import CLASSES, PALETTE
from lvt.errors import UserError
from lvt.models import ModelSpec, build_random
from lvt.panoptic.config import ProposalConfig
from lvt.panoptic.model import LVTPanoptic
from lvt.panoptic.quality import QualityReport
from lvt.support.files import ensure_writable
from lvt.training.data import ResizedCocoPanoptic, SampleSource
from lvt.training.evaluate import evaluate
from lvt.training.initialise import initialise
from lvt.training.loop import StepReport, TrainConfig, Trainer
from lvt.training.losses import LossConfig
from lvt.training.request import DEMO_DEFAULTS, FINE_TUNING_DEFAULTS, TrainRequest

SAVE_INTERVAL_S = 120.0
"""Time between two saves of the training state."""
LOG_STEPS = 20
"""Steps between two lines of the log."""

_CLASS_LAYERS = (
    "roi_head.bbox_head.fc_cls.",
    "roi_head.bbox_head.fc_reg.",
    "roi_head.mask_head.conv_logits.",
    "semantic_head.conv_logits.",
)
"""Prefixes of the weights whose shapes depend on the number of classes."""

COMPACT_LOSSES = LossConfig(
    rpn_samples=128, roi_samples=64, proposals=ProposalConfig(per_level=100, count=100)
)
"""For small pictures with about ten things, which need fewer samples than the official ones."""


@dataclass(frozen=True)
class TrainResult:
    """Result of a training run.

    Attributes:
        path: the checkpoint, float16.
        names: names of the classes.
        quality: panoptic quality of the checkpoint; None if it was not evaluated.
        evaluated_on: description of the pictures that it was evaluated on.
        seconds: training time of this process.
    """

    path: Path
    names: tuple[str, ...]
    quality: QualityReport | None
    evaluated_on: str
    seconds: float


@dataclass(frozen=True)
class _TrainingSetup:
    """Everything that a training run needs, made from a request."""

    model: LVTPanoptic
    spec: ModelSpec
    meta: CheckpointMeta
    source: SampleSource
    validation: SampleSource | None
    validation_name: str
    config: TrainConfig


def train(request: TrainRequest, report: Callable[[StepReport, int], None]) -> TrainResult:
    """Trains, writes the checkpoint, and evaluates the checkpoint as it was written.

    Args:
        request: what to train, on which data.
        report: called after every step with its figures and the number of all steps.

    Raises:
        UserError: an error that the user can correct.
    """
    # Check the output before hours of training.
    ensure_writable(request.out, [] if request.checkpoint is None else [request.checkpoint])
    setup = _demo_setup(request) if request.data is None else _fine_tuning_setup(request)
    state = request.out.with_name(request.out.name + ".state")
    trainer = Trainer(setup.model, setup.source, setup.config)
    if request.resume:
        trainer.resume(state)
    begin = last_save = time.monotonic()

    def after_step(step: StepReport) -> None:
        nonlocal last_save
        report(step, setup.config.steps)
        if request.log and (step.step % LOG_STEPS == 0 or step.step == setup.config.steps):
            _append_json(request.log, _log_entry(step))
        if time.monotonic() - last_save > SAVE_INTERVAL_S:
            trainer.save(state)
            last_save = time.monotonic()

    trainer.run(after_step)
    trainer.save(state)
    seconds = time.monotonic() - begin
    write_checkpoint(request.out, setup.model, setup.spec, setup.meta, half=True)
    quality, evaluated_on = None, "not evaluated"
    if setup.validation is not None and request.evaluated:
        count = min(request.evaluated, len(setup.validation))
        written = _load_panoptic(request.out)
        quality = evaluate(written, (setup.validation[i] for i in range(count)))
        evaluated_on = f"{count} {setup.validation_name}"
        if request.log:
            _append_json(request.log, {"quality": quality.to_dict(), "pictures": count})
    return TrainResult(request.out, setup.meta.class_names or (), quality, evaluated_on, seconds)


def _demo_setup(request: TrainRequest) -> _TrainingSetup:
    """Training of the demo model on generated scenes."""
    if request.size not in (None, DEMO_SIZE):
        raise UserError(f"the demo model is trained at {DEMO_SIZE[0]}x{DEMO_SIZE[1]} only")
    spec = ModelSpec.for_panoptic(DEMO_BACKBONE, DEMO_PANOPTIC)
    steps = request.steps or DEMO_DEFAULTS.steps
    config = TrainConfig(
        steps=steps,
        batch=request.batch or DEMO_DEFAULTS.batch,
        seed=request.seed,
        size=DEMO_SIZE,
        crop=(192, 224),  # parts of the scenes first, whole scenes at the end
        crop_share=0.6,
        learning_rate=request.learning_rate or DEMO_DEFAULTS.learning_rate,
        warmup=min(200, max(1, steps // 10)),
        losses=COMPACT_LOSSES,
    )
    return _TrainingSetup(
        model=_initial_model(spec, request.seed),
        spec=spec,
        meta=_checkpoint_meta(CLASSES, PALETTE, DEMO_SIZE),
        source=DemoScenes(),
        validation=DemoScenes(seeds=HELD_OUT_SEEDS),
        validation_name="held-out scenes",
        config=config,
    )


def _fine_tuning_setup(request: TrainRequest) -> _TrainingSetup:
    """Fine-tuning of a checkpoint on a data set; output layers may get other classes."""
    if request.checkpoint is None or request.data is None:
        raise UserError("fine-tuning needs a checkpoint to start from and a folder: --ckpt, --data")
    checkpoint = read_checkpoint(checkpoint_path(request.checkpoint))
    spec = identify(checkpoint, task="panoptic")
    size = request.size or checkpoint.meta.input_size
    if size is None:
        raise UserError("the checkpoint does not say which size it is for: give --size HxW")
    assert spec.panoptic is not None
    is_compact = spec.panoptic.proposals.count <= DEMO_PANOPTIC.proposals.count
    config = TrainConfig(
        steps=request.steps or FINE_TUNING_DEFAULTS.steps,
        batch=request.batch or FINE_TUNING_DEFAULTS.batch,
        seed=request.seed,
        size=size,
        crop=size,
        learning_rate=request.learning_rate or FINE_TUNING_DEFAULTS.learning_rate,
        losses=COMPACT_LOSSES if is_compact else LossConfig(),
    )
    source = ResizedCocoPanoptic(request.data, size)
    spec = ModelSpec.for_panoptic(
        spec.config, replace(spec.panoptic, things=source.things, stuff=source.stuff)
    )
    model = _initial_model(spec, request.seed)
    model.load_state_dict(_fine_tuning_weights(checkpoint.state_dict, model.state_dict()))
    validation = None
    if request.validation:
        validation = ResizedCocoPanoptic(request.validation, size)
        if validation.names != source.names:
            raise UserError(f"{request.validation} has other classes than {request.data}")
    return _TrainingSetup(
        model=model,
        spec=spec,
        meta=_checkpoint_meta(source.names, source.palette, size),
        source=source,
        validation=validation,
        validation_name=f"pictures of {request.validation}",
        config=config,
    )


def _initial_model(spec: ModelSpec, seed: int) -> LVTPanoptic:
    model = build_random(spec, seed)
    assert isinstance(model, LVTPanoptic)
    initialise(model, torch.Generator().manual_seed(seed))
    return model


def _checkpoint_meta(
    names: tuple[str, ...], palette: tuple[tuple[int, int, int], ...] | None, size: Size
) -> CheckpointMeta:
    return CheckpointMeta(names, palette, size, IMAGENET_MEAN_255, IMAGENET_STD_255)


def _fine_tuning_weights(
    pretrained: dict[str, Tensor], initial: dict[str, Tensor]
) -> dict[str, Tensor]:
    """The pretrained weights; initial ones for outputs with another number of classes."""
    return {
        key: value
        if key.startswith(_CLASS_LAYERS) and value.shape != pretrained.get(key, value).shape
        else pretrained.get(key, value)
        for key, value in initial.items()
    }


def _load_panoptic(path: Path) -> LVTPanoptic:
    checkpoint = read_checkpoint(path)
    model = load_model(checkpoint, identify(checkpoint))
    assert isinstance(model, LVTPanoptic)
    return model


def _log_entry(step: StepReport) -> dict[str, Any]:
    figures = {**step.losses, "rate": step.rate, "gradient": step.gradient}
    return {
        "step": step.step,
        "seconds": round(step.seconds, 1),
        **{name: float(f"{value:.4g}") for name, value in figures.items()},
    }


def _append_json(path: Path, entry: dict[str, Any]) -> None:
    with path.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(entry) + "\n")

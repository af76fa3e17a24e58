"""What to export and how: the request, and everything that is settled before converting."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from torch import nn

from export.capabilities import TARGETS, Precision, StoredPrecision, TargetInfo
from export.panoptic.graph import check_size, with_limits
from lvt.checkpoint import Checkpoint, CheckpointMeta, identify, load_model, read_checkpoint
from lvt.config import Size, Task
from lvt.data.labels import Labels, make_labels, read_names
from lvt.data.preprocessing import Preprocessing, fixed_size
from lvt.demo import checkpoint_path
from lvt.errors import UserError
from lvt.models import ModelSpec, build_random, default_spec
from lvt.panoptic.coco import CATEGORIES, STUFF, THINGS

CLASSIFICATION_SIZE: Size = (224, 224)
"""What the official classifier was trained and is evaluated at."""


@dataclass(frozen=True)
class ExportRequest:
    """What to export and how.

    Attributes:
        target: name of the target format.
        out: the file to write; in a folder (the current one by default) the name is made from
            the checkpoint's.
        checkpoint: file with the weights, or `demo`; None for reproducible random ones.
        task: checked against the checkpoint; the model's task if there is no checkpoint.
        size: input height and width; None to take the checkpoint's.
        preset: the model where there is no checkpoint; with one, for what its shapes do not
            tell, which is the recursion depth. None for the paper's, or to take the checkpoint's.
        ema: use the checkpoint's EMA weights.
        names: file with the names of the classes, instead of the checkpoint's.
        precision: of the file; None for the target's default.
        strict: refuse a file of which something runs beside the accelerated path.
        pixels: Core ML only; the file takes 8-bit pixels and normalises them itself.
        rewrite: False exports the reference as it is, for comparison.
        images: folder of further pictures to check parity on.
        proposals: panoptic only; most boxes that are looked at. None: the model's own number.
        detections: panoptic only; most instances. None: the model's own number.
    """

    target: str
    out: Path | None = None
    checkpoint: Path | None = None
    task: Task | None = None
    size: Size | None = None
    preset: str | None = None
    ema: bool = False
    names: Path | None = None
    precision: Precision | None = None
    strict: bool = False
    pixels: bool = False
    rewrite: bool = True
    images: Path | None = None
    proposals: int | None = None
    detections: int | None = None


@dataclass(frozen=True)
class LoadedModel:
    """A model ready to export, and what is known of it."""

    model: nn.Module
    spec: ModelSpec
    meta: CheckpointMeta = field(default_factory=CheckpointMeta)
    checkpoint: Checkpoint | None = None


def load_for_export(request: ExportRequest) -> LoadedModel:
    """Loads the checkpoint, or makes the random model.

    Raises:
        UserError: see `read_checkpoint`, `identify` and `load_model`.
    """
    if request.checkpoint is not None:
        checkpoint = read_checkpoint(checkpoint_path(request.checkpoint), ema=request.ema)
        spec = identify(checkpoint, task=request.task, preset_name=request.preset)
        meta = _with_names(request, checkpoint.meta, spec)
        return LoadedModel(load_model(checkpoint, spec), spec, meta, checkpoint)
    spec = default_spec(request.task or "classification", request.preset or "lvt")
    return LoadedModel(build_random(spec), spec, _with_names(request, CheckpointMeta(), spec))


def _with_names(request: ExportRequest, meta: CheckpointMeta, spec: ModelSpec) -> CheckpointMeta:
    """What is known of the model, with the user's names; a note where there are none.

    Raises:
        UserError: see `read_names`; or names for a model without classes.
    """
    if request.names is not None:
        if not spec.classes:
            raise UserError("--names: a bare backbone has no classes")
        names, colours = read_names(request.names, spec.classes)
        return replace(meta, class_names=names, palette=colours or meta.palette)
    known = meta.class_names is not None or not spec.classes or _standard_names(spec) is not None
    if known or request.checkpoint is None:
        return meta
    note = f"the checkpoint names no classes: they are called class 0 to class {spec.classes - 1}"
    return replace(meta, notes=(*meta.notes, f"{note}; --names FILE gives names"))


def _standard_names(spec: ModelSpec) -> str | None:
    """The data set whose names are taken where a checkpoint has none: told by the counts."""
    if spec.panoptic and (spec.panoptic.things, spec.panoptic.stuff) == (len(THINGS), len(STUFF)):
        return "COCO"
    return "ImageNet" if spec.task == "classification" and spec.classes == 1000 else None


def choose_size(request: ExportRequest, source: LoadedModel) -> Size:
    """The input size: the request's, else the checkpoint's, else the task's official one.

    Raises:
        UserError: nothing tells the size, or it is too small for the model.
    """
    size = request.size or source.meta.input_size
    if size is None and source.spec.task == "classification":
        size = CLASSIFICATION_SIZE
    if size is None:
        who = request.checkpoint.name if request.checkpoint else "a model without a checkpoint"
        raise UserError(
            f"{who} does not say which input size its {source.spec.task} task is for: "
            "give --size HxW, for example --size 512x512"
        )
    if source.spec.task == "panoptic":
        check_size(size)
    least = source.spec.config.min_side
    if min(size) < least:
        raise UserError(
            f"--size {size[0]}x{size[1]} is too small: each side must be at least {least} pixels"
        )
    return size


@dataclass(frozen=True)
class Job:
    """A source with everything decided that an artifact needs.

    Attributes:
        spec: the source's; for panoptic, bounded as the request asks.
    """

    source: LoadedModel
    spec: ModelSpec
    size: Size
    preprocessing: Preprocessing
    labels: Labels | None


def prepare(request: ExportRequest) -> Job:
    """Loads the source and settles size, bounds, preprocessing and labels.

    Raises:
        UserError: see `load_for_export` and `choose_size`; bounds without a panoptic model.
    """
    source = load_for_export(request)
    size = choose_size(request, source)
    spec, meta = source.spec, source.meta
    if spec.panoptic is not None:
        panoptic = with_limits(spec.panoptic, request.proposals, request.detections)
        spec = replace(spec, panoptic=panoptic)
    elif request.proposals or request.detections:
        raise UserError(f"--proposals and --detections are for panoptic models, not {spec.task}")
    preprocessing = fixed_size(spec.task, size, meta.mean, meta.std)
    return Job(source, spec, size, preprocessing, source_labels(source))


def default_name(
    request: ExportRequest, job: Job, info: TargetInfo, precision: StoredPrecision
) -> str:
    """Checkpoint (or preset), task, size, and what is out of the ordinary."""
    stem = job.spec.name
    if request.checkpoint:
        stem = request.checkpoint.name
        for suffix in (".tar", ".pth", ".pt", ".safetensors"):
            stem = stem.removesuffix(suffix)
    parts = [stem] if job.spec.task in stem else [stem, job.spec.task]
    parts.append(f"{job.size[0]}x{job.size[1]}")
    if request.checkpoint and request.preset and job.spec.config.recursive:
        parts.append(f"r{job.spec.config.recursion}")
    if request.proposals:
        parts.append(f"p{request.proposals}")
    if request.detections:
        parts.append(f"d{request.detections}")
    if request.ema:
        parts.append("ema")
    if precision != info.precision(job.spec.task, None):
        parts.append(precision)
    if not info.in_all and any(o.suffix == info.suffix and o.in_all for o in TARGETS.values()):
        parts.append(info.name)  # its suffix is another target's too
    if request.pixels:
        parts.append("pixels")
    if not request.rewrite:
        parts.append("unrewritten")
    return "_".join(parts)


def source_labels(source: LoadedModel) -> Labels | None:
    """Class names and colours, of the checkpoint where it has them; None for a backbone."""
    spec, meta = source.spec, source.meta
    if not spec.classes:
        return None
    names, palette = meta.class_names, meta.palette
    if names is None and _standard_names(spec) == "COCO":
        names = tuple(category.name for category in CATEGORIES)
        palette = tuple(category.colour for category in CATEGORIES)
    return make_labels(spec.classes, names, palette, imagenet=spec.task == "classification")

"""Resolve: turns a request into a plan with every choice made, before any slow work starts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from torch import nn

from export.capabilities import (
    FORMS,
    TARGETS,
    Form,
    Precision,
    Recipe,
    StoredPrecision,
    TargetInfo,
    target_info,
)
from export.chips import Chip, chip_list, find_chips
from export.panoptic.limits import check_size, check_whole, with_limits
from export.panoptic.parts.layout import HostConstants
from lvt.checkpoint import Checkpoint, CheckpointMeta, identify, load_model, read_checkpoint
from lvt.config import Size, Task
from lvt.data.labels import Labels, make_labels, read_names
from lvt.data.preprocessing import Preprocessing, fixed_size
from lvt.data.preprocessing_steps import Normalise
from lvt.demo import checkpoint_path
from lvt.errors import UserError
from lvt.models import ModelSpec, build_random, default_spec
from lvt.panoptic.coco import CATEGORIES, STUFF, THINGS

CLASSIFICATION_SIZE: Size = (224, 224)
"""Input size of the official classifier, in training and evaluation."""


_ARTIFACT_SUFFIXES = {info.form_suffix(form) for info in TARGETS.values() for form in FORMS}
"""A folder with such a name is an artifact, not a folder for artifacts."""


@dataclass(frozen=True)
class ExportRequest:
    """What the user asks for. `resolve_model` and `plan_export` turn it into an `ExportPlan`.

    Attributes:
        target: name of the target format, such as `onnx`.
        out: file to write, or folder; in a folder the name is made from the checkpoint's.
            Default: the current folder.
        checkpoint: file with the weights, or `demo`. None: reproducible random weights.
        task: expected task of the checkpoint; without a checkpoint, the model's task.
        size: input height and width in pixels. None: the checkpoint's.
        preset: without a checkpoint, the model; with one, its recursion depth, which weights do
            not store. None: the paper's model, or the checkpoint's own settings.
        ema: use the checkpoint's EMA weights.
        names: file with class names that replace the checkpoint's.
        precision: precision of the file. None: the target's default.
        strict: fail if any operator runs outside the accelerator.
        pixels: Core ML only; the file takes 8-bit pixels and normalises them itself.
        rewrite: False exports the reference without rewrites, for comparison.
        images: folder of additional pictures for the parity check.
        proposals: panoptic only; maximum number of box proposals. None: the model's.
        detections: panoptic only; maximum number of instances. None: the model's.
        form: panoptic only; one graph, or parts with steps on the host between them. None: the
            faster one on the target, unless the suffix of `out` implies a form.
        soc: compiled files only; names of the chips to compile for, or `all`.
        gpu: check that the GPU accelerator takes the file; strict: fail if not.
    """

    target: str
    out: str | Path | None = None
    checkpoint: str | Path | None = None
    task: Task | None = None
    size: Size | None = None
    preset: str | None = None
    ema: bool = False
    names: str | Path | None = None
    precision: Precision | None = None
    strict: bool = False
    pixels: bool = False
    rewrite: bool = True
    images: str | Path | None = None
    proposals: int | None = None
    detections: int | None = None
    form: Form | None = None
    soc: tuple[str, ...] = ()
    gpu: bool = False

    @property
    def checkpoint_name(self) -> str | None:
        """File name of the checkpoint; None for random weights."""
        return None if self.checkpoint is None else Path(self.checkpoint).name


@dataclass(frozen=True)
class LoadedModel:
    """The reference model with its weights.

    Attributes:
        model: the reference.
        spec: describes the model.
        meta: what the checkpoint records beside its weights.
        checkpoint: None for random weights.
        ema: whether the weights are the checkpoint's EMA weights.
    """

    model: nn.Module
    spec: ModelSpec
    meta: CheckpointMeta
    checkpoint: Checkpoint | None = None
    ema: bool = False

    @property
    def labels(self) -> Labels | None:
        """Class names and colours: the checkpoint's, else the standard ones of its data set.

        None for a backbone.
        """
        if not self.spec.classes:
            return None
        names, palette = self.meta.class_names, self.meta.palette
        if names is None and _standard_names(self.spec) == "COCO":
            names = tuple(category.name for category in CATEGORIES)
            palette = tuple(category.colour for category in CATEGORIES)
        imagenet = self.spec.task == "classification"
        return make_labels(self.spec.classes, names, palette, imagenet=imagenet)


@dataclass(frozen=True)
class ResolvedModel:
    """A loaded model for one input size. Several targets share it.

    Attributes:
        loaded: the reference and its weights.
        spec: the model's description; for panoptic with the request's limits.
        size: input height and width in pixels.
        preprocessing: from a picture to the input tensor.
        labels: class names and colours; None for a backbone.
    """

    loaded: LoadedModel
    spec: ModelSpec
    size: Size
    preprocessing: Preprocessing
    labels: Labels | None

    @property
    def reference(self) -> nn.Module:
        """The reference model."""
        return self.loaded.model

    @property
    def notes(self) -> tuple[str, ...]:
        """Facts about the checkpoint that the user should know, one line each."""
        return self.loaded.meta.notes


@dataclass(frozen=True)
class ExportPlan:
    """One artifact before it is written.

    Attributes:
        model: the model to export.
        target: the file format.
        recipe: the set of rewrites; None exports the reference as it is.
        precision: precision of the file.
        path: file to write.
        form: of a panoptic file; None for other tasks.
        strict: fail if any operator runs outside the accelerator.
        pixels: normalisation built into a file that takes 8-bit pixels; None: the file takes the
            preprocessed tensor.
        images: folder of additional pictures for the parity check.
        chips: of a compiled file; what it is compiled for.
        integer_io: a file of integers takes and gives int8.
        gpu: check that the GPU accelerator takes the file.
    """

    model: ResolvedModel
    target: TargetInfo
    recipe: Recipe | None
    precision: StoredPrecision
    path: Path
    form: Form | None = None
    strict: bool = False
    pixels: Normalise | None = None
    images: Path | None = None
    chips: tuple[Chip, ...] = ()
    integer_io: bool = False
    gpu: bool = False

    @property
    def host(self) -> HostConstants | None:
        """Constants of the host steps; None if the file holds the whole model."""
        if self.form != "parts":
            return None
        assert self.model.spec.panoptic is not None
        return HostConstants.for_model(self.model.spec.panoptic, self.model.size)


def load_reference(request: ExportRequest) -> LoadedModel:
    """Loads the checkpoint, or builds the model with random weights.

    Raises:
        UserError: see `read_checkpoint`, `identify`, `load_model` and `read_names`.
    """
    if request.checkpoint is None:
        spec = default_spec(request.task or "classification", request.preset or "lvt")
        meta = _with_names(request, CheckpointMeta(), spec)
        return LoadedModel(build_random(spec), spec, meta, ema=request.ema)
    checkpoint = read_checkpoint(checkpoint_path(Path(request.checkpoint)), ema=request.ema)
    spec = identify(checkpoint, task=request.task, preset_name=request.preset)
    meta = _with_names(request, checkpoint.meta, spec)
    return LoadedModel(load_model(checkpoint, spec), spec, meta, checkpoint, request.ema)


def resolve_model(request: ExportRequest) -> ResolvedModel:
    """Loads the model and chooses input size, limits, preprocessing and labels.

    Raises:
        UserError: see `load_reference` and `choose_size`; or limits for a model that is not
            panoptic.
    """
    loaded = load_reference(request)
    spec, size = loaded.spec, choose_size(request, loaded)
    if spec.panoptic is not None:
        panoptic = with_limits(spec.panoptic, request.proposals, request.detections)
        spec = replace(spec, panoptic=panoptic)
    elif request.proposals or request.detections:
        raise UserError(f"--proposals and --detections are for panoptic models, not {spec.task}")
    elif request.form is not None:
        raise UserError(f"--{request.form} is for panoptic models, not {spec.task}")
    preprocessing = fixed_size(spec.task, size, loaded.meta.mean, loaded.meta.std)
    return ResolvedModel(loaded, spec, size, preprocessing, loaded.labels)


def choose_size(request: ExportRequest, loaded: LoadedModel) -> Size:
    """The input size: the request's, else the checkpoint's, else the task's official one.

    Raises:
        UserError: no size is known, or it is too small for the model.
    """
    spec = loaded.spec
    size = request.size or loaded.meta.input_size
    if size is None and spec.task == "classification":
        size = CLASSIFICATION_SIZE
    if size is None:
        owner = request.checkpoint_name or "a model with random weights"
        raise UserError(
            f"{owner} has no input size for its {spec.task} task: give --size HxW, for example "
            "--size 512x512"
        )
    if spec.task == "panoptic":
        check_size(size)
    minimum = spec.config.min_side
    if min(size) < minimum:
        raise UserError(
            f"--size {size[0]}x{size[1]} is too small: each side must be at least {minimum} pixels"
        )
    return size


def plan_export(
    request: ExportRequest,
    model: ResolvedModel,
    *,
    recipe: Recipe | None = None,
    precision: StoredPrecision | None = None,
) -> ExportPlan:
    """Checks a request for one target and settles the rest. Everything that can fail early, fails.

    Args:
        request: what the user asks for.
        model: `resolve_model(request)`; shared by targets.
        recipe: set of rewrites, if it is not the target's own.
        precision: precision of an int8 file; otherwise the request decides.

    Raises:
        UserError: the target does not support the request, or the output path cannot be used.
    """
    target = target_info(request.target)
    if precision is None:
        precision = target.precision(model.spec.task, request.precision)
    if not request.rewrite and not target.unrewritten:
        raise UserError(
            f"{target.name} cannot export the reference without rewrites (it has im2col and "
            "col2im); leave out --no-rewrite"
        )
    if request.pixels and not target.supports_image_input:
        supported = [info.name for info in TARGETS.values() if info.supports_image_input]
        raise UserError(f"--pixels is for {', '.join(supported)} only")
    if request.gpu and not target.gpu:
        supported = [info.name for info in TARGETS.values() if info.gpu]
        raise UserError(f"--gpu is for {', '.join(supported)} only")
    form: Form | None = None
    if model.spec.panoptic is not None:
        form = target.form(request.form, Path(request.out or "").suffix)
        if form == "whole":
            if target.compiled:
                raise UserError(f"{target.name} takes panoptic models in parts only")
            check_whole(model.spec.panoptic)
    return ExportPlan(
        model=model,
        target=target,
        recipe=(recipe or target.recipe) if request.rewrite else None,
        precision=precision,
        path=_output_path(request, model, target, precision, form),
        form=form,
        strict=request.strict,
        pixels=_pixel_normalisation(model.preprocessing) if request.pixels else None,
        images=None if request.images is None else Path(request.images),
        chips=_chips(request, target),
        gpu=request.gpu,
    )


def _chips(request: ExportRequest, target: TargetInfo) -> tuple[Chip, ...]:
    """The chips that a file is compiled for.

    Raises:
        UserError: chips for a file that is not compiled, none for one that is, or an unknown chip.
    """
    if not target.compiled:
        if request.soc:
            compiled = [info.name for info in TARGETS.values() if info.compiled]
            raise UserError(f"--soc is for {', '.join(compiled)} only")
        return ()
    if not request.soc:
        raise UserError(f"{target.name} compiles for chips: name them with --soc: {chip_list()}")
    return find_chips(request.soc)


def _output_path(
    request: ExportRequest,
    model: ResolvedModel,
    target: TargetInfo,
    precision: StoredPrecision,
    form: Form | None,
) -> Path:
    """The request's file, or a default name in the request's folder.

    Raises:
        UserError: wrong suffix, or a directory where a file belongs and vice versa.
    """
    out = Path(request.out or "")
    suffix, is_directory = target.form_suffix(form), target.form_is_directory(form)
    if out.suffix != suffix:
        if out.suffix and (not out.is_dir() or out.suffix in _ARTIFACT_SUFFIXES):
            raise UserError(f"--out {out}: the name of a {target.name} file ends in {suffix}")
        out = out / (_default_name(request, model, target, precision, form) + suffix)
    if out.exists() and out.is_dir() != is_directory:
        kind, written = ("directory", "file") if out.is_dir() else ("file", "directory")
        raise UserError(
            f"'{out}' is a {kind}; {target.name} writes a {written}. Choose another --out."
        )
    return out


def _default_name(
    request: ExportRequest,
    model: ResolvedModel,
    target: TargetInfo,
    precision: StoredPrecision,
    form: Form | None,
) -> str:
    """Checkpoint (or preset), task, size, and every setting that is not the default."""
    stem = model.spec.name
    if request.checkpoint_name:
        stem = request.checkpoint_name
        for suffix in (".tar", ".pth", ".pt", ".safetensors"):
            stem = stem.removesuffix(suffix)
    parts = [stem] if model.spec.task in stem else [stem, model.spec.task]
    parts.append(f"{model.size[0]}x{model.size[1]}")
    if request.checkpoint and request.preset and model.spec.config.recursive:
        parts.append(f"r{model.spec.config.recursion}")
    if request.proposals:
        parts.append(f"p{request.proposals}")
    if request.detections:
        parts.append(f"d{request.detections}")
    if request.ema:
        parts.append("ema")
    if form is not None and form != FORMS[0]:
        parts.append(form)
    if precision != target.precision(model.spec.task, None):
        parts.append(precision)
    others = (info for info in TARGETS.values() if info is not target and info.in_all)
    if not target.in_all and any(other.suffix == target.suffix for other in others):
        parts.append(target.name)  # distinguishes it from the other target's file
    if request.pixels:
        parts.append("pixels")
    if not request.rewrite:
        parts.append("unrewritten")
    return "_".join(parts)


def _pixel_normalisation(preprocessing: Preprocessing) -> Normalise:
    """The normalisation that is built into a file for 8-bit pixels.

    Raises:
        UserError: a step after the normalisation cannot be expressed in pixels.
    """
    last = preprocessing.steps[-1]
    if not isinstance(last, Normalise):
        raise UserError(
            "--pixels is not possible for panoptic models: their input is padded after "
            "normalisation, which pixel values cannot express. Leave out --pixels."
        )
    return last


def _with_names(request: ExportRequest, meta: CheckpointMeta, spec: ModelSpec) -> CheckpointMeta:
    """The checkpoint's metadata with the user's class names; a note if there are none.

    Raises:
        UserError: see `read_names`; or names for a model without classes.
    """
    if request.names is not None:
        if not spec.classes:
            raise UserError("--names: a bare backbone has no classes")
        names, colours = read_names(Path(request.names), spec.classes)
        return replace(meta, class_names=names, palette=colours or meta.palette)
    known = meta.class_names is not None or not spec.classes or _standard_names(spec) is not None
    if known or request.checkpoint is None:
        return meta
    note = f"the checkpoint names no classes: they are called class 0 to class {spec.classes - 1}"
    return replace(meta, notes=(*meta.notes, f"{note}; --names FILE gives names"))


def _standard_names(spec: ModelSpec) -> str | None:
    """The data set whose class names apply if a checkpoint has none; recognised by the counts."""
    if spec.panoptic and (spec.panoptic.things, spec.panoptic.stuff) == (len(THINGS), len(STUFF)):
        return "COCO"
    return "ImageNet" if spec.task == "classification" and spec.classes == 1000 else None

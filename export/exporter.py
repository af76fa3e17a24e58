"""The road from a checkpoint to a proven artifact, step by step."""

from __future__ import annotations

import copy
import json
import platform
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from export.artifact import SCHEMA, TensorInfo, manifest_path, write_manifest
from export.localise import first_deviation
from export.panoptic.graph import PanopticGraph, bounded, check_size
from export.parity import TOLERANCES, ParityReport, compare
from export.reference import reference_session
from export.rewrite import rewrite
from export.session import Outputs
from export.targets import Target, check_task, load_target, target_info
from lvt.checkpoint import Checkpoint, CheckpointMeta, identify, load_model, read_checkpoint
from lvt.complexity import count_macs, count_parameters
from lvt.config import Task
from lvt.demo import DEMO_CHECKPOINT, DEMO_SIZE, HELD_OUT_SEEDS
from lvt.demo.scenes import make_scene
from lvt.errors import UserError
from lvt.files import atomic_folder, file_sha256, publish
from lvt.labels import Labels, make_labels
from lvt.models import ModelSpec, build_random, default_spec, min_side
from lvt.panoptic.coco import CATEGORIES, STUFF, THINGS
from lvt.panoptic.config import PanopticConfig
from lvt.panoptic.model import LVTPanoptic
from lvt.preprocessing import (
    Preprocessing,
    Size,
    fixed_size,
    list_images,
    packaged_photos,
    read_image,
)

CLASSIFICATION_SIZE: Size = (224, 224)
"""What the official classifier was trained and is evaluated at."""


class ParityError(Exception):
    """The written file does not compute what the reference computes; it has not been kept."""


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
        preset: for what shapes cannot tell (recursion depth); None to take the model's.
        ema: use the checkpoint's EMA weights.
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
    rewrite: bool = True
    images: Path | None = None
    proposals: int | None = None
    detections: int | None = None


@dataclass(frozen=True)
class ExportResult:
    """A written artifact."""

    path: Path
    manifest: dict[str, Any]
    parity: ParityReport
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Source:
    """A model ready to export, and what is known of it."""

    model: nn.Module
    spec: ModelSpec
    meta: CheckpointMeta = field(default_factory=CheckpointMeta)
    checkpoint: Checkpoint | None = None


DEMO = Path("demo")
"""As a checkpoint, this name means the demonstration model that ships with the package."""


def _checkpoint_path(given: Path) -> Path:
    return DEMO_CHECKPOINT if given == DEMO and not given.exists() else given


def load_source(request: ExportRequest) -> Source:
    """Loads the checkpoint, or makes the random model.

    Raises:
        UserError: see `read_checkpoint`, `identify` and `load_model`.
    """
    if request.checkpoint is not None:
        checkpoint = read_checkpoint(_checkpoint_path(request.checkpoint), ema=request.ema)
        spec = identify(checkpoint, task=request.task, preset_name=request.preset)
        return Source(load_model(checkpoint, spec), spec, checkpoint.meta, checkpoint)
    spec = default_spec(request.task or "classification", request.preset or "lvt")
    return Source(build_random(spec), spec)


def choose_size(request: ExportRequest, source: Source) -> Size:
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
    least = min_side(source.spec)
    if min(size) < least:
        raise UserError(
            f"--size {size[0]}x{size[1]} is too small: each side must be at least {least} pixels"
        )
    return size


Progress = Callable[[str], None]
"""Called with what is about to be done."""


def export_artifact(
    request: ExportRequest, progress: Progress = lambda _step: None
) -> ExportResult:
    """Writes one artifact and its manifest, after parity has been measured and has passed.

    Raises:
        UserError: something the user can put right.
        ParityError: names the outputs that are off, by how much, and where the deviation starts.
    """
    info = target_info(request.target)
    progress("reading the checkpoint" if request.checkpoint else "making a random model")
    job = prepare(request)
    check_task(info, job.spec.task)
    out = _destination(request, job, info.suffix)
    pictures = _parity_pictures(request, job)

    progress(f"converting to {info.name}")
    target = load_target(info.name)
    exported = _exported(job, target, rewritten=request.rewrite)
    with atomic_folder(out.parent) as scratch:
        file = scratch / out.name
        target.write(exported, job.spec, job.size, file, _embedded_metadata(job))
        progress(f"comparing {info.runtime} with the reference on {len(pictures)} images")
        try:
            parity = compare(
                reference_session(job.source.model, job.spec),
                target.open_session(file),
                _tensors(job.preprocessing, pictures),
                job.spec,
                TOLERANCES["fp32"],
            )
        except ValueError as error:
            raise ParityError(f"parity failed: {error}") from error
        if not parity.passed:
            progress("looking for the first module that deviates")
            image = job.preprocessing(pictures[parity.worst_image]())
            raise ParityError(_explain(parity, target, file, job.source.model, exported, image))
        manifest = _manifest(request, job, parity, target, exported, file)
        write_manifest(manifest_path(file), manifest)
        publish(manifest_path(file), manifest_path(out))
        publish(file, out)
    return ExportResult(out, manifest, parity, job.source.meta.notes)


@dataclass(frozen=True)
class Job:
    """A source with everything decided that an artifact needs.

    Attributes:
        spec: the source's; for panoptic, bounded as the request asks.
    """

    source: Source
    spec: ModelSpec
    size: Size
    preprocessing: Preprocessing
    labels: Labels | None


def prepare(request: ExportRequest) -> Job:
    """Loads the source and settles size, bounds, preprocessing and labels.

    Raises:
        UserError: see `load_source` and `choose_size`; bounds without a panoptic model.
    """
    source = load_source(request)
    size = choose_size(request, source)
    spec, meta = source.spec, source.meta
    if spec.panoptic is not None:
        panoptic = bounded(spec.panoptic, request.proposals, request.detections)
        spec = replace(spec, panoptic=panoptic)
    elif request.proposals or request.detections:
        raise UserError(f"--proposals and --detections are for panoptic models, not {spec.task}")
    preprocessing = fixed_size(spec.task, size, meta.mean, meta.std)
    return Job(source, spec, size, preprocessing, source_labels(source))


def _exported(job: Job, target: Target, *, rewritten: bool) -> nn.Module:
    """The module to convert."""
    model = rewrite(job.source.model) if rewritten else job.source.model
    if job.spec.panoptic is not None:
        assert isinstance(model, LVTPanoptic)
        return PanopticGraph(model, job.spec.panoptic, job.size, target.roi_align)
    return model


def default_name(request: ExportRequest, job: Job) -> str:
    """Checkpoint (or preset), task, size, and what is out of the ordinary."""
    stem = job.spec.name
    if request.checkpoint:
        stem = request.checkpoint.name
        for suffix in (".tar", ".pth", ".pt", ".safetensors"):
            stem = stem.removesuffix(suffix)
    parts = [stem] if job.spec.task in stem else [stem, job.spec.task]
    parts.append(f"{job.size[0]}x{job.size[1]}")
    if request.checkpoint and request.preset:
        parts.append(f"r{job.spec.config.recursion}")
    if request.proposals:
        parts.append(f"p{request.proposals}")
    if request.detections:
        parts.append(f"d{request.detections}")
    if request.ema:
        parts.append("ema")
    if not request.rewrite:
        parts.append("unrewritten")
    return "_".join(parts)


def _destination(request: ExportRequest, job: Job, suffix: str) -> Path:
    """The file to write: the request's, or a name of ours in the request's folder.

    Raises:
        UserError: a name with another suffix.
    """
    out = request.out or Path()
    if out.is_dir() or not out.suffix:
        return out / (default_name(request, job) + suffix)
    if out.suffix != suffix:
        raise UserError(f"--out {out}: the name of a {request.target} file ends in {suffix}")
    return out


def source_labels(source: Source) -> Labels | None:
    """Class names and colours, of the checkpoint where it has them; None for a backbone."""
    spec, meta = source.spec, source.meta
    if not spec.classes:
        return None
    names, palette = meta.class_names, meta.palette
    split = (spec.panoptic.things, spec.panoptic.stuff) if spec.panoptic else None
    if names is None and split == (len(THINGS), len(STUFF)):
        names = tuple(category.name for category in CATEGORIES)
        palette = tuple(category.colour for category in CATEGORIES)
    return make_labels(spec.classes, names, palette, imagenet=spec.task == "classification")


Picture = Callable[[], NDArray[np.uint8]]
"""Gives (H, W, 3) uint8 RGB when it is wanted."""

_PARITY_SCENES = 4


def _parity_pictures(request: ExportRequest, job: Job) -> list[Picture]:
    """The packaged photos, generated scenes for panoptic models, and the user's own pictures.

    The scenes give the demonstration model something to detect.
    """
    paths = packaged_photos() + (list_images(request.images) if request.images else [])
    pictures: list[Picture] = [partial(read_image, path) for path in paths]
    if job.spec.panoptic is not None:
        pictures += [partial(_scene, seed) for seed in HELD_OUT_SEEDS[:_PARITY_SCENES]]
    return pictures


def _scene(seed: int) -> NDArray[np.uint8]:
    return make_scene(seed, DEMO_SIZE).image


def _tensors(
    preprocessing: Preprocessing, pictures: list[Picture]
) -> Iterator[NDArray[np.float32]]:
    for picture in pictures:
        yield preprocessing(picture())


def _embedded_metadata(job: Job) -> dict[str, str]:
    """The essentials, for those who get the model file without its manifest."""
    entries = {
        "lvt.task": job.spec.task,
        "lvt.model": json.dumps(job.spec.to_dict()),
        "lvt.preprocessing": json.dumps(job.preprocessing.to_dict()),
    }
    if job.labels is not None:
        entries["lvt.labels"] = json.dumps(job.labels.to_dict(), ensure_ascii=False)
    return entries


def _explain(
    parity: ParityReport,
    target: Target,
    file: Path,
    reference: nn.Module,
    exported: nn.Module,
    image: NDArray[np.float32],
) -> str:
    def file_outputs(names: list[str]) -> Outputs:
        return target.module_outputs(file, image, names)

    start = first_deviation(reference, exported, file_outputs, image, parity.tolerance.sqnr_db)
    where = str(start) if start else "no single module could be made out where it starts"
    return "parity failed: " + "; ".join([*parity.failures, where])


def _outputs(spec: ModelSpec, size: Size) -> list[TensorInfo]:
    def at_stride(stride: int) -> tuple[int, int]:
        return -(-size[0] // stride), -(-size[1] // stride)

    if spec.task == "backbone":
        return [
            TensorInfo(name, (1, dim, *at_stride(4 << depth)), "NCHW", "backbone feature map")
            for depth, (name, dim) in enumerate(zip(spec.outputs, spec.config.dims, strict=True))
        ]
    if spec.panoptic is not None:
        return _panoptic_outputs(spec.panoptic, at_stride(4))
    if spec.task == "semantic":
        meaning = "class scores before softmax at a quarter of the input size"
        return [TensorInfo("logits", (1, spec.classes, *at_stride(4)), "NCHW", meaning)]
    return [TensorInfo("logits", (1, spec.classes), "NC", "class scores before softmax")]


def _panoptic_outputs(config: PanopticConfig, quarter: Size) -> list[TensorInfo]:
    slots = config.detection.count
    cells = 2 * config.roi.mask_size
    return [
        TensorInfo("boxes", (slots, 4), "N4", "x1, y1, x2, y2 in network pixels, best first"),
        TensorInfo("scores", (slots,), "N", "probabilities; 0 marks an empty slot"),
        TensorInfo("labels", (slots,), "N", "thing classes", dtype="int32"),
        TensorInfo("masks", (slots, cells, cells), "NHW", "probabilities inside the box"),
        TensorInfo(
            "semantic",
            (1, config.stuff + 1, *quarter),
            "NCHW",
            "scores of the stuff classes, then of 'some thing', at a quarter of the input size",
        ),
    ]


def _macs(job: Job, exported: nn.Module) -> dict[str, int]:
    """Multiply-accumulates of the reference and of what was exported."""
    model = job.source.model
    if job.spec.panoptic is not None:
        assert isinstance(model, LVTPanoptic)
        assert isinstance(exported, PanopticGraph)
        # The reference's lists have no fixed length; it is counted with all slots filled.
        model = PanopticGraph(model, job.spec.panoptic, job.size, _uncounted_roi_align)
        exported = copy.copy(exported)
        exported.roi_align = _uncounted_roi_align
    return {
        "reference": count_macs(model, job.size),
        "artifact": count_macs(exported, job.size),
    }


def _uncounted_roi_align(feature: Tensor, boxes: Tensor, size: int, stride: int) -> Tensor:
    """Interpolation is not counted, as elsewhere: only the shape of the result matters."""
    return feature.new_zeros(boxes.shape[0], feature.shape[1], size, size)


def _manifest(
    request: ExportRequest,
    job: Job,
    parity: ParityReport,
    target: Target,
    exported: nn.Module,
    file: Path,
) -> dict[str, Any]:
    checkpoint = job.source.checkpoint
    return {
        "schema": SCHEMA,
        "task": job.spec.task,
        "target": request.target,
        "precision": "fp32",
        "file": {
            "name": file.name,
            "bytes": file.stat().st_size,
            "sha256": file_sha256(file),
        },
        "model": job.spec.to_dict(),
        "model_name": job.spec.name,
        "parameters": count_parameters(job.source.model),
        "macs": _macs(job, exported),
        "inputs": [
            TensorInfo("image", (1, 3, *job.size), "NCHW", "preprocessed picture").to_dict()
        ],
        "outputs": [output.to_dict() for output in _outputs(job.spec, job.size)],
        "preprocessing": job.preprocessing.to_dict(),
        "labels": job.labels.to_dict() if job.labels else None,
        "parity": parity.to_dict(),
        "accuracy": None,  # not measured
        "rewritten": request.rewrite,
        "source": {
            "checkpoint": checkpoint.path.name if checkpoint else None,
            "container": checkpoint.container if checkpoint else "random weights, seed 0",
            "sha256": checkpoint.sha256 if checkpoint else None,
            "ema": request.ema,
        },
        "tools": {
            "lvt-mobile": version("lvt-mobile"),
            "python": platform.python_version(),
            **target.versions(),
        },
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }

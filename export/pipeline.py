"""The road from a checkpoint to a proven artifact, step by step."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from export.artifact.manifest import make_manifest
from export.artifact.reader import manifest_path, publish_artifact, write_manifest
from export.capabilities import Precision, StoredPrecision, TargetInfo, target_info
from export.panoptic.graph import PanopticGraph, RoIAlign
from export.parity.compare import TOLERANCES, ParityReport, compare
from export.parity.localize import first_deviation
from export.placement import Placement
from export.plan import ExportRequest, Job, default_name, prepare
from export.reference import reference_session
from export.rewrite import fit_positions, rewrite
from export.session import Outputs
from export.targets import ConversionInput, Target, load_target
from lvt.data.images import list_images, packaged_photos, read_image
from lvt.data.preprocessing import Preprocessing
from lvt.data.preprocessing_steps import Normalise
from lvt.demo import DEMO_SIZE, HELD_OUT_SEEDS
from lvt.demo.scenes import make_scene
from lvt.errors import UserError
from lvt.panoptic.model import LVTPanoptic
from lvt.support import signals
from lvt.support.files import atomic_folder


class ExportError(Exception):
    """No artifact has come of it, through no fault of the request."""


class ConversionError(ExportError):
    """The converter or the runtime does not take the model."""


class ParityError(ExportError):
    """The written file does not compute what the reference computes; it has not been kept."""


class PlacementError(ExportError):
    """Something of the file runs beside the accelerated path, and `--strict` refuses that."""


@dataclass(frozen=True)
class ExportResult:
    """A written artifact.

    Attributes:
        seconds: from the loaded model to the published files.
    """

    path: Path
    manifest: dict[str, Any]
    parity: ParityReport
    placement: Placement
    seconds: float
    notes: tuple[str, ...] = ()


Progress = Callable[[str], None]
"""Called with what is about to be done."""


def export_artifact(
    request: ExportRequest, progress: Progress = lambda _step: None, job: Job | None = None
) -> ExportResult:
    """Writes one artifact and its manifest, after parity has been measured and has passed.

    Args:
        request: what to export and how.
        progress: told each step.
        job: `prepare(request)`, where several targets share it.

    Raises:
        UserError: something the user can put right.
        ConversionError: the converter or the runtime fails.
        ParityError: names the outputs that are off, by how much, and where the deviation starts.
        PlacementError: the request is strict, and operators are left outside.
    """
    info = target_info(request.target)
    if job is None:
        progress("reading the checkpoint" if request.checkpoint else "making a random model")
        job = prepare(request)
    started = time.perf_counter()
    out = check_request(request, job, info)
    precision = info.precision(job.spec.task, request.precision)
    pixels = _pixel_normalisation(job.preprocessing) if request.pixels else None
    pictures = _parity_pictures(request, job)

    progress(f"{info.name}: converting")
    target = load_target(info.name)
    exported = exported_module(job, info, target.roi_align, rewritten=request.rewrite)
    metadata = embedded_metadata(job)
    conversion = ConversionInput(exported, job.spec, job.size, precision, metadata, pixels)
    with atomic_folder(out.parent) as scratch:
        file = scratch / out.name
        with failing_as_conversion(f"{info.name}: conversion failed"):
            target.write(conversion, file)
        progress(f"{info.name}: comparing with the reference on {len(pictures)} images")
        parity = _parity(job, info, target, precision, exported, file, pictures, progress)
        placement = target.placement(file)
        if request.strict and placement.fallback != "none":
            outside = ", ".join(f"{count} {op}" for op, count in placement.outside.items())
            raise PlacementError(f"{info.name}: outside {placement.accelerator}: {outside}")
        manifest = make_manifest(request, job, info, conversion, parity, placement, target, file)
        write_manifest(manifest_path(file), manifest)
        publish_artifact(file, out)
    seconds = time.perf_counter() - started
    return ExportResult(out, manifest, parity, placement, seconds, job.source.meta.notes)


def check_request(
    request: ExportRequest,
    job: Job,
    info: TargetInfo,
    quantized: StoredPrecision | None = None,
) -> Path:
    """Everything that can be refused before the work begins.

    Args:
        request: what is asked for.
        job: what it is asked of.
        info: the target.
        quantized: the precision, where it is none that `lvt-export` writes.

    Returns:
        The file to write.

    Raises:
        UserError: the target does not take this, or not so; or the place is taken.
    """
    precision = quantized or info.precision(job.spec.task, request.precision)
    if not request.rewrite and not info.unrewritten:
        raise UserError(
            f"{info.name} does not run the reference as it is (im2col, col2im); "
            "leave --no-rewrite out"
        )
    out = destination(request, job, info, precision)
    if out.exists() and out.is_dir() != info.folder:
        kind = "a folder" if out.is_dir() else "a file"
        raise UserError(f"{out} is {kind}, and in the way; give another --out")
    return out


@contextmanager
def failing_as_conversion(what: str) -> Iterator[None]:
    """Whatever a converter or a runtime raises becomes one line.

    They have no common exception type; the cause is kept for `--verbose`.
    """
    try:
        yield
    except (UserError, OSError):
        raise
    except Exception as error:
        signals.check()
        lines = [line for line in str(error).splitlines() if line.strip()]
        reason = ": ".join([type(error).__name__, *lines[:1]])
        raise ConversionError(f"{what}: {reason} (--verbose shows more)") from error


def exported_module(
    job: Job, info: TargetInfo, roi_align: RoIAlign, *, rewritten: bool
) -> nn.Module:
    """The module to convert."""
    model = job.source.model
    if rewritten:
        model = rewrite(model, info.recipe)
        fit_positions(model, job.spec.config.map_size(job.size, stage=1))
    if job.spec.panoptic is not None:
        assert isinstance(model, LVTPanoptic)
        return PanopticGraph(model, job.spec.panoptic, job.size, roi_align)
    return model


def _parity(
    job: Job,
    info: TargetInfo,
    target: Target,
    precision: Precision,
    exported: nn.Module,
    file: Path,
    pictures: list[Picture],
    progress: Progress,
) -> ParityReport:
    """The file in its runtime against the reference.

    Raises:
        ParityError: they differ.
    """
    with failing_as_conversion(f"{info.name}: the file does not run"):
        parity = compare(
            reference_session(job.source.model, job.spec),
            target.open_session(file),
            _tensors(job.preprocessing, pictures),
            job.spec,
            TOLERANCES[precision],
        )
    if parity.passed:
        return parity
    progress(f"{info.name}: looking for the first module that deviates")
    image = job.preprocessing(pictures[parity.worst_image]())

    def file_outputs(names: list[str]) -> Outputs:
        return target.module_outputs(file, image, names)

    assert parity.tolerance is not None  # or it would have passed
    least = parity.tolerance.sqnr_db
    start = first_deviation(job.source.model, exported, info.recipe, file_outputs, image, least)
    where = str(start) if start else "no single module could be made out where it starts"
    raise ParityError(f"{info.name}: parity failed: " + "; ".join([*parity.failures, where]))


def _pixel_normalisation(preprocessing: Preprocessing) -> Normalise:
    """The normalisation that a file which takes pixels applies itself.

    Raises:
        UserError: something comes after it that pixels cannot express.
    """
    last = preprocessing.steps[-1]
    if not isinstance(last, Normalise):
        raise UserError(
            "a panoptic input is padded after its normalisation, which an image of pixels cannot "
            "express: leave --pixels out"
        )
    return last


def destination(
    request: ExportRequest, job: Job, info: TargetInfo, precision: StoredPrecision
) -> Path:
    """The file to write: the request's, or a name of ours in the request's folder.

    Raises:
        UserError: a name with another suffix.
    """
    out = request.out or Path()
    if out.suffix != info.suffix and (out.is_dir() or not out.suffix):
        return out / (default_name(request, job, info, precision) + info.suffix)
    if out.suffix != info.suffix:
        raise UserError(f"--out {out}: the name of a {info.name} file ends in {info.suffix}")
    return out


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


def embedded_metadata(job: Job) -> dict[str, str]:
    """The essentials, for those who get the model file without its manifest."""
    entries = {
        "lvt.task": job.spec.task,
        "lvt.model": json.dumps(job.spec.to_dict()),
        "lvt.preprocessing": json.dumps(job.preprocessing.to_dict()),
    }
    if job.labels is not None:
        entries["lvt.labels"] = json.dumps(job.labels.to_dict(), ensure_ascii=False)
    return entries

"""From a checkpoint to a verified artifact: resolve, rewrite, convert, verify, publish.

`lvt-export` runs these steps as `export_artifact`. `lvt-quantize` runs the same steps with a
quantized module and additional checks (`quantization.pipeline`).
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import nn

from export.artifact.files import manifest_path, publish_artifact, write_manifest
from export.artifact.manifest import make_manifest
from export.capabilities import Recipe
from export.entry_point import EntryPoint
from export.errors import ConversionError, PlacementError, error_reason
from export.model_io import whole_model
from export.open_file import open_file
from export.panoptic.graph import PanopticGraph, RoIAlign
from export.panoptic.parts.modules import panoptic_parts
from export.parity.compare import ParityReport
from export.parity.verify import parity_pictures, verify_parity
from export.placement import GpuPlacement, Placement
from export.plan import ExportPlan, ExportRequest, ResolvedModel, plan_export, resolve_model
from export.rewrite import fit_positions, rewrite
from export.session import Outputs, Session
from export.targets import ConversionInput, Target, load_target
from lvt.errors import UserError
from lvt.panoptic.model import LVTPanoptic
from lvt.support.files import atomic_folder
from lvt.support.progress import Progress, no_progress


@dataclass(frozen=True)
class ExportResult:
    """A published artifact.

    Attributes:
        path: the model file.
        manifest: its manifest.
        parity: difference from the reference.
        placement: which operators run on the accelerator.
        seconds: time from the loaded model to the published files.
        notes: facts about the checkpoint that the user should know, one line each.
    """

    path: Path
    manifest: dict[str, Any]
    parity: ParityReport
    placement: Placement
    seconds: float
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class VerifiedFile:
    """A converted file that passed its checks and is not published yet.

    Attributes:
        entry_points: in float; the manifest counts their multiply-accumulates.
        parity: difference from the reference.
        entries: further entries of the manifest, or values that replace the usual ones.
    """

    entry_points: tuple[EntryPoint, ...]
    parity: ParityReport
    entries: Mapping[str, Any] = field(default_factory=dict)


V = TypeVar("V", bound=VerifiedFile)


def export_artifact(
    request: ExportRequest, progress: Progress = no_progress, model: ResolvedModel | None = None
) -> ExportResult:
    """Writes one artifact after its parity with the reference has passed.

    Args:
        request: what to export and how.
        progress: called with each step.
        model: `resolve_model(request)`, if several targets share it.

    Raises:
        UserError: the user can fix the problem.
        ConversionError: the converter or the runtime rejects the model.
        ParityError: names the outputs out of tolerance, their error, and where it starts.
        PlacementError: the request is strict, and operators run outside the accelerator.
    """
    if model is None:
        progress(loading_step(request))
        model = resolve_model(request)
    started = time.perf_counter()
    plan = plan_export(request, model)
    name = plan.target.name
    pictures = parity_pictures(plan)
    progress(f"{name}: converting")
    target = load_target(name)
    entry_points = make_entry_points(plan, target)

    def convert_and_verify(file: Path) -> VerifiedFile:
        convert(plan, target, entry_points, file)
        progress(f"{name}: comparing with the reference on {len(pictures)} images")
        session = open_written(plan, target, file)
        module = entry_points[0].module
        parity = verify_parity(plan, target, module, file, session, pictures, progress)
        return VerifiedFile(entry_points, parity)

    result, _verified = write_artifact(plan, target, convert_and_verify, started)
    return result


def loading_step(request: ExportRequest) -> str:
    """The progress line for `resolve_model`."""
    return "reading the checkpoint" if request.checkpoint else "making a random model"


def make_entry_points(plan: ExportPlan, target: Target) -> tuple[EntryPoint, ...]:
    """What the converter gets: the rewritten model, panoptic ones as one static graph or in parts.

    Args:
        plan: the artifact.
        target: its format; chooses the form of RoIAlign.
    """
    model, module = plan.model, rewrite_model(plan.model, plan.recipe)
    if plan.host is not None:
        assert isinstance(module, LVTPanoptic)
        return panoptic_parts(module, plan.host)
    whole = static_graph(module, model, target.roi_align)
    return (whole_model(whole, model.spec, model.size),)


def rewrite_model(model: ResolvedModel, recipe: Recipe | None) -> nn.Module:
    """The model rewritten for a recipe; None keeps the reference as it is."""
    if recipe is None:
        return model.reference
    module = rewrite(model.reference, recipe)
    fit_positions(module, model.spec.config.map_size(model.size, stage=1))
    return module


def static_graph(module: nn.Module, model: ResolvedModel, roi_align: RoIAlign) -> nn.Module:
    """A panoptic module as one graph of fixed shapes; other modules unchanged."""
    if model.spec.panoptic is None:
        return module
    assert isinstance(module, LVTPanoptic)
    return PanopticGraph(module, model.spec.panoptic, model.size, roi_align)


def convert(
    plan: ExportPlan, target: Target, entry_points: tuple[EntryPoint, ...], file: Path
) -> None:
    """Writes the model file.

    Raises:
        ConversionError: the converter fails.
    """
    metadata = embedded_metadata(plan.model)
    conversion = ConversionInput(
        entry_points,
        plan.model.spec,
        plan.precision,
        metadata,
        plan.pixels,
        plan.chips,
        plan.integer_io,
    )
    with conversion_errors(f"{plan.target.name}: conversion failed"):
        target.write(conversion, file)


def open_written(plan: ExportPlan, target: Target, file: Path) -> Session:
    """A session of the written file. Errors of the runtime become `ConversionError`.

    Raises:
        ConversionError: the runtime cannot open the file.
    """
    message = f"{plan.target.name}: the file does not run"
    with conversion_errors(message):
        return _RuntimeSession(open_file(target, file, plan.host), message)


def write_artifact(
    plan: ExportPlan,
    target: Target,
    convert_and_verify: Callable[[Path], V],
    started: float,
) -> tuple[ExportResult, V]:
    """Publishes the file that `convert_and_verify` writes, with its manifest, or nothing at all.

    Args:
        plan: the artifact.
        target: its format.
        convert_and_verify: writes the model file to a scratch path and checks it.
        started: `time.perf_counter()` when the work on this artifact began.

    Returns:
        The artifact, and what `convert_and_verify` returned for it.

    Raises:
        PlacementError: the plan is strict, and operators run outside the accelerator.
        UserError: the files cannot be written.
    """
    with atomic_folder(plan.path.parent) as scratch:
        file = scratch / plan.path.name
        verified = convert_and_verify(file)
        placement = target.placement(file)
        if plan.strict and placement.fallback != "none":
            outside = ", ".join(f"{count} {op}" for op, count in placement.outside.items())
            raise PlacementError(f"{plan.target.name}: outside {placement.accelerator}: {outside}")
        gpu = gpu_placement(plan, file, verified.entry_points)
        manifest = make_manifest(
            plan, target, file, verified.entry_points, verified.parity, placement
        )
        if plan.target.gpu:
            manifest["placement"]["gpu"] = None if gpu is None else gpu.to_dict()
        if plan.chips:
            manifest["chips"] = chip_entries(file)
        manifest.update(verified.entries)
        write_manifest(manifest_path(file), manifest)
        publish_artifact(file, plan.path)
    seconds = time.perf_counter() - started
    notes = plan.model.notes
    result = ExportResult(plan.path, manifest, verified.parity, placement, seconds, notes)
    return result, verified


def gpu_placement(
    plan: ExportPlan, file: Path, entry_points: Sequence[EntryPoint]
) -> GpuPlacement | None:
    """Whether the GPU accelerator takes a written file; None if that is not asked for.

    Raises:
        PlacementError: the plan is strict, and it does not.
        UserError: there is no GPU, and the software devices cannot be fetched.
    """
    if not plan.gpu:
        return None
    from export.targets.tflite.gpu.check import check_on_gpu  # needs the extra

    found = check_on_gpu(file, entry_points)
    if plan.strict and found.problem is not None:
        raise PlacementError(f"{plan.target.name}: {found.problem}")
    return found


def chip_entries(file: Path) -> list[dict[str, Any]]:
    """The manifest's entries of a compiled file about the chips that it is for."""
    from export.targets.qnn.context import context_entries  # needs the extra

    return context_entries(file)


def embedded_metadata(model: ResolvedModel) -> dict[str, str]:
    """Essential facts inside the model file, for users who receive it without its manifest."""
    entries = {
        "lvt.task": model.spec.task,
        "lvt.model": json.dumps(model.spec.to_dict()),
        "lvt.preprocessing": json.dumps(model.preprocessing.to_dict()),
    }
    if model.labels is not None:
        entries["lvt.labels"] = json.dumps(model.labels.to_dict(), ensure_ascii=False)
    return entries


@contextmanager
def conversion_errors(message: str) -> Iterator[None]:
    """Turns any exception of a converter or a runtime into a `ConversionError` of one line.

    Converters have no common exception type. Only calls into them belong inside: an error of our
    own code must not be reported as theirs. The cause is kept for `--verbose`.
    """
    try:
        yield
    except (UserError, OSError):
        raise
    except Exception as error:
        reason = error_reason(error)
        raise ConversionError(f"{message}: {reason} (--verbose shows more)") from error


class _RuntimeSession:
    """A session whose errors are the runtime's, and are reported as such."""

    def __init__(self, session: Session, message: str):
        self._session = session
        self._message = message

    def run(self, image: NDArray[np.float32]) -> Outputs:
        with conversion_errors(self._message):
            return self._session.run(image)

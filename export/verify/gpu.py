"""Checks of .tflite files on LiteRT's GPU accelerator: coverage, and parity in both precisions.

The limits are those of the export's parity check for the less exact of the file's precision and the
arithmetic's, but for the largest error in float16 arithmetic. The CPU computes with the same
weights, so the arithmetic alone counts there. An int8 file is held to the limits that it was
accepted with; the GPU computes it in float and rounds where the CPU does, so the difference of the
two, another draw of int8's error, is only shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from export.artifact.reader import Artifact, open_artifact
from export.capabilities import PRECISIONS, QUANTIZED, Precision
from export.panoptic.parts.session import PartsSession
from export.parity.compare import TOLERANCES, ParityReport, Tolerance, compare
from export.session import EntryPointSession, Outputs, RecordedSession, Session
from export.targets import load_target
from export.verify.artifact_checks import (
    Check,
    CheckStatus,
    Verification,
    parity_check,
    parity_figures,
)
from export.verify.pictures import PreparedImage, prepared_images
from export.verify.reference import find_reference
from lvt.data.metrics import SignalToNoise
from lvt.errors import UserError
from lvt.support.progress import Progress, no_progress

if TYPE_CHECKING:
    from export.targets.tflite.gpu.session import GpuFile

_FP16_RELATIVE_ERROR = 6e-2
"""GPUs round sums to float16 after every addition, so the maps of `core` have 46 dB, where rounding
the values alone (Core ML's evaluator) leaves 63. A mask's edge shows it: the largest error of 20
scenes of the demonstration model is 0.050 of the range, and `masks` has 59 dB with the CPU's
features and boxes. SQNR and agreement have the usual limits."""

TARGET = "tflite"
"""The only target whose files the accelerator runs."""


@dataclass
class RecordedCalls:
    """Entry points that keep the inputs and outputs of every call."""

    runtime: EntryPointSession
    calls: list[tuple[str, dict[str, NDArray[np.float32]], Outputs]] = field(default_factory=list)

    def call(self, name: str, inputs: Mapping[str, NDArray[np.float32]]) -> Outputs:
        """See `export.session.EntryPointSession.call`."""
        outputs = {key: value.copy() for key, value in self.runtime.call(name, inputs).items()}
        self.calls.append((name, {key: value.copy() for key, value in inputs.items()}, outputs))
        return outputs


@dataclass(frozen=True)
class _Expected:
    """What the GPU is compared with.

    Attributes:
        images: prepared pictures.
        cpu: outputs of LiteRT on the CPU for each.
        calls: the CPU's calls of the entry points, for a file in parts.
        reference: outputs of the float reference; None if its weights are unknown.
        folder: of the pictures; see `prepared_images`.
    """

    images: Sequence[PreparedImage]
    cpu: list[Outputs]
    calls: RecordedCalls | None
    reference: list[Outputs] | None
    folder: Path | None


def verify_on_gpu(
    path: Path,
    *,
    checkpoint: Path | None = None,
    folder: Path | None = None,
    count: int = 4,
    progress: Progress = no_progress,
) -> Verification:
    """Checks that the GPU takes the whole file, and what it computes in float32 and float16.

    Args:
        path: a .tflite artifact.
        checkpoint: see `find_reference`.
        folder: of pictures; None: see `prepared_images`.
        count: number of pictures.
        progress: called with each step.

    Raises:
        UserError: another kind of artifact, or no device can be had.
    """
    artifact = open_artifact(path)
    if artifact.target != TARGET:
        raise UserError(f"--on gpu is for tflite files; {path.name} is for {artifact.target}")
    target = load_target(TARGET)
    images = prepared_images(artifact, count, folder)
    progress(f"{path.name}: LiteRT on the CPU")
    calls: RecordedCalls | None = None
    session: Session
    if artifact.host is None:
        session = artifact.open_session()
    else:
        calls = RecordedCalls(target.open_entry_points(path))
        session = PartsSession(calls, artifact.host)
    cpu = [session.run(image) for image in images]
    progress(f"{path.name}: the reference")
    reference = find_reference(artifact, checkpoint)
    known = None if reference is None else [reference.run(image) for image in images]
    expected = _Expected(images, cpu, calls, known, folder)
    checks: list[Check] = []
    for precision in PRECISIONS:
        checks += _precision_checks(artifact, precision, expected, progress)
    return Verification(path, tuple(checks))


def _precision_checks(
    artifact: Artifact, precision: Precision, expected: _Expected, progress: Progress
) -> Iterator[Check]:
    """Coverage, entry points, difference from the CPU and from the reference, in one precision."""
    from export.targets.tflite.gpu.devices import open_on_gpu
    from export.targets.tflite.gpu.session import GpuError

    name = artifact.path.name
    progress(f"{name}: compiling for the GPU in {precision}")
    try:
        file = open_on_gpu(artifact.path, precision, progress)
    except GpuError as error:
        yield Check(f"{precision}: coverage", "failed", str(error))
        return
    with closing(file):
        log = file.log
        covered = f"all {_operator_count(artifact.path)} operators on {log.adapter}"
        status: CheckStatus = "failed" if log.problems else "passed"
        yield Check(f"{precision}: coverage", status, "; ".join([covered, *log.problems]))
        try:
            if expected.calls is not None:
                progress(f"{name}: the entry points in {precision}")
                yield from _entry_point_checks(file, precision, expected.calls, artifact)
            outputs = []
            session = gpu_session(artifact, file)
            for index, image in enumerate(expected.images, start=1):
                progress(f"{name}: {precision}, picture {index} of {len(expected.images)}")
                outputs.append(session.run(image))
        except GpuError as error:
            yield Check(f"{precision}: runs", "failed", str(error))
            return
    yield _cpu_check(artifact, precision, expected, outputs)
    recorded = None if expected.reference is None else RecordedSession(expected.reference)
    limits = _looser(artifact.precision, precision)
    check = parity_check(artifact, recorded, outputs, expected.images, expected.folder, limits)
    yield Check(f"{precision}: parity", check.status, check.detail)


def gpu_session(artifact: Artifact, file: GpuFile) -> Session:
    """A session of a compiled file, with the host steps of one in parts on the CPU."""
    from export.targets.tflite.gpu.session import GpuSession

    if artifact.host is not None:
        return PartsSession(file, artifact.host)
    return GpuSession(file, [output["name"] for output in artifact.manifest["outputs"]])


def _operator_count(path: Path) -> int:
    from export.targets.tflite import flatbuffer

    return sum(len(graph.operators) for graph in flatbuffer.read(path).subgraphs)


def _entry_point_checks(
    file: GpuFile, precision: Precision, cpu: RecordedCalls, artifact: Artifact
) -> Iterator[Check]:
    """Each entry point on the CPU's inputs: the least SQNR of its outputs against the CPU's.

    Over all pictures and calls. Here no choice of boxes lies between.
    """
    ratios: dict[tuple[str, str], SignalToNoise] = {}
    for name, inputs, outputs in cpu.calls:
        actual = file.call(name, inputs)
        for key, value in outputs.items():
            ratios.setdefault((name, key), SignalToNoise()).add(actual[key], value)
    for entry_point in dict.fromkeys(name for name, _key in ratios):
        worst, output = min(
            (ratio.db, key) for (name, key), ratio in ratios.items() if name == entry_point
        )
        limit = TOLERANCES[precision].sqnr_db
        detail = f"SQNR to CPU {worst:.1f} dB ({output})"
        failed = artifact.precision not in QUANTIZED and not worst >= limit
        if failed:
            detail += f" (limit {limit:.0f})"
        yield Check(f"{precision}: {entry_point}", "failed" if failed else "passed", detail)


def _cpu_check(
    artifact: Artifact, precision: Precision, expected: _Expected, outputs: Sequence[Outputs]
) -> Check:
    """The difference from LiteRT on the CPU, which has the same weights."""
    tolerance = None if artifact.precision in QUANTIZED else _arithmetic_tolerance(precision)
    report = compare(
        RecordedSession(expected.cpu),
        RecordedSession(outputs),
        expected.images,
        artifact.spec,
        tolerance,
    )
    return _report_check(f"{precision}: CPU to GPU", report)


def _report_check(name: str, report: ParityReport) -> Check:
    if report.failures:
        return Check(name, "failed", "; ".join(report.failures))
    return Check(name, "passed", parity_figures(report))


def _arithmetic_tolerance(precision: Precision) -> Tolerance:
    if precision == "fp16":
        return replace(TOLERANCES["fp16"], relative_error=_FP16_RELATIVE_ERROR)
    return TOLERANCES[precision]


def _looser(stored: str, arithmetic: Precision) -> Tolerance | None:
    """The tolerance of a file's precision or of the arithmetic's; None for integers."""
    if stored in QUANTIZED:
        return None
    if stored == "fp16" and arithmetic == "fp32":
        return TOLERANCES["fp16"]
    return _arithmetic_tolerance(arithmetic)

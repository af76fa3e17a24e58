"""Compares an artifact on this machine, on emulated processors, and the float reference.

ONNX Runtime's int8 kernels are not exact on every x86 processor
(`export.targets.onnx.saturation`), and this machine may be one of these. The outputs of int8 ONNX
files are therefore compared with exactly computed ones, on every processor including this one.
LiteRT's kernels are exact everywhere (tests check it), and float files have no such kernels: the
expected outputs of these files are this machine's.

Two processors may differ as follows.

- Float files hold the same weights; only the order of summation differs. The limits are those of
  the export's parity check for fp32.
- int8 kernels agree to the bit (docs/arm.md), but an int8 file also has float layers. Their last
  bits differ, a value at the edge between two steps rounds to the other side when it becomes int8,
  and the difference propagates. So the results of two processors are two samples of int8's error,
  whose size against float is in the manifest. The difference of two such errors is 3 dB larger than
  each; 3 dB more allow for the small number of pictures. A wrong kernel costs far more.
  docs/arm.md has measurements of both.
"""

from __future__ import annotations

import math
import platform
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from export.artifact.reader import Artifact
from export.open_file import open_exact
from export.panoptic.parts.session import PartsProgram
from export.parity.compare import TOLERANCES, ParityReport, compare
from export.session import Outputs, RecordedSession
from export.verify.arm.cpus import Cpu
from export.verify.arm.emulated_file import EmulatedFile, in_lockstep
from export.verify.arm.machine import ArmMachine
from export.verify.pictures import PreparedImage
from export.verify.reference import find_reference
from lvt.errors import UserError
from lvt.support.progress import Progress, no_progress

TARGETS = ("onnx", "tflite")
"""Targets whose runtime has an arm64 wheel without further needs; ExecuTorch's needs PyTorch."""

INT8_CPU_MARGIN_DB = 6.0
"""How far the SQNR between two processors may fall below int8's own SQNR against float."""

THIS_MACHINE = Cpu("this machine", None, platform.machine())


@dataclass(frozen=True)
class CpuResult:
    """The artifact on one processor.

    Attributes:
        cpu: the processor.
        expected: difference from the expected outputs of the file.
        reference: difference from the float reference; None without a checkpoint.
        failures: differences beyond the limits, one phrase each.
    """

    cpu: Cpu
    expected: ParityReport
    reference: ParityReport | None
    failures: tuple[str, ...]


@dataclass(frozen=True)
class EmulationResult:
    """One artifact on all processors.

    Attributes:
        artifact: the artifact.
        expected: where the expected outputs come from.
        expected_reference: their difference from the float reference; None without a checkpoint.
        cpus: the processors.
    """

    artifact: Artifact
    expected: str
    expected_reference: ParityReport | None
    cpus: tuple[CpuResult, ...]

    @property
    def passed(self) -> bool:
        """Whether every processor is within the limits."""
        return not any(result.failures for result in self.cpus)

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "file": self.artifact.path.name,
            "sha256": self.artifact.manifest["file"]["sha256"],
            "target": self.artifact.target,
            "precision": self.artifact.precision,
            "expected": self.expected,
            "expected_against_reference": _report_dict(self.expected_reference),
            "cpus": [
                {
                    "cpu": result.cpu.name,
                    "kernels": result.cpu.kernels,
                    "against_expected": _report_dict(result.expected),
                    "against_reference": _report_dict(result.reference),
                    "failures": list(result.failures),
                }
                for result in self.cpus
            ],
            "passed": self.passed,
        }


def _report_dict(report: ParityReport | None) -> dict[str, Any] | None:
    """A report without tolerance and verdict, which belong to the export's parity check."""
    if report is None:
        return None
    entries = report.to_dict()
    return {key: entries[key] for key in entries if key not in ("tolerance", "passed")}


def check_supported(artifact: Artifact) -> None:
    """Checks that the emulated machine has the artifact's runtime.

    Raises:
        UserError: it has not.
    """
    if artifact.target not in TARGETS:
        raise UserError(
            f"{artifact.path.name}: the ARM check runs {' and '.join(TARGETS)} files, "
            f"not {artifact.target}"
        )


def verify_on_cpus(
    artifact: Artifact,
    machine: ArmMachine,
    cpus: Sequence[Cpu],
    images: Sequence[PreparedImage],
    checkpoint: Path | None,
    progress: Progress = no_progress,
) -> EmulationResult:
    """Runs the artifact on this machine and on emulated processors, and compares the outputs.

    Raises:
        UserError: the artifact was not made from the checkpoint.
        RuntimeError: the emulated runtime fails.
    """
    name = artifact.path.name
    progress(f"{name}: this machine")
    reference = None
    if checkpoint is not None:
        model = find_reference(artifact, checkpoint)
        assert model is not None  # with a checkpoint, there is a reference or an error
        reference = [model.run(image) for image in images]
    session = artifact.open_session(threads=1)
    host = [session.run(image) for image in images]
    outputs: list[tuple[Cpu, list[Outputs]]] = []
    source, expected = THIS_MACHINE.name, host
    if needs_exact(artifact):
        progress(f"{name}: exact computation")
        exact = open_exact(artifact.path, artifact.host, threads=1)
        source, expected = "exact computation", [exact.run(image) for image in images]
        outputs.append((THIS_MACHINE, host))
    for cpu in cpus:
        progress(f"{name}: {cpu.name} ({cpu.kernels}), emulated")
        outputs.append((cpu, run_emulated(artifact, machine, cpu, images)))

    def difference(expected: list[Outputs], actual: list[Outputs]) -> ParityReport:
        sessions = RecordedSession(expected), RecordedSession(actual)
        return compare(*sessions, images, artifact.spec, None)

    expected_reference = None if reference is None else difference(reference, expected)
    results = []
    for cpu, actual in outputs:
        to_expected = difference(expected, actual)
        to_reference = None if reference is None else difference(reference, actual)
        failures = find_failures(artifact, to_expected, to_reference, expected_reference)
        results.append(CpuResult(cpu, to_expected, to_reference, tuple(failures)))
    return EmulationResult(artifact, source, expected_reference, tuple(results))


def needs_exact(artifact: Artifact) -> bool:
    """Whether this machine's own kernels may be inexact for the file."""
    return artifact.target == "onnx" and artifact.precision.startswith("int8")


def run_emulated(
    artifact: Artifact, machine: ArmMachine, cpu: Cpu, images: Sequence[PreparedImage]
) -> list[Outputs]:
    """The outputs of each image, in the manifest's order.

    The host steps of a file in parts run on this machine; they are not what differs.

    Raises:
        RuntimeError: see `ArmMachine.run`.
    """
    emulated = EmulatedFile(artifact, machine, cpu)
    if artifact.host is None:
        names = [output["name"] for output in artifact.manifest["outputs"]]
        results = emulated.call("", [{"image": image} for image in images])
        return [{name: outputs[name] for name in names} for outputs in results]
    program = PartsProgram(artifact.host)
    finished = in_lockstep([program.run(image) for image in images], emulated.call)
    return [outputs for outputs, _stages in finished]


def find_failures(
    artifact: Artifact,
    to_expected: ParityReport,
    to_reference: ParityReport | None,
    expected_reference: ParityReport | None,
) -> list[str]:
    """Differences beyond the limits that the module describes, one phrase each."""
    if not artifact.precision.startswith("int8"):
        failures = replace(to_expected, tolerance=TOLERANCES["fp32"]).failures
        if to_reference is not None:
            failures += replace(to_reference, tolerance=TOLERANCES[artifact.precision]).failures
        return failures
    recorded = artifact.manifest["parity"]
    limits = {output["name"]: output["sqnr_db"] for output in recorded["outputs"]}
    failures = _below_limits(to_expected, limits, "to the expected outputs")
    if to_reference is not None and expected_reference is not None:
        # These pictures may be harder than those of the manifest.
        for output in expected_reference.outputs:
            limits[output.name] = min(output.sqnr_db, limits.get(output.name) or math.inf)
        failures += _below_limits(to_reference, limits, "to float")
    # Two samples of int8's error may each change as many labels.
    minimum = 1 - 2 * (1 - (recorded["agreement"]["value"] or 0.0))
    if to_expected.agreement is not None and to_expected.agreement < minimum:
        measure = to_expected.agreement_measure
        failures.append(f"{measure} agreement is {to_expected.agreement:.2%} (limit {minimum:.2%})")
    return failures


def _below_limits(report: ParityReport, limits: dict[str, float | None], other: str) -> list[str]:
    """Outputs whose SQNR is more than the margin below int8's own."""
    return [
        f"{output.name} has SQNR {output.sqnr_db:.1f} dB {other} "
        f"(limit {limit - INT8_CPU_MARGIN_DB:.1f})"
        for output in report.outputs
        if (limit := limits.get(output.name)) is not None
        and output.sqnr_db < limit - INT8_CPU_MARGIN_DB
    ]

"""One artifact on this machine, on emulated processors, and as the float reference: compared.

ONNX Runtime's int8 kernels are not exact on every x86 processor
(`export.targets.onnx.saturation`), and this machine may have one of those. So int8 ONNX files are
compared with their exact computation, this machine like the others. LiteRT's kernels are exact
everywhere (tests check it), and float files have no such kernels: these are compared with this
machine.

What may differ between two processors:

- Float files hold the same weights; only the order of summation differs. They are held to what the
  export holds fp32 to.
- int8 kernels agree to the bit (docs/arm.md), but an int8 file has float layers too: there the last
  bits differ, a value on the edge between two steps falls to the other side when it becomes int8,
  and later layers carry that on. So two processors are two draws of int8's error, as large as its
  manifest tells against float. Two such errors differ by 3 dB more than each; as much again is left
  for the few pictures. A wrong kernel costs far more. docs/arm.md has measurements of both.
"""

from __future__ import annotations

import math
import platform
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.artifact.reader import Artifact
from export.parity.compare import TOLERANCES, ParityReport, Tolerance, compare
from export.pipeline import Progress
from export.reference import reference_session
from export.session import Outputs, RecordedSession, Session
from export.targets import load_target
from export.verify import remote_runner
from export.verify.arm_machine import ArmMachine
from export.verify.cpus import Cpu
from lvt.checkpoint import load_model, read_checkpoint
from lvt.data.preprocessing import list_images, packaged_photos, read_image
from lvt.demo import DEMO_SIZE, HELD_OUT_SEEDS, checkpoint_path
from lvt.demo.scenes import make_scene
from lvt.errors import UserError
from lvt.support.files import file_sha256

TARGETS = ("onnx", "tflite")
"""Whose runtimes have arm64 wheels that need nothing else; ExecuTorch's needs all of PyTorch."""

INT8_CPU_MARGIN_DB = 6.0
"""How far below int8's own SQNR a difference between processors may fall."""

THIS_MACHINE = Cpu("this machine", None, platform.machine())

Image = NDArray[np.float32]


@dataclass(frozen=True)
class OnCpu:
    """One processor.

    Attributes:
        expected: against what is expected of the file.
        reference: against the float reference; None where no checkpoint was given.
        failures: what is too much, a phrase each.
    """

    cpu: Cpu
    expected: ParityReport
    reference: ParityReport | None
    failures: tuple[str, ...]


@dataclass(frozen=True)
class ArmResult:
    """One artifact.

    Attributes:
        expected: what the processors are compared with.
        expected_reference: that against the float reference; None without a checkpoint.
    """

    artifact: Artifact
    expected: str
    expected_reference: ParityReport | None
    cpus: tuple[OnCpu, ...]

    @property
    def passed(self) -> bool:
        """On every processor."""
        return not any(entry.failures for entry in self.cpus)

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "file": self.artifact.path.name,
            "sha256": self.artifact.manifest["file"]["sha256"],
            "target": self.artifact.target,
            "precision": self.artifact.manifest["precision"],
            "expected": self.expected,
            "expected_against_reference": _to_dict(self.expected_reference),
            "cpus": [
                {
                    "cpu": entry.cpu.name,
                    "kernels": entry.cpu.kernels,
                    "against_expected": _to_dict(entry.expected),
                    "against_reference": _to_dict(entry.reference),
                    "failures": list(entry.failures),
                }
                for entry in self.cpus
            ],
            "passed": self.passed,
        }


def _to_dict(report: ParityReport | None) -> dict[str, Any] | None:
    """Without the tolerance and its verdict, which are for the export."""
    if report is None:
        return None
    whole = report.to_dict()
    return {key: whole[key] for key in whole if key not in ("tolerance", "passed")}


def check_artifact(artifact: Artifact) -> None:
    """Whether it can be run at all.

    Raises:
        UserError: a target whose runtime is not in the ARM machine.
    """
    if artifact.target not in TARGETS:
        raise UserError(
            f"{artifact.path.name}: the ARM check runs {' and '.join(TARGETS)} files, "
            f"not {artifact.target}"
        )


def run_check(
    artifact: Artifact,
    machine: ArmMachine,
    cpus: Sequence[Cpu],
    images: Sequence[Image],
    checkpoint: Path | None,
    progress: Progress = lambda _step: None,
) -> ArmResult:
    """Runs the artifact everywhere on preprocessed images (1, 3, H, W), and compares.

    Raises:
        UserError: the checkpoint is not the one the artifact was made of.
        RuntimeError: the emulated runtime fails.
    """
    name = artifact.path.name
    progress(f"{name}: this machine")
    reference = None
    if checkpoint is not None:
        model = _reference(artifact, checkpoint)
        reference = [model.run(image) for image in images]
    session = load_target(artifact.target).open_session(artifact.path, threads=1)
    host = [session.run(image) for image in images]
    found: list[tuple[Cpu, list[Outputs]]] = []
    what, expected = THIS_MACHINE.name, host
    if needs_exact(artifact):
        from export.targets.onnx.session import OnnxSession

        progress(f"{name}: exact computation")
        exact = OnnxSession(artifact.path, threads=1, exact=True)
        what, expected = "exact computation", [exact.run(image) for image in images]
        found.append((THIS_MACHINE, host))
    for cpu in cpus:
        progress(f"{name}: {cpu.name} ({cpu.kernels}), emulated")
        found.append((cpu, run_emulated(artifact, machine, cpu, images)))

    def against(wanted: list[Outputs], actual: list[Outputs]) -> ParityReport:
        sessions = RecordedSession(wanted), RecordedSession(actual)
        return compare(*sessions, images, artifact.spec, None)

    own = None if reference is None else against(reference, expected)
    entries = []
    for cpu, values in found:
        of_expected = against(expected, values)
        of_reference = None if reference is None else against(reference, values)
        failures = judge(artifact, of_expected, of_reference, own)
        entries.append(OnCpu(cpu, of_expected, of_reference, tuple(failures)))
    return ArmResult(artifact, what, own, tuple(entries))


def needs_exact(artifact: Artifact) -> bool:
    """Whether the runtime's own results on this machine are no measure for other processors."""
    return artifact.target == "onnx" and artifact.manifest["precision"].startswith("int8")


def run_emulated(
    artifact: Artifact, machine: ArmMachine, cpu: Cpu, images: Sequence[Image]
) -> list[Outputs]:
    """The outputs for each image, in the manifest's order.

    Raises:
        RuntimeError: see `ArmMachine.run`.
    """
    names = [output["name"] for output in artifact.manifest["outputs"]]
    with tempfile.TemporaryDirectory() as folder:
        given, made = Path(folder, "images.npz"), Path(folder, "outputs.npz")
        np.savez(given, *images)
        script = Path(remote_runner.__file__).resolve()
        machine.run(cpu, script, [artifact.target, artifact.path.resolve(), given, made])
        with np.load(made) as values:
            return [
                {name: values[f"{number}/{name}"] for name in names}
                for number in range(len(images))
            ]


def _reference(artifact: Artifact, checkpoint: Path) -> Session:
    """The float reference of the artifact.

    Raises:
        UserError: another checkpoint than the artifact's.
    """
    path = checkpoint_path(checkpoint)
    source = artifact.manifest["source"]
    loaded = read_checkpoint(path, ema=bool(source and source["ema"]))
    if not source or file_sha256(path) != source["sha256"]:
        raise UserError(f"{artifact.path.name} was not made of {path.name} (SHA-256 differs)")
    return reference_session(load_model(loaded, artifact.spec), artifact.spec)


def judge(
    artifact: Artifact,
    of_expected: ParityReport,
    of_reference: ParityReport | None,
    expected_reference: ParityReport | None,
) -> list[str]:
    """What is too much, a phrase each; see the module."""
    precision = artifact.manifest["precision"]
    if not precision.startswith("int8"):
        reports = [(of_expected, "fp32"), (of_reference, precision)]
        return [
            phrase
            for report, held_to in reports
            if report is not None
            for phrase in _held(report, TOLERANCES[held_to])
        ]
    own = artifact.manifest["parity"]
    limits = {output["name"]: output["sqnr_db"] for output in own["outputs"]}
    found = _below(of_expected, limits, "to what is expected")
    if of_reference is not None and expected_reference is not None:
        # These pictures may be harder than the manifest's.
        for output in expected_reference.outputs:
            limits[output.name] = min(output.sqnr_db, limits.get(output.name) or math.inf)
        found += _below(of_reference, limits, "to float")
    least = 1 - 2 * (1 - (own["agreement"]["value"] or 0.0))
    if of_expected.agreement is not None and of_expected.agreement < least:
        measure = of_expected.agreement_measure
        found.append(f"{measure} agreement is {of_expected.agreement:.2%} (limit {least:.2%})")
    return found


def _held(report: ParityReport, tolerance: Tolerance) -> list[str]:
    return replace(report, tolerance=tolerance).failures


def _below(report: ParityReport, own: dict[str, float | None], to: str) -> list[str]:
    """Outputs further off than two draws of int8's `own` error are from each other."""
    return [
        f"{output.name} has SQNR {output.sqnr_db:.1f} dB {to} "
        f"(limit {limit - INT8_CPU_MARGIN_DB:.1f})"
        for output in report.outputs
        if (limit := own.get(output.name)) is not None
        and output.sqnr_db < limit - INT8_CPU_MARGIN_DB
    ]


def make_images(artifact: Artifact, count: int, folder: Path | None) -> list[Image]:
    """So many preprocessed pictures: of the folder, else scenes for panoptic models, else photos.

    Raises:
        UserError: there are none in the folder.
    """
    if folder is not None:
        pictures = [read_image(path) for path in list_images(folder)[:count]]
    elif artifact.spec.task == "panoptic":
        pictures = [make_scene(seed, DEMO_SIZE).image for seed in HELD_OUT_SEEDS[:count]]
    else:
        pictures = [read_image(path) for path in packaged_photos()[:count]]
    return [artifact.preprocessing(picture) for picture in pictures]

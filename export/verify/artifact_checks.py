"""Checks of one artifact on this machine, in its own runtime."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from export.artifact.reader import Artifact, open_artifact
from export.errors import error_reason
from export.parity.compare import ParityReport, Tolerance, compare, tolerance_of
from export.parity.output_sqnr import per_channel_sqnr
from export.session import Outputs, RecordedSession, Session
from export.targets import load_target
from export.verify.pictures import PACKAGED_PHOTOS, PreparedImage, prepared_images
from export.verify.reference import find_reference
from lvt.errors import UserError
from lvt.support.progress import Progress, no_progress

CheckStatus = Literal["passed", "failed", "not checked"]


@dataclass(frozen=True)
class Check:
    """One property of an artifact.

    Attributes:
        name: the property.
        status: `not checked` says that something for the check is missing.
        detail: figures, the problem, or what is missing.
    """

    name: str
    status: CheckStatus
    detail: str


@dataclass(frozen=True)
class Verification:
    """All checks of one artifact."""

    path: Path
    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        """Whether no check failed."""
        return all(check.status != "failed" for check in self.checks)

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "file": self.path.name,
            "passed": self.passed,
            "checks": [asdict(check) for check in self.checks],
        }


def model_files(paths: Iterable[Path]) -> list[Path]:
    """The model files of paths that may include manifests, as `out/*` does; each once."""
    models = [
        path.with_suffix("") if path.suffix == ".json" and path.with_suffix("").exists() else path
        for path in paths
    ]
    return list(dict.fromkeys(models))


def verify_artifact(
    path: Path,
    *,
    checkpoint: Path | None = None,
    folder: Path | None = None,
    count: int = 4,
    progress: Progress = no_progress,
) -> Verification:
    """Checks manifest and hash, preprocessing, outputs, and parity with the reference.

    Args:
        path: the model file.
        checkpoint: the file it was made from, for the reference; see `find_reference`.
        folder: of pictures to compare on. None: see `prepared_images`.
        count: number of pictures.
        progress: called with each step.

    Raises:
        UserError: no such file, a missing extra, or another checkpoint than the artifact's.
    """
    if not path.exists():
        raise UserError(f"no artifact at {path}")
    progress(f"{path.name}: manifest and hash")
    try:
        artifact = open_artifact(path)
    except UserError as error:
        return Verification(path, (Check("manifest and hash", "failed", str(error)),))
    checks = list(_manifest_checks(artifact))
    target = load_target(artifact.target)
    images = prepared_images(artifact, count, folder)
    progress(f"{path.name}: {target.runtime_name()}")
    try:
        session = artifact.open_session()
        outputs = [session.run(image) for image in images]
    except Exception as error:  # runtimes have no common exception type
        return Verification(path, (*checks, Check("runs", "failed", error_reason(error))))
    checks.append(Check("runs", "passed", target.runtime_name()))
    output_check = _output_check(artifact, outputs)
    checks.append(output_check)
    if output_check.status == "failed":
        return Verification(path, tuple(checks))
    progress(f"{path.name}: the reference")
    reference = find_reference(artifact, checkpoint)
    tolerance = tolerance_of(artifact.precision, artifact.target)
    checks.append(parity_check(artifact, reference, outputs, images, folder, tolerance))
    return Verification(path, tuple(checks))


def _manifest_checks(artifact: Artifact) -> Iterator[Check]:
    """`open_artifact` has compared both; an artifact that fails does not get here."""
    digest = artifact.manifest["file"]["sha256"]
    yield Check("manifest and hash", "passed", f"SHA-256 {digest[:16]}...")
    golden = artifact.manifest["preprocessing"]["golden"]["sha256"]
    yield Check("golden preprocessing", "passed", f"SHA-256 {golden[:16]}...")


def _output_check(artifact: Artifact, outputs: Sequence[Outputs]) -> Check:
    """Names and shapes of the outputs against the manifest."""
    expected = {entry["name"]: tuple(entry["shape"]) for entry in artifact.manifest["outputs"]}
    actual = {name: value.shape for name, value in outputs[0].items()}
    if actual != expected:
        return Check("outputs", "failed", f"{actual}, the manifest has {expected}")
    return Check("outputs", "passed", ", ".join(expected))


def parity_check(
    artifact: Artifact,
    reference: Session | None,
    outputs: Sequence[Outputs],
    images: Sequence[PreparedImage],
    folder: Path | None,
    tolerance: Tolerance | None,
) -> Check:
    """The outputs against the reference, if it is known, within the limits.

    Args:
        artifact: the artifact.
        reference: with the artifact's weights; None if they are unknown.
        outputs: of the artifact for each picture.
        images: the pictures.
        folder: of the pictures; None: packaged ones.
        tolerance: None for an int8 file, which has the limits that it was accepted with.
    """
    if reference is None:
        source = artifact.manifest["source"]["checkpoint"]
        return Check("parity", "not checked", f"give the checkpoint: --ckpt {source}")
    spec = artifact.spec
    expected = [reference.run(image) for image in images]
    sessions = RecordedSession(expected), RecordedSession(outputs)
    report = compare(*sessions, images, spec, tolerance)
    detail = parity_figures(report)
    if tolerance is not None:
        failures = report.failures
    else:
        limits = _int8_limits(artifact, folder)
        if limits is None:
            return Check("parity", "not checked", f"{detail}; the manifest records no limits")
        sqnr = per_channel_sqnr(list(zip(outputs, expected, strict=True)), spec)
        failures = _int8_failures(report, sqnr, limits)
    if failures:
        return Check("parity", "failed", "; ".join(failures))
    return Check("parity", "passed", detail)


def parity_figures(report: ParityReport) -> str:
    """A report in one line: pictures, the worst SQNR, and equal predictions."""
    worst = min(output.sqnr_db for output in report.outputs)
    parts = [f"{report.images} picture{'s' if report.images != 1 else ''}", f"SQNR {worst:.1f} dB"]
    if report.agreement is not None:
        parts.append(f"{report.agreement:.2%} same {report.agreement_measure}")
    return ", ".join(parts)


def _int8_limits(artifact: Artifact, folder: Path | None) -> dict[str, Any] | None:
    """The limits that the int8 artifact was accepted with; None in manifests without them.

    The user's pictures count like those of the calibration folder; packaged photos and scenes may
    be unlike anything that the camera sees, and have lower limits.
    """
    entries = (artifact.manifest.get("quantization") or {}).get("acceptance") or []
    for entry in entries:
        if (entry["pictures"] == PACKAGED_PHOTOS) == (folder is None):
            return dict(entry)
    return None


def _int8_failures(report: ParityReport, sqnr_db: float, limits: dict[str, Any]) -> list[str]:
    """Figures below the limits.

    Args:
        report: for the agreement.
        sqnr_db: of the outputs, with equal weight for every channel.
        limits: `_int8_limits(...)`.
    """
    failures = []
    if not sqnr_db >= limits["least_sqnr_db"]:
        failures.append(f"SQNR {sqnr_db:.1f} dB per channel (limit {limits['least_sqnr_db']:.1f})")
    agreement, least = report.agreement, limits["least_agreement"]
    if agreement is not None and not agreement >= least:
        failures.append(
            f"{report.agreement_measure} agreement is {agreement:.2%} (limit {least:.0%})"
        )
    return failures

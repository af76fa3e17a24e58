"""Checks of compiled artifacts in the software model of Qualcomm's NPU (HTP)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from export.artifact.reader import Artifact, open_artifact
from export.capabilities import target_info
from export.chips import Chip, find_chips
from export.errors import ExportError
from export.open_file import CPU_GUIDE, open_exact
from export.parity.compare import compare, tolerance_of
from export.session import Outputs, RecordedSession
from export.verify.artifact_checks import Check, Verification, parity_check, parity_figures
from export.verify.pictures import prepared_images
from export.verify.reference import find_reference
from lvt.errors import UserError
from lvt.support.progress import Progress, no_progress


def verify_on_htp(
    path: Path,
    *,
    soc: Sequence[str] = (),
    checkpoint: Path | None = None,
    folder: Path | None = None,
    count: int = 4,
    progress: Progress = no_progress,
) -> Verification:
    """Checks an artifact's contexts, and its parity with the reference in the NPU's arithmetic.

    Args:
        path: an artifact that was compiled for chips.
        soc: names of the chips to check; none stands for every chip of the artifact.
        checkpoint: see `find_reference`.
        folder: of pictures; None: see `prepared_images`.
        count: number of pictures; each takes seconds to minutes for each chip.
        progress: called with each step.

    Raises:
        UserError: another kind of artifact, or a chip that it was not compiled for.
    """
    artifact = open_artifact(path)
    if not target_info(artifact.target).compiled:
        raise UserError(f"--on htp is for qnn files; {path.name} is for {artifact.target}")
    from export.targets.qnn.context import chips_of

    chips = find_chips(soc) if soc else chips_of(path)
    images = prepared_images(artifact, count, folder)
    reference = find_reference(artifact, checkpoint)
    progress(f"{path.name}: the reference")
    expected = None if reference is None else [reference.run(image) for image in images]
    progress(f"{path.name}: {CPU_GUIDE}")
    cpu = open_exact(path, artifact.host)
    guide = [cpu.run(image) for image in images]
    checks: list[Check] = []
    for chip in chips:
        checks += _chip_checks(artifact, chip, images, expected, guide, folder, progress)
    return Verification(path, tuple(checks))


def _chip_checks(
    artifact: Artifact,
    chip: Chip,
    images: Sequence[NDArray[np.float32]],
    expected: list[Outputs] | None,
    guide: list[Outputs],
    folder: Path | None,
    progress: Progress,
) -> Iterator[Check]:
    """Context, parity with the reference, and difference from the CPU, for one chip."""
    from export.targets.qnn.context import check_context
    from export.targets.qnn.session import open_on_chip

    name = f"{chip.soc} (v{chip.htp_arch})"
    try:
        info = check_context(artifact.path, chip)
        session = open_on_chip(artifact.path, chip, artifact.host)
    except ExportError as error:
        yield Check(f"context {name}", "failed", str(error))
        return
    yield Check(f"context {name}", "passed", f"QAIRT {info.qairt}; no operator on the CPU")
    outputs = []
    for index, image in enumerate(images, start=1):
        progress(f"{artifact.path.name}: {name}, picture {index} of {len(images)}")
        outputs.append(session.run(image))
    recorded = None if expected is None else RecordedSession(expected)
    tolerance = tolerance_of(artifact.precision, artifact.target)
    check = parity_check(artifact, recorded, outputs, images, folder, tolerance)
    yield Check(f"parity {name}", check.status, check.detail)
    report = compare(RecordedSession(guide), RecordedSession(outputs), images, artifact.spec, None)
    yield Check(f"{CPU_GUIDE}, to {name}", "passed", parity_figures(report))

"""Writes an int8 file with given blocks in float, and measures it in its runtime."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from export.errors import ExportError
from export.open_file import CPU_GUIDE, open_exact
from export.parity.output_sqnr import overall_sqnr
from export.pipeline import convert, open_written
from export.plan import ExportPlan
from export.session import Session
from export.targets import Target
from export.targets.onnx.saturation import PairSums, find_pair_sums
from lvt.support.progress import Progress
from quantization.accuracy import AccuracyDrop, BudgetCheck
from quantization.calibrated_model import CHECKED_IMAGES, CalibratedModel
from quantization.joint_model import JointModel

MIN_SIMULATION_SQNR_DB = 20.0
"""Minimum SQNR of a file against the simulation of its program.

Both round at the same places, but runtimes sum in another order and some round halves differently.
A value may therefore differ by one step, and the difference propagates: 26 to 45 dB were measured
on real weights. A wrong scale, zero point or layout gives less than 10 dB.
"""


class AccuracyError(ExportError):
    """The int8 file loses more accuracy than the budget allows; it was deleted."""


@dataclass(frozen=True)
class Candidate:
    """An int8 file with its measurements.

    Attributes:
        session: runs the file.
        simulation_sqnr_db: the file against the simulation of its program.
        drop: accuracy against the budget.
        pair_sums: whether sums of two products can saturate; None where runtimes are exact.
        measured_in: the runtime that the accuracy was measured in.
    """

    session: Session
    simulation_sqnr_db: float
    drop: AccuracyDrop
    pair_sums: PairSums | None
    measured_in: str


@dataclass(frozen=True)
class CandidateWriter:
    """Writes candidates of one artifact, which differ in the blocks that stay in float.

    Attributes:
        plan: the artifact.
        target: its format.
        joint: the model's entry points.
        calibrated: the model with its activation ranges.
        budget_check: measures accuracy against the budget.
        images: preprocessed calibration pictures.
        progress: called with each step.
    """

    plan: ExportPlan
    target: Target
    joint: JointModel
    calibrated: CalibratedModel
    budget_check: BudgetCheck
    images: Sequence[NDArray[np.float32]]
    progress: Progress

    def write(self, file: Path, float_blocks: list[str]) -> Candidate:
        """Converts the model with these blocks in float, and measures the file.

        Raises:
            ConversionError: the converter or the runtime fails.
            AccuracyError: the file does not compute what was simulated, or its sums saturate on
                some processors.
        """
        name, calibrated = self.plan.target.name, self.calibrated
        weights_only = self.plan.precision == "int8-weights"
        self.progress(f"{name}: converting")
        program = calibrated.weights_only() if weights_only else calibrated.program(float_blocks)
        convert(self.plan, self.target, self.joint.split(program), file)
        pair_sums = self._check_saturation(file)
        self.progress(f"{name}: comparing the file with its simulation")
        session = open_written(self.plan, self.target, file)
        # Fake quantization computes the same as the program, many times faster.
        simulation = program if weights_only else calibrated.simulated(float_blocks)
        sqnr = self._simulation_sqnr(session, self.joint.session(simulation))
        if not sqnr >= MIN_SIMULATION_SQNR_DB:
            raise AccuracyError(
                f"{name}: the file does not compute the program it was written from: "
                f"SQNR {sqnr:.1f} dB (limit {MIN_SIMULATION_SQNR_DB:.0f})"
            )
        measured, runtime = session, self.target.runtime_name()
        if self.plan.target.compiled and self.budget_check.many_pictures:
            measured, runtime = open_exact(file, self.plan.host), CPU_GUIDE
        self.progress(f"{name}: measuring accuracy in {runtime}")
        return Candidate(session, sqnr, self.budget_check.measure(measured), pair_sums, runtime)

    def _check_saturation(self, file: Path) -> PairSums | None:
        """The largest sums of two products, for runtimes that may add them in 16 bits.

        Raises:
            AccuracyError: a sum can saturate.
        """
        if not self.calibrated.backend_config.pairs_in_16_bits:
            return None
        sums = find_pair_sums(file)
        if sums.saturating:
            raise AccuracyError(
                f"{self.plan.target.name}: {len(sums.saturating)} layers saturate on x86 "
                f"processors without VNNI; the first is {next(iter(sums.saturating))}"
            )
        return sums

    def _simulation_sqnr(self, session: Session, simulation: Session) -> float:
        """Minimum SQNR in dB over the outputs that can be compared value by value.

        All values count together, not channel by channel: a channel with a large constant loses
        its variation to float16 alone.
        """
        images = self.images[:CHECKED_IMAGES]
        pairs = [(session.run(image), simulation.run(image)) for image in images]
        return overall_sqnr(pairs, self.plan.model.spec)

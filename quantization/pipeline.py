"""The export pipeline with a quantized module: calibrate, search float blocks, write, verify."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from export.capabilities import Form, Recipe, target_info
from export.evaluation.labelled_data import LabelledPictures
from export.parity.compare import ParityReport, compare
from export.parity.verify import SOFTWARE_PICTURES
from export.pipeline import (
    ExportResult,
    VerifiedFile,
    make_entry_points,
    write_artifact,
)
from export.plan import ExportPlan, plan_export, resolve_model
from export.reference import reference_session
from export.session import Session
from export.targets import load_target
from lvt.data.images import packaged_photos, read_image
from lvt.errors import UserError
from lvt.support.progress import Progress, no_progress
from quantization.accuracy import AccuracyDrop, BudgetCheck, LabelledBudgetCheck, OutputBudgetCheck
from quantization.backend_config import (
    BACKEND_CONFIGS,
    RECIPES,
    SEARCHED,
    BackendConfig,
    backend_config,
)
from quantization.calibrated_model import CalibratedModel, calibrate
from quantization.calibration import HELD_OUT_IMAGES, RANGE_IMAGES, hold_out, read_calibration
from quantization.candidate import AccuracyError, Candidate, CandidateWriter
from quantization.finetune import finetune
from quantization.graph_report import GraphReport, graph_report
from quantization.joint_model import JointModel
from quantization.manifest_entries import accuracy_entry, quantization_entry, search_entry
from quantization.request import QuantizeRequest
from quantization.search import (
    BlockSensitivity,
    by_sensitivity,
    measure_sensitivities,
    minimize_float_blocks,
)

_BLOCKS_AT_ONCE = 2
"""Number of blocks that return to float at a time if the file loses more than was simulated."""

_MAX_COMPARED = 100
"""Maximum number of labelled pictures on which outputs are compared with the reference's."""

MAX_FINETUNING_IMAGES = 256
"""Maximum number of pictures in memory for fine-tuning."""


@dataclass(frozen=True, kw_only=True)
class QuantizeResult(ExportResult):
    """A published int8 artifact.

    Attributes:
        drop: accuracy against the budget.
        report: which part of the program is int8.
        calibrated: the model with its activation ranges.
        sensitivities: SQNR with each block alone in int8; empty for int8 weights only.
        float_blocks: blocks that stay in float.
    """

    drop: AccuracyDrop
    report: GraphReport
    calibrated: CalibratedModel
    sensitivities: tuple[BlockSensitivity, ...]
    float_blocks: tuple[str, ...]


def quantize(request: QuantizeRequest, progress: Progress = no_progress) -> QuantizeResult:
    """Writes one int8 artifact, after its accuracy has been measured and meets the budget.

    Args:
        request: what to quantize and how.
        progress: called with each step.

    Raises:
        UserError: the user can fix the problem.
        ConversionError: the converter or the runtime fails.
        AccuracyError: the budget cannot be met.
    """
    return Quantizer(request, progress).quantize(request.export.target)


@dataclass(frozen=True, kw_only=True)
class _VerifiedInt8File(VerifiedFile):
    """See `VerifiedFile`; the other attributes are those of `QuantizeResult`."""

    drop: AccuracyDrop
    report: GraphReport
    float_blocks: list[str]


@dataclass(frozen=True)
class _SearchResult:
    """A calibrated model and the blocks that have to stay in float.

    Attributes:
        steps: number of fine-tuning steps behind its weights.
    """

    calibrated: CalibratedModel
    float_blocks: list[str]
    steps: int = 0


class Quantizer:
    """Quantizes one checkpoint for one or several targets. Shared work is done once."""

    def __init__(self, request: QuantizeRequest, progress: Progress = no_progress):
        """Reads checkpoint, calibration pictures and labelled pictures.

        Raises:
            UserError: the user can fix the problem.
        """
        self.request, self._progress = request, progress
        progress("reading the checkpoint")
        self.model = resolve_model(request.export)
        self._labelled = self._open_labelled()
        self.plan(request.export.target)  # refuse before pictures are read
        progress("reading calibration pictures")
        pictures = read_calibration(
            Path(request.calib), self.model.preprocessing, RANGE_IMAGES + HELD_OUT_IMAGES
        )
        self.calibration = hold_out(pictures)
        self._budget_check: BudgetCheck | None = None
        self._output_check: OutputBudgetCheck | None = None
        self._calibrated: dict[
            tuple[Recipe, BackendConfig, Form | None],
            tuple[CalibratedModel, tuple[BlockSensitivity, ...]],
        ] = {}

    def _open_labelled(self) -> LabelledPictures | None:
        if self.request.data is None:
            return None
        if self.model.labels is None:
            raise UserError("a bare backbone has no classes to evaluate: leave out --data")
        return self.request.data.open(self.model.spec.task, self.model.labels.names)

    @property
    def notes(self) -> tuple[str, ...]:
        """Facts about checkpoint and pictures that the user should know, one line each."""
        return (*self.calibration.warnings, *self.model.notes)

    def plan(self, target: str) -> ExportPlan:
        """The artifact for a target. Everything that can fail early, fails here.

        Raises:
            UserError: see `plan_export`; or a request that int8 files do not support.
        """
        export = replace(self.request.export, target=target)
        integers = target_info(target).integers
        if not integers:
            raise UserError(f"{target}: no int8 support; known: {', '.join(BACKEND_CONFIGS)}")
        precision = self.request.precision or integers[0]
        if precision not in integers:
            raise UserError(f"{target} has no {precision}, only {' and '.join(integers)}")
        if export.precision is not None or export.pixels or not export.rewrite:
            raise UserError("int8 exports do not accept precision, pixels or rewrite=False")
        plan = plan_export(export, self.model, recipe=RECIPES[target], precision=precision)
        return replace(plan, integer_io=self.request.integer_io)

    def quantize(self, target_name: str) -> QuantizeResult:
        """Writes the artifact of one target.

        Raises:
            UserError: the user can fix the problem.
            ConversionError: the converter or the runtime fails.
            AccuracyError: the budget cannot be met, or the file differs from the simulation.
        """
        started = time.perf_counter()
        plan = self.plan(target_name)
        target = load_target(target_name)
        joint = JointModel(make_entry_points(plan, target), self.model.spec, plan.host)
        float_session = joint.session()
        budget_check = self._budget_check_for(float_session)
        calibrated, sensitivities = self._calibrate(plan, joint)
        self._check_block_names(calibrated)
        searched = tuple(s for s in sensitivities if s.block not in calibrated.fixed_blocks)
        search = self._search(plan, joint, calibrated, searched, budget_check)
        images = self.calibration.images
        writer = CandidateWriter(
            plan, target, joint, search.calibrated, budget_check, images, self._progress
        )

        def convert_and_verify(file: Path) -> _VerifiedInt8File:
            order = [sensitivity.block for sensitivity in by_sensitivity(searched)]
            candidate, blocks = self._write_within_budget(writer, file, search.float_blocks, order)
            self._progress(f"{target_name}: comparing with the reference")
            parity = self._parity(candidate.session, plan)
            # With labels the budget applies to their metric; the agreement is recorded as well.
            agreements = candidate.drop.agreements or (
                self._output_check_for(float_session).measure(candidate.session).agreements
            )
            report = graph_report(search.calibrated.module, search.calibrated.plan(blocks))
            entry = {
                **quantization_entry(
                    self.calibration,
                    search.calibrated,
                    candidate,
                    precision=plan.precision,
                ),
                **search_entry(sensitivities, blocks, plan.precision),
                **report.to_dict(),
                "acceptance": [agreement.to_dict() for agreement in agreements],
                "qat_steps": search.steps,
            }
            entries = {"quantization": entry, **accuracy_entry(candidate.drop)}
            return _VerifiedInt8File(
                joint.entry_points,
                parity,
                entries,
                drop=candidate.drop,
                report=report,
                float_blocks=blocks,
            )

        result, verified = write_artifact(plan, target, convert_and_verify, started)
        return QuantizeResult(
            **vars(result),
            drop=verified.drop,
            report=verified.report,
            calibrated=search.calibrated,
            sensitivities=sensitivities,
            float_blocks=tuple(verified.float_blocks),
        )

    def _budget_check_for(self, float_session: Session) -> BudgetCheck:
        """Measures sessions against the budget; on labelled pictures if there are any."""
        if self._budget_check is None:
            self._progress("evaluating the float model")
            if self._labelled is None:
                self._budget_check = self._output_check_for(float_session)
            else:
                self._budget_check = LabelledBudgetCheck(
                    self.model, self._labelled, float_session, self.request.budget
                )
        return self._budget_check

    def _output_check_for(self, float_session: Session) -> OutputBudgetCheck:
        """Compares outputs with float, on calibration pictures kept out and packaged photos."""
        if self._output_check is None:
            photos = [self.model.preprocessing(read_image(path)) for path in packaged_photos()]
            self._output_check = OutputBudgetCheck(
                self.calibration.held_out,
                photos,
                float_session,
                self.request.budget,
                self.model.spec,
            )
        return self._output_check

    def _calibrate(
        self, plan: ExportPlan, joint: JointModel
    ) -> tuple[CalibratedModel, tuple[BlockSensitivity, ...]]:
        """The model with activation ranges for a target's runtime, and its blocks' sensitivities.

        Targets with equal recipe and backend configuration share them.
        """
        name = plan.target.name
        config = backend_config(plan)
        assert plan.recipe is not None
        key = plan.recipe, config, plan.form
        if key not in self._calibrated:

            def progress(step: str) -> None:
                self._progress(f"{name}: {step}")

            inputs = [joint.inputs(image) for image in self.calibration.images]
            module = joint.trace(inputs[0])
            calibrated = calibrate(module, config, inputs, self.request.method, progress)
            sensitivities = (
                tuple(measure_sensitivities(calibrated, progress))
                if plan.precision in SEARCHED
                else ()
            )
            self._calibrated[key] = calibrated, sensitivities
        return self._calibrated[key]

    def _check_block_names(self, calibrated: CalibratedModel) -> None:
        """Checks `--float`.

        Raises:
            UserError: an unknown block.
        """
        unknown = set(self.request.keep_float) - set(calibrated.blocks)
        if unknown:
            raise UserError(
                f"--float {min(unknown)}: no such block; known: {', '.join(calibrated.blocks)}"
            )

    def _search(
        self,
        plan: ExportPlan,
        joint: JointModel,
        calibrated: CalibratedModel,
        sensitivities: tuple[BlockSensitivity, ...],
        budget_check: BudgetCheck,
    ) -> _SearchResult:
        """The smallest set of float blocks; with fine-tuned weights if that makes it smaller."""
        request = self.request
        if plan.precision not in SEARCHED:
            return _SearchResult(calibrated, [])
        blocks = self._float_blocks(joint, calibrated, sensitivities, budget_check)
        if request.qat_steps and len(blocks) > len(request.keep_float):
            tuned = self._finetune(plan, joint, calibrated)
            tuned_blocks = self._float_blocks(joint, tuned, sensitivities, budget_check)
            if len(tuned_blocks) < len(blocks):
                return _SearchResult(tuned, tuned_blocks, request.qat_steps)
        return _SearchResult(calibrated, blocks)

    def _float_blocks(
        self,
        joint: JointModel,
        calibrated: CalibratedModel,
        sensitivities: tuple[BlockSensitivity, ...],
        budget_check: BudgetCheck,
    ) -> list[str]:
        """The smallest set of float blocks with which the simulation meets the budget."""
        always = list(self.request.keep_float)

        def meets_budget(blocks: list[str]) -> bool:
            self._progress(f"trying with {len(always) + len(blocks)} blocks in float")
            simulation = calibrated.simulated([*always, *blocks])
            return budget_check.measure(joint.session(simulation)).meets_budget

        others = [s for s in sensitivities if s.block not in always]
        return [*always, *minimize_float_blocks(others, meets_budget)]

    def _finetune(
        self, plan: ExportPlan, joint: JointModel, calibrated: CalibratedModel
    ) -> CalibratedModel:
        """The calibrated model with fine-tuned weights."""
        request, name = self.request, plan.target.name
        self._progress(f"{name}: reading pictures to fine-tune on")
        count = min(max(request.qat_steps, RANGE_IMAGES), MAX_FINETUNING_IMAGES)
        pictures = read_calibration(
            Path(request.calib),
            self.model.preprocessing,
            count,
            exclude=self.calibration.held_out_names,
        )

        def progress(step: int, loss: float) -> None:
            total = request.qat_steps
            self._progress(f"{name}: fine-tuning, step {step} of {total}, noise {loss:.2%}")

        inputs = joint.lazy_inputs(pictures.images)
        return finetune(calibrated, inputs, request.qat_steps, request.keep_float, progress)

    def _write_within_budget(
        self,
        writer: CandidateWriter,
        file: Path,
        blocks: list[str],
        order: list[str],
    ) -> tuple[Candidate, list[str]]:
        """Writes the file, again with more blocks in float while it misses the budget.

        Args:
            writer: writes and measures the file.
            file: scratch path of the file.
            blocks: float blocks with which the simulation met the budget.
            order: all blocks, most sensitive first.

        Raises:
            AccuracyError: the budget cannot be met.
        """
        name = writer.plan.target.name
        candidate = writer.write(file, blocks)
        while not candidate.drop.meets_budget and not set(order) <= set(blocks):
            # The file loses slightly more than its simulation.
            others = [block for block in order if block not in blocks]
            blocks = [*blocks, *others[:_BLOCKS_AT_ONCE]]
            self._progress(f"{name}: {candidate.drop}; now {len(blocks)} blocks in float")
            candidate = writer.write(file, blocks)
        if not candidate.drop.meets_budget:
            raise AccuracyError(
                f"{name}: {candidate.drop} is not within the budget (minimum "
                f"{candidate.drop.allowed:.2f}); try more or other calibration pictures, a larger "
                "--budget, or --qat-steps"
            )
        return candidate, blocks

    def _parity(self, session: Session, plan: ExportPlan) -> ParityReport:
        """The file against the reference. It has no tolerance: the budget decides."""
        reference = reference_session(self.model.reference, self.model.spec)
        images = self._compared_images()
        if plan.target.compiled:
            images = islice(images, SOFTWARE_PICTURES)
        return compare(reference, session, images, self.model.spec, None)

    def _compared_images(self) -> Iterator[NDArray[np.float32]]:
        """The labelled pictures, else the calibration pictures that were kept out."""
        if self._labelled is None:
            yield from self.calibration.held_out
        else:
            for sample in islice(self._labelled, _MAX_COMPARED):
                yield self.model.preprocessing(sample.image)

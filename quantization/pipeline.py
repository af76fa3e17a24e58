"""The road from a checkpoint to a proven int8 artifact, step by step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from export.artifact.manifest import make_manifest
from export.artifact.reader import PAIR_SUMS, manifest_path, publish_artifact, write_manifest
from export.capabilities import Recipe, StoredPrecision, TargetInfo, target_info
from export.parity.compare import ParityReport, compare
from export.pipeline import (
    ExportError,
    check_request,
    embedded_metadata,
    exported_module,
    failing_as_conversion,
)
from export.placement import Placement
from export.plan import ExportRequest, Job, prepare
from export.predict.evaluation import Evaluation, LabelledData, Samples
from export.reference import reference_session
from export.session import Session, TorchSession
from export.targets import ConversionInput, Target, load_target
from export.targets.onnx.saturation import PairSums, find_pair_sums
from lvt.data.preprocessing import packaged_photos, read_image
from lvt.errors import UserError
from lvt.support.files import atomic_folder
from quantization.accuracy import (
    AccuracyDrop,
    Budget,
    BudgetCheck,
    LabelledBudgetCheck,
    OutputBudgetCheck,
    side_by_side,
)
from quantization.backend_config import (
    BACKEND_CONFIGS,
    RECIPES,
    BackendConfig,
    for_weights_only,
)
from quantization.calibrated_model import CHECKED_IMAGES, CalibratedModel, calibrate
from quantization.calibration import (
    HELD_OUT_IMAGES,
    RANGE_IMAGES,
    Calibration,
    hold_out,
    read_calibration,
)
from quantization.finetune import finetune
from quantization.graph_report import GraphReport, graph_report
from quantization.methods import Method
from quantization.output_sqnr import overall_sqnr
from quantization.search import (
    BlockSensitivity,
    by_sensitivity,
    measure_sensitivities,
    minimize_float_blocks,
)

_FEW = 2
"""Blocks that go back to float at a time, where the file loses more than was simulated."""

_MOST_COMPARED = 100
"""Labelled pictures on which answers are compared with the reference's."""

MOST_TRAINED_ON = 256
"""Pictures held in memory for fine-tuning."""

MIN_SIMULATION_SQNR_DB = 20.0
"""Least SQNR of a file against the very program it was written from.

Both round at the same places, but runtimes add up in another order and some round halves
otherwise, so that values land a step apart and go on from there: 26 to 45 dB were measured on
real weights. A wrong scale, zero point or layout gives less than 10.
"""


class AccuracyError(ExportError):
    """The artifact loses more than the budget; it has not been kept."""


@dataclass(frozen=True)
class QuantizeRequest:
    """What to quantize and how.

    Attributes:
        export: target, checkpoint, size and so on, as for a float export.
        calib: folder of pictures to take ranges from, or `demo`.
        method: how ranges are chosen; None to compare all.
        budget: what it may cost.
        data: labelled pictures that the budget is measured on; None to measure outputs.
        keep_float: blocks that stay float whatever the search finds.
        weights_only: int8 weights, float activations.
        qat_steps: of fine-tuning, where the budget is not met without; 0 for none.
    """

    export: ExportRequest
    calib: Path
    method: Method | None = None
    budget: Budget = field(default_factory=Budget)
    data: LabelledData | None = None
    keep_float: tuple[str, ...] = ()
    weights_only: bool = False
    qat_steps: int = 0


@dataclass(frozen=True)
class _Written:
    """A file that has been measured, not published yet."""

    conversion: ConversionInput
    session: Session
    faithful_db: float
    evaluation: Evaluation | None
    loss: AccuracyDrop
    pair_sums: PairSums | None


@dataclass(frozen=True)
class QuantizeResult:
    """A written artifact."""

    path: Path
    manifest: dict[str, Any]
    parity: ParityReport
    placement: Placement
    loss: AccuracyDrop
    report: GraphReport
    study: CalibratedModel
    sensitivities: tuple[BlockSensitivity, ...]
    kept_float: tuple[str, ...]


Progress = Callable[[str], None]


class Quantizer:
    """Quantizes one checkpoint for one or several targets; what they share is done once."""

    def __init__(self, request: QuantizeRequest, progress: Progress = lambda _step: None):
        """Reads checkpoint, calibration and labelled pictures.

        Raises:
            UserError: something the user can put right.
        """
        self.request, self._progress = request, progress
        progress("reading the checkpoint")
        self.job: Job = prepare(request.export)
        progress("reading calibration pictures")
        read = read_calibration(
            request.calib, self.job.preprocessing, RANGE_IMAGES + HELD_OUT_IMAGES
        )
        self.calibration: Calibration = hold_out(read)
        self._samples: Samples | None = None
        if request.data is not None:
            labels = self.job.labels
            if labels is None:
                raise UserError("a bare backbone answers nothing: leave --data out")
            self._samples = request.data.open(self.job.spec.task, labels.names)
        self._judge: BudgetCheck | None = None
        self._output_judge: OutputBudgetCheck | None = None
        self._studies: dict[
            tuple[Recipe, BackendConfig], tuple[CalibratedModel, tuple[BlockSensitivity, ...]]
        ] = {}

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know of checkpoint and pictures."""
        return (*self.calibration.warnings, *self.job.source.meta.notes)

    def check(self, target_name: str) -> Path:
        """Everything that can be refused before the work begins; the file to write.

        Raises:
            UserError: the target does not take this, or the place is taken.
        """
        info = target_info(target_name)
        request = replace(self.request.export, target=target_name)
        return check_request(request, self.job, info, self._precision)

    @property
    def _precision(self) -> StoredPrecision:
        return "int8-weights" if self.request.weights_only else "int8"

    def judge(self, float_session: Session) -> BudgetCheck:
        """What tells whether the budget is met."""
        if self._judge is None:
            self._progress("evaluating the float model")
            budget, job = self.request.budget, self.job
            if self._samples is None:
                self._judge = self.output_judge(float_session)
            else:
                self._judge = LabelledBudgetCheck(job, self._samples, float_session, budget)
        return self._judge

    def output_judge(self, float_session: Session) -> OutputBudgetCheck:
        """What tells how a file agrees with float on pictures without labels."""
        if self._output_judge is None:
            job = self.job
            sanity = [job.preprocessing(read_image(path)) for path in packaged_photos()]
            self._output_judge = OutputBudgetCheck(
                self.calibration.held_out, sanity, float_session, self.request.budget, job.spec
            )
        return self._output_judge

    def study(
        self, info: TargetInfo, module: nn.Module
    ) -> tuple[CalibratedModel, tuple[BlockSensitivity, ...]]:
        """The calibrated model for a target, and its blocks' sensitivities."""
        abilities = BACKEND_CONFIGS[info.name]
        if self.request.weights_only:
            abilities = for_weights_only(abilities)
        key = RECIPES[info.name], abilities
        if key not in self._studies:
            images, size = self.calibration.images, self.job.size

            def progress(step: str) -> None:
                self._progress(f"{info.name}: {step}")

            study = calibrate(module, size, abilities, images, self.request.method, progress)
            found = (
                () if self.request.weights_only else tuple(measure_sensitivities(study, progress))
            )
            self._studies[key] = study, found
        return self._studies[key]

    def quantize(self, target_name: str) -> QuantizeResult:
        """Writes the artifact of one target, after its accuracy has been measured and suffices.

        Raises:
            UserError: something the user can put right.
            ConversionError: the converter or the runtime fails.
            AccuracyError: the budget cannot be met, or the file is not what was simulated.
        """
        request, job, progress = self.request, self.job, self._progress
        info = target_info(target_name)
        out = self.check(target_name)
        export_request = replace(request.export, target=info.name)
        target = load_target(info.name)
        module = exported_module(
            job, replace(info, recipe=RECIPES[info.name]), target.roi_align, rewritten=True
        )
        float_session = TorchSession(module, job.spec)
        judge = self.judge(float_session)
        study, sensitivities = self.study(info, module)
        unknown = set(request.keep_float) - set(study.blocks)
        if unknown:
            raise UserError(
                f"--float {min(unknown)}: no such block; known: {', '.join(study.blocks)}"
            )
        order = [s.block for s in by_sensitivity(sensitivities)]
        kept, trained = self._search(study, sensitivities, judge), 0
        if request.qat_steps and len(kept) > len(request.keep_float):
            tuned, fewer = self._finetuned(info, study, sensitivities, judge)
            if len(fewer) < len(kept):
                study, kept, trained = tuned, fewer, request.qat_steps
        with atomic_folder(out.parent) as scratch:
            file = scratch / out.name
            write = partial(self._write, target, info, study, file, judge)
            kept, result = self._within_budget(info, kept, order, write)
            progress(f"{info.name}: comparing with the reference")
            parity = compare(
                reference_session(job.source.model, job.spec),
                result.session,
                self._compared_images(),
                job.spec,
                None,  # it answers to its budget
            )
            agreements = result.loss.agreements
            if (
                not agreements
            ):  # labels decided; how it agrees on other pictures is told all the same
                agreements = self.output_judge(float_session).measure(result.session).agreements
            placement = target.placement(file)
            report = graph_report(study.module, study.plan(kept))
            # Multiply-accumulates are counted on modules, which the program has no more.
            as_float = replace(result.conversion, model=module)
            manifest = make_manifest(
                export_request, job, info, as_float, parity, placement, target, file
            )
            manifest["quantization"] = {
                **self._described(study, sensitivities, kept, result, report),
                "acceptance": [found.to_dict() for found in agreements],
                "qat_steps": trained,
            }
            if isinstance(judge, LabelledBudgetCheck) and result.evaluation is not None:
                manifest["accuracy"] = side_by_side(judge.float_evaluation, result.evaluation)
            write_manifest(manifest_path(file), manifest)
            publish_artifact(file, out)
        return QuantizeResult(
            out,
            manifest,
            parity,
            placement,
            result.loss,
            report,
            study,
            sensitivities,
            tuple(kept),
        )

    def _finetuned(
        self,
        info: TargetInfo,
        study: CalibratedModel,
        sensitivities: tuple[BlockSensitivity, ...],
        judge: BudgetCheck,
    ) -> tuple[CalibratedModel, list[str]]:
        """A study with fine-tuned weights, and the blocks to keep in float with them."""
        request, progress = self.request, self._progress
        progress(f"{info.name}: reading pictures to fine-tune on")
        wanted = min(max(request.qat_steps, RANGE_IMAGES), MOST_TRAINED_ON)
        pictures = read_calibration(
            request.calib, self.job.preprocessing, wanted, exclude=self.calibration.held_out_names
        )
        images = pictures.images

        def tick(step: int, loss: float) -> None:
            of = request.qat_steps
            progress(f"{info.name}: fine-tuning, step {step} of {of}, noise {loss:.2%}")

        tuned = finetune(study, images, request.qat_steps, request.keep_float, tick)
        return tuned, self._search(tuned, sensitivities, judge)

    def _search(
        self,
        study: CalibratedModel,
        sensitivities: tuple[BlockSensitivity, ...],
        judge: BudgetCheck,
    ) -> list[str]:
        """The blocks to keep in float, by the simulated model's loss."""
        if self.request.weights_only:
            return []
        always = list(self.request.keep_float)

        def within(blocks: list[str]) -> bool:
            self._progress(f"trying with {len(always) + len(blocks)} blocks in float")
            simulated = study.simulated([*always, *blocks])
            return judge.measure(TorchSession(simulated, self.job.spec)).meets_budget

        others = [s for s in sensitivities if s.block not in always]
        return [*always, *minimize_float_blocks(others, within)]

    def _within_budget(
        self,
        info: TargetInfo,
        kept: list[str],
        order: list[str],
        write: Callable[[list[str]], _Written],
    ) -> tuple[list[str], _Written]:
        """Writes the file; again, with more blocks in float, where it loses too much.

        Args:
            info: the target.
            kept: blocks in float that were enough in the simulation.
            order: all blocks, the most sensitive first.
            write: writes and measures the file with some blocks in float.

        Raises:
            AccuracyError: the budget cannot be met.
        """
        result = write(kept)
        while not result.loss.meets_budget and len(kept) < len(order):
            # The simulation was a little too hopeful: a few more, and measured again.
            kept = [*kept, *[block for block in order if block not in kept][:_FEW]]
            self._progress(f"{info.name}: {result.loss}; {len(kept)} blocks in float now")
            result = write(kept)
        if not result.loss.meets_budget:
            raise AccuracyError(
                f"{info.name}: {result.loss} is not within the budget of "
                f"{result.loss.allowed:.2f}; more or other calibration pictures, a larger "
                "--budget, or --qat-steps may help"
            )
        return kept, result

    def _write(
        self,
        target: Target,
        info: TargetInfo,
        study: CalibratedModel,
        file: Path,
        judge: BudgetCheck,
        kept: list[str],
    ) -> _Written:
        """Writes the file and measures what it does in its runtime.

        Raises:
            ConversionError: the converter or the runtime fails.
            AccuracyError: the file does not compute the program it was written from, or not on
                every processor.
        """
        job, progress = self.job, self._progress
        program = study.weights_only() if self.request.weights_only else study.program(kept)
        conversion = ConversionInput(
            program, job.spec, job.size, self._precision, embedded_metadata(job)
        )
        progress(f"{info.name}: converting")
        with failing_as_conversion(f"{info.name}: conversion failed"):
            target.write(conversion, file)
        sums = find_pair_sums(file) if study.backend_config.pairs_in_16_bits else None
        if sums is not None and sums.saturating:
            raise AccuracyError(
                f"{info.name}: {len(sums.saturating)} layers saturate on x86 processors without "
                f"VNNI; the first is {next(iter(sums.saturating))}"
            )
        progress(f"{info.name}: comparing the file with its program")
        with failing_as_conversion(f"{info.name}: the file does not run"):
            session = target.open_session(file)
            # Fake quantization computes the same, many times faster.
            same = program if self.request.weights_only else study.simulated(kept)
            faithful = self._faithful(session, TorchSession(same, job.spec))
        if not faithful >= MIN_SIMULATION_SQNR_DB:
            raise AccuracyError(
                f"{info.name}: the file does not compute the program it was written from: "
                f"SQNR {faithful:.1f} dB (limit {MIN_SIMULATION_SQNR_DB:.0f})"
            )
        progress(f"{info.name}: measuring accuracy in {target.runtime_name()}")
        if isinstance(judge, LabelledBudgetCheck):
            evaluation = judge.evaluate(session)
            loss = judge.drop(evaluation)
        else:
            evaluation, loss = None, judge.measure(session)
        return _Written(conversion, session, faithful, evaluation, loss, sums)

    def _compared_images(self) -> Iterator[NDArray[np.float32]]:
        """The labelled pictures, or where there are none those that the ranges did not see."""
        if self._samples is None:
            yield from self.calibration.held_out
        else:
            for sample in islice(self._samples, _MOST_COMPARED):
                yield self.job.preprocessing(sample.image)

    def _faithful(self, session: Session, program: Session) -> float:
        """Least SQNR in dB of what can be compared one by one; see `CalibratedModel.sqnr`."""
        images = self.calibration.images[:CHECKED_IMAGES]
        pairs = [(session.run(image), program.run(image)) for image in images]
        # Of all values: where a constant carries a channel, float16 alone loses the rest of it.
        return overall_sqnr(pairs, self.job.spec)

    def _described(
        self,
        study: CalibratedModel,
        sensitivities: tuple[BlockSensitivity, ...],
        kept: list[str],
        result: _Written,
        report: GraphReport,
    ) -> dict[str, Any]:
        """The manifest's entry."""
        sums = {} if result.pair_sums is None else {PAIR_SUMS: result.pair_sums.to_dict()}
        return {
            **sums,
            "weights": "int8, symmetric, a scale for each output channel",
            "activations": "float" if self.request.weights_only else "int8, a scale for each map",
            "calibration": {
                "images": len(self.calibration.images),
                "kept_out": len(self.calibration.held_out),
                "method": study.method,
                "sqnr_db_of_methods": study.method_sqnrs,
            },
            "budget": {
                "measure": result.loss.metric,
                "float": result.loss.float_value,
                "value": result.loss.value,
                "allowed": result.loss.allowed,
            },
            "sqnr_db_against_program": result.faithful_db,
            "kept_float_by_sensitivity": kept,
            "sensitivity_db": {s.block: round(s.sqnr_db, 2) for s in sensitivities},
            **report.to_dict(),
        }

"""What the user asks of a quantization."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from export.capabilities import IntegerPrecision
from export.evaluation.labelled_data import LabelledData
from export.plan import ExportRequest
from lvt.errors import UserError
from quantization.accuracy import Budget
from quantization.methods import Method


@dataclass(frozen=True)
class QuantizeRequest:
    """What to quantize and how.

    Attributes:
        export: target, checkpoint, input size and so on, as for a float export.
        calib: folder of calibration pictures, or `demo` for generated scenes.
        method: how activation ranges are chosen. None: the method with the highest SQNR.
        budget: maximum loss of accuracy.
        data: labelled pictures to measure the budget on. None: the outputs are compared.
        keep_float: blocks that stay in float in any case.
        precision: which integers. None: the first that the target has.
        qat_steps: number of fine-tuning steps, used only if blocks would have to stay in float.
        integer_io: TFLite in w8a8 only; the file takes and gives int8.

    Raises:
        UserError: float blocks or fine-tuning for a file with int8 weights only; integers at the
            ends of a file that has others.
    """

    export: ExportRequest
    calib: str | Path
    method: Method | None = None
    budget: Budget = field(default_factory=Budget)
    data: LabelledData | None = None
    keep_float: tuple[str, ...] = ()
    precision: IntegerPrecision | None = None
    qat_steps: int = 0
    integer_io: bool = False

    @property
    def weights_only(self) -> bool:
        """Whether activations stay float."""
        return self.precision == "int8-weights"

    def __post_init__(self) -> None:
        if self.weights_only and (self.keep_float or self.qat_steps):
            raise UserError(
                "int8 weights with float activations lose almost nothing: leave out --float and "
                "--qat-steps with --weights-only"
            )
        if self.integer_io and (self.export.target, self.precision) != ("tflite", "w8a8"):
            raise UserError("--integer-io is for tflite with --precision w8a8 only")

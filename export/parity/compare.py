"""Parity: the difference between the outputs of two sessions, and the tolerances for it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from export.capabilities import target_info
from export.parity.match_detections import match_detections, same_segments
from export.session import Outputs, Session
from lvt.config import Size, Task
from lvt.data.metrics import SignalToNoise, max_abs_error
from lvt.models import ModelSpec
from lvt.panoptic.postprocess import panoptic_map
from lvt.postprocessing import label_map


@dataclass(frozen=True)
class Tolerance:
    """Limits for the difference between an artifact and the reference.

    Attributes:
        relative_error: maximum absolute error, divided by the range of the reference's output.
        sqnr_db: minimum signal-to-quantization-noise ratio.
        agreement: minimum share of equal predictions (top-1 classes, labels of pixels).
        unpaired: maximum share of detections without a match on the other side.
    """

    relative_error: float
    sqnr_db: float
    agreement: float
    unpaired: float


TOLERANCES = {
    # Summation order alone changes float32 results by about 1e-7 of the range per layer (SQNR 115
    # to 130 dB at the output). A wrong weight, tap or rounding rule exceeds these limits.
    "fp32": Tolerance(relative_error=1e-4, sqnr_db=90.0, agreement=0.999, unpaired=0.02),
    # Every value is rounded to 11 bits, an error of up to 5e-4 of the value, in about a hundred
    # layers: a few 1e-3 of the range, and several times that for the largest of a million values.
    # Proposals whose scores differ by less may replace each other.
    "fp16": Tolerance(relative_error=2e-2, sqnr_db=45.0, agreement=0.995, unpaired=0.1),
}

NPU_FP16_RELATIVE_ERROR = 3e-2
"""The HTP rounds inside operators, too: its softmax adds up to 0.999 (55 dB, where rounding the
result alone gives 61 to 73), its GELU has 65 dB (70). The largest error of a mask of the
demonstration model is 0.023 of the range; 0.0013 with the float model's features and boxes."""


def tolerance_of(precision: str, target: str) -> Tolerance | None:
    """The tolerance of a file; None where the budget of the quantization decides."""
    tolerance = TOLERANCES.get(precision)
    if tolerance is not None and precision == "fp16" and target_info(target).compiled:
        return replace(tolerance, relative_error=NPU_FP16_RELATIVE_ERROR)
    return tolerance


@dataclass(frozen=True)
class OutputParity:
    """Difference of one output over all images."""

    name: str
    max_abs_error: float
    range: float
    sqnr_db: float

    @property
    def relative_error(self) -> float:
        """Maximum error divided by the reference's range; 0 for equal outputs."""
        if self.max_abs_error == 0:
            return 0.0
        return self.max_abs_error / self.range if self.range > 0 else math.inf


@dataclass(frozen=True)
class ParityReport:
    """Differences of all outputs over all images."""

    images: int
    outputs: tuple[OutputParity, ...]
    not_measured: tuple[str, ...]
    """Outputs without values to compare: no image has a detection."""
    worst_image: int
    """Index of the image with the largest error."""
    agreement_measure: str | None
    agreement: float | None
    """Share of equal predictions; None for feature maps."""
    detections: int
    """Number of detections on both sides together."""
    unpaired_detections: int | None
    """Detections without a match on the other side; None for other tasks."""
    tolerance: Tolerance | None
    """None: measured only (the budget decides about int8 files)."""

    @property
    def failures(self) -> list[str]:
        """Differences beyond the tolerance, one phrase each."""
        limit, failures = self.tolerance, list[str]()
        if limit is None:
            return failures
        for output in self.outputs:
            if not output.relative_error <= limit.relative_error:
                failures.append(
                    f"{output.name} is off by {output.max_abs_error:.3g}, "
                    f"{output.relative_error:.2g} of its range (limit {limit.relative_error:.0e})"
                )
            if not output.sqnr_db >= limit.sqnr_db:
                failures.append(
                    f"{output.name} has SQNR {output.sqnr_db:.1f} dB (limit {limit.sqnr_db:.0f})"
                )
        if self.agreement is not None and not self.agreement >= limit.agreement:
            failures.append(
                f"{self.agreement_measure} agreement is {self.agreement:.4%} "
                f"(limit {limit.agreement:.1%})"
            )
        if self.unpaired_detections and self.unpaired_detections > limit.unpaired * self.detections:
            failures.append(
                f"{self.unpaired_detections} of {self.detections} detections have no partner "
                f"(limit {limit.unpaired:.0%})"
            )
        return failures

    @property
    def passed(self) -> bool:
        """Whether every difference is within the tolerance."""
        return not self.failures

    def to_dict(self) -> dict[str, Any]:
        """The manifest's entry.

        An infinite SQNR (identical outputs) is None; so are `tolerance` and `passed` without a
        tolerance.
        """
        return {
            "images": self.images,
            "outputs": [
                {
                    "name": o.name,
                    "max_abs_error": o.max_abs_error,
                    "range": o.range,
                    "sqnr_db": o.sqnr_db if math.isfinite(o.sqnr_db) else None,
                }
                for o in self.outputs
            ],
            "not_measured": list(self.not_measured),
            "agreement": {"measure": self.agreement_measure, "value": self.agreement},
            "detections": self.detections,
            "unpaired_detections": self.unpaired_detections,
            "tolerance": asdict(self.tolerance) if self.tolerance else None,
            "passed": self.passed if self.tolerance else None,
        }


class _Accumulator:
    """Accumulates the difference of one output, image by image."""

    def __init__(self, name: str):
        self.name = name
        self.max_error = 0.0
        self.low, self.high = math.inf, -math.inf
        self.ratio = SignalToNoise()
        self.values = 0

    def add(self, actual: NDArray[np.float32], expected: NDArray[np.float32]) -> float:
        """Adds one image; returns its maximum error."""
        if actual.shape != expected.shape:
            raise ValueError(f"{self.name}: shape {actual.shape}, reference {expected.shape}")
        self.values += expected.size
        if not expected.size:
            return 0.0  # an image without detections
        error = max_abs_error(actual, expected)
        self.max_error = max(self.max_error, error)
        self.low = min(self.low, float(expected.min()))
        self.high = max(self.high, float(expected.max()))
        self.ratio.add(actual, expected)
        return error

    def result(self, natural_range: float | None) -> OutputParity:
        span = self.high - self.low if natural_range is None else natural_range
        return OutputParity(self.name, self.max_error, span, self.ratio.db)


def _agreement(spec: ModelSpec, actual: Outputs, expected: Outputs, size: Size) -> _Agreement:
    """Number of equal and of all predictions for one image."""
    if spec.task == "classification":
        same = actual["logits"].argmax(axis=1) == expected["logits"].argmax(axis=1)
    elif spec.task == "semantic":
        same = label_map(actual["logits"], size, size) == label_map(expected["logits"], size, size)
    elif spec.panoptic is not None:
        left, right = (
            panoptic_map(outputs, spec.panoptic, size, size, size) for outputs in (actual, expected)
        )
        return _Agreement(same_segments(left, right) * right.ids.size, right.ids.size)
    else:
        return _Agreement(0, 0)
    return _Agreement(int(same.sum()), same.size)


class _Agreement(NamedTuple):
    same: float
    total: int


_MEASURES: dict[Task, str] = {
    "classification": "top-1",
    "semantic": "pixel label",
    "panoptic": "pixel segment",
}


def compare(
    reference: Session,
    candidate: Session,
    images: Iterable[NDArray[np.float32]],
    spec: ModelSpec,
    tolerance: Tolerance | None,
) -> ParityReport:
    """Runs both sessions on preprocessed images (1, 3, H, W) and measures the difference.

    Detections are matched by class and overlap first; see `export.parity.match_detections`.

    Args:
        reference: computes the expected outputs.
        candidate: computes the outputs to compare.
        images: preprocessed pictures.
        spec: describes the model.
        tolerance: limits for the report; None only measures.

    Raises:
        ValueError: the sessions' outputs differ in name or shape, or there are no images.
    """
    gathered: dict[str, _Accumulator] = {}
    same, total, count = 0.0, 0, 0
    detections, unpaired = 0, 0
    worst, worst_error = 0, -1.0
    for count, image in enumerate(images, start=1):
        expected, actual = reference.run(image), candidate.run(image)
        if list(expected) != list(actual):
            raise ValueError(f"outputs are {list(actual)}, the reference's {list(expected)}")
        agreement = _agreement(spec, actual, expected, (image.shape[2], image.shape[3]))
        same, total = same + agreement.same, total + agreement.total
        if spec.task == "panoptic":
            detections += sum(int((side["scores"] > 0).sum()) for side in (actual, expected))
            actual, expected, unmatched = match_detections(actual, expected)
            unpaired += unmatched
        errors = [
            gathered.setdefault(name, _Accumulator(name)).add(actual[name], value)
            for name, value in expected.items()
        ]
        if max(errors) > worst_error:
            worst, worst_error = count - 1, max(errors)
    if not count:
        raise ValueError("no images to compare on")
    # A handful of detections spans little of what probabilities and positions can be.
    side = float(max(image.shape[2:]))
    natural = {"boxes": side, "scores": 1.0, "masks": 1.0}
    ranges = natural if spec.task == "panoptic" else {}
    return ParityReport(
        images=count,
        outputs=tuple(
            entry.result(ranges.get(name)) for name, entry in gathered.items() if entry.values
        ),
        not_measured=tuple(name for name, entry in gathered.items() if not entry.values),
        worst_image=worst,
        agreement_measure=_MEASURES.get(spec.task),
        agreement=same / total if total else None,
        detections=detections,
        unpaired_detections=unpaired if spec.task == "panoptic" else None,
        tolerance=tolerance,
    )

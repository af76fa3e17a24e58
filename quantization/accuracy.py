"""How much accuracy a quantized model loses, and whether that is within the budget.

With labelled pictures, the budget limits the drop of the task's metric. Without labels, it limits
how far the outputs and predictions may differ from those of the float model.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from export.evaluation.evaluate import evaluate
from export.evaluation.labelled_data import LabelledPictures
from export.evaluation.result import Evaluation
from export.parity.compare import compare
from export.parity.output_sqnr import per_channel_sqnr
from export.plan import ResolvedModel
from export.predict.predictor import SessionPredictor
from export.session import Outputs, RecordedSession, Session
from export.verify.pictures import PACKAGED_PHOTOS
from lvt.models import ModelSpec

MAIN_METRICS = {"classification": "top-1", "semantic": "mIoU", "panoptic": "PQ"}
"""By task: the metric of an `Evaluation` that the budget limits."""

MIN_AGREEMENT = 0.9
"""On pictures that were held out of the calibration: of labels, segments or classes.

Good files keep 99%; random weights, whose classes are nearly ties, keep 93%. With one label in ten
changed it is another model. Ranges taken from black pictures kept 78% on streets; one class
with very large scores kept 18%."""

MIN_PHOTO_AGREEMENT, MIN_PHOTO_SQNR_DB = 0.85, 10.0
"""On the packaged photos, which do not show what the camera will see.

A street model keeps 94% and 19 dB there; one with ranges of black pictures 76% and 2 dB."""

_CONFIDENCE_Z = 1.96
"""Standard deviations of a confidence interval of 95%."""


@dataclass(frozen=True)
class Budget:
    """How much accuracy int8 may cost.

    Attributes:
        points: largest drop of the task's main metric in percent points, with labelled pictures.
        sqnr_db: least SQNR of the outputs, without labelled pictures. `MIN_AGREEMENT` must be met
            as well.
    """

    points: float = 0.5
    sqnr_db: float = 20.0


@dataclass(frozen=True)
class Agreement:
    """How well a quantized model agrees with float on pictures without labels.

    Attributes:
        pictures: description of the pictures.
        count: number of pictures.
        sqnr_db: per-channel SQNR of the worst output.
        least_sqnr_db: least SQNR that is accepted.
        share: share of equal labels, segments or classes; None for a bare backbone.
        least_share: least share that is accepted.
    """

    pictures: str
    count: int
    sqnr_db: float
    least_sqnr_db: float
    share: float | None
    least_share: float

    @property
    def problems(self) -> list[str]:
        """A phrase for each limit that is not met."""
        problems = []
        if not self.sqnr_db >= self.least_sqnr_db:
            problems.append(f"SQNR {self.sqnr_db:.1f} dB (minimum {self.least_sqnr_db:.1f})")
        if self.share is not None and not self.share >= self.least_share:
            problems.append(
                f"{self.share:.1%} agreement with float (minimum {self.least_share:.1%})"
            )
        return [f"{problem} on {self.pictures}" for problem in problems]

    def to_dict(self) -> dict[str, Any]:
        """The entry of the manifest."""
        return {
            "pictures": self.pictures,
            "count": self.count,
            "sqnr_db": None if math.isinf(self.sqnr_db) else round(self.sqnr_db, 2),
            "least_sqnr_db": self.least_sqnr_db,
            "agreement": self.share,
            "least_agreement": round(self.least_share, 4),
        }


@dataclass(frozen=True)
class AccuracyDrop:
    """How much a quantized model loses against float.

    Attributes:
        metric: `mIoU`, `PQ`, `top-1` or `SQNR`.
        float_value: of the float model; None for SQNR.
        value: of the quantized model.
        allowed: least value within the budget.
        agreements: on pictures without labels; empty if the budget is about labelled pictures.
        evaluations: of the float and the quantized model on labelled pictures; None without.
    """

    metric: str
    float_value: float | None
    value: float
    allowed: float
    agreements: tuple[Agreement, ...] = ()
    evaluations: tuple[Evaluation, Evaluation] | None = None

    @property
    def meets_budget(self) -> bool:
        """Whether the drop is within the budget."""
        return self.value >= self.allowed and not any(a.problems for a in self.agreements)

    def __str__(self) -> str:
        if self.float_value is None:
            problems = [problem for agreement in self.agreements for problem in agreement.problems]
            return "; ".join(problems) or f"{self.metric} {self.value:.1f} dB"
        return f"{self.metric} {self.value:.2f} (float {self.float_value:.2f})"


class BudgetCheck(Protocol):
    """Compares sessions of a quantized model with the float model."""

    @property
    def many_pictures(self) -> bool:
        """Whether it may run so many pictures that a software model of a chip takes hours."""
        ...

    def measure(self, session: Session) -> AccuracyDrop:
        """Runs a session over the pictures."""
        ...


class LabelledBudgetCheck:
    """Measures the drop of the task's main metric on labelled pictures."""

    many_pictures = True

    def __init__(
        self,
        model: ResolvedModel,
        pictures: LabelledPictures,
        float_session: Session,
        budget: Budget,
    ):
        self._model, self._pictures, self._budget = model, pictures, budget
        self._float_evaluation = self._evaluate(float_session)

    def measure(self, session: Session) -> AccuracyDrop:
        """Evaluates a session on all pictures."""
        evaluations = self._float_evaluation, self._evaluate(session)
        metric = MAIN_METRICS[self._model.spec.task]
        float_value, value = (evaluation.figures[metric] for evaluation in evaluations)
        minimum = float_value - self._budget.points
        return AccuracyDrop(metric, float_value, value, minimum, evaluations=evaluations)

    def _evaluate(self, session: Session) -> Evaluation:
        """All metrics of a session."""
        model = self._model
        assert model.labels is not None
        predictor = SessionPredictor(
            session, model.spec, model.labels, model.preprocessing, model.size
        )
        return evaluate(predictor, self._pictures)


@dataclass(frozen=True)
class _PictureGroup:
    """Pictures without labels, the float model's outputs, and the limits that hold for them."""

    description: str
    images: Sequence[NDArray[np.float32]]  # (1, 3, H, W) each
    expected: list[Outputs]
    least_sqnr_db: float
    least_share: float


class OutputBudgetCheck:
    """Measures the agreement with float, and the SQNR of the outputs, on pictures without labels.

    Args:
        held_out: pictures that were held out of the calibration, (1, 3, H, W) each.
        photos: the packaged photos, through the same preprocessing.
        float_session: the float model.
        budget: how much int8 may cost.
        spec: of the model.
    """

    many_pictures = False

    def __init__(
        self,
        held_out: Sequence[NDArray[np.float32]],
        photos: Sequence[NDArray[np.float32]],
        float_session: Session,
        budget: Budget,
        spec: ModelSpec,
    ):
        self._budget, self._spec = budget, spec
        self._groups = (
            _PictureGroup(
                "pictures that the ranges did not see",
                held_out,
                [float_session.run(image) for image in held_out],
                budget.sqnr_db,
                MIN_AGREEMENT,
            ),
            _PictureGroup(
                PACKAGED_PHOTOS,
                photos,
                [float_session.run(image) for image in photos],
                min(budget.sqnr_db, MIN_PHOTO_SQNR_DB),
                MIN_PHOTO_AGREEMENT,
            ),
        )

    def measure(self, session: Session) -> AccuracyDrop:
        """Runs a session over both groups of pictures."""
        agreements = tuple(self._agreement(session, group) for group in self._groups)
        sqnr = agreements[0].sqnr_db
        return AccuracyDrop("SQNR", None, sqnr, self._budget.sqnr_db, agreements)

    def _agreement(self, session: Session, group: _PictureGroup) -> Agreement:
        actual = [session.run(image) for image in group.images]
        pairs = list(zip(actual, group.expected, strict=True))
        parity = compare(
            RecordedSession(group.expected),
            RecordedSession(actual),
            group.images,
            self._spec,
            None,  # the limits below apply instead of a tolerance
        )
        count, least_share = len(group.images), group.least_share
        if self._spec.task == "classification":  # one prediction a picture
            least_share = _confidence_limit(least_share, count)
        return Agreement(
            group.description,
            count,
            per_channel_sqnr(pairs, self._spec),
            group.least_sqnr_db,
            parity.agreement,
            least_share,
        )


def _confidence_limit(share: float, count: int) -> float:
    """The least share of `count` predictions that is still consistent with a true share of `share`.

    Few predictions say little: one of eight that differs proves nothing.
    """
    standard_error = math.sqrt(share * (1 - share) / count)
    return max(0.0, share - _CONFIDENCE_Z * standard_error - 0.5 / count)

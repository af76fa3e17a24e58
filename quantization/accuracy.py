"""How much a session loses against the float model: on labelled pictures, or in its outputs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.evaluation.evaluate import evaluate
from export.evaluation.labelled_data import LabelledPictures
from export.evaluation.result import Evaluation
from export.parity.compare import compare
from export.plan import ResolvedModel
from export.predict.predictor import SessionPredictor
from export.session import Outputs, RecordedSession, Session
from lvt.config import Task
from lvt.data.metrics import ChannelNoise, SignalToNoise
from lvt.models import ModelSpec

MAIN_FIGURES = {"classification": "top-1", "semantic": "mIoU", "panoptic": "PQ"}
"""By task, the figure of an `Evaluation` that a budget is about."""


@dataclass(frozen=True)
class Budget:
    """What int8 may cost.

    Attributes:
        points: of the task's main figure, in percent points, where there are labelled pictures.
        sqnr_db: least SQNR of the outputs, where there are none; `LEAST_AGREEMENT` counts too.
    """

    points: float = 0.5
    sqnr_db: float = 20.0


@dataclass(frozen=True)
class Agreement:
    """How a quantized model agrees with float on pictures without labels.

    Attributes:
        pictures: which they are.
        count: how many.
        sqnr_db: of the outputs, each channel by itself (`ChannelNoise`); of the worst output.
        least_sqnr_db: that is accepted.
        share: of equal labels, segments or classes; None for a bare backbone.
        least_share: that is accepted.
    """

    pictures: str
    count: int
    sqnr_db: float
    least_sqnr_db: float
    share: float | None
    least_share: float

    @property
    def problems(self) -> list[str]:
        """What is not accepted, a phrase each."""
        found = []
        if not self.sqnr_db >= self.least_sqnr_db:
            found.append(f"SQNR {self.sqnr_db:.1f} dB (least {self.least_sqnr_db:.1f})")
        if self.share is not None and not self.share >= self.least_share:
            found.append(f"{self.share:.1%} as float (least {self.least_share:.1%})")
        return [f"{phrase} on {self.pictures}" for phrase in found]

    def to_dict(self) -> dict[str, Any]:
        """As it stands in manifests."""
        return {
            "pictures": self.pictures,
            "count": self.count,
            "sqnr_db": None if math.isinf(self.sqnr_db) else round(self.sqnr_db, 2),
            "least_sqnr_db": self.least_sqnr_db,
            "agreement": self.share,
            "least_agreement": round(self.least_share, 4),
        }


@dataclass(frozen=True)
class Loss:
    """What a quantized model loses against float.

    Attributes:
        measure: `mIoU`, `PQ`, `top-1` or `SQNR`.
        float_value: the float model's; None for SQNR.
        value: the quantized model's.
        allowed: least `value` within the budget.
        agreements: on pictures without labels, where there are no others.
    """

    measure: str
    float_value: float | None
    value: float
    allowed: float
    agreements: tuple[Agreement, ...] = ()

    @property
    def within(self) -> bool:
        """Whether the budget is met."""
        return self.value >= self.allowed and not any(a.problems for a in self.agreements)

    def __str__(self) -> str:
        if self.float_value is None:
            problems = [phrase for found in self.agreements for phrase in found.problems]
            return "; ".join(problems) or f"{self.measure} {self.value:.1f} dB"
        return f"{self.measure} {self.value:.2f} (float {self.float_value:.2f})"


class LabelledJudge:
    """Judges by the task's main figure on labelled pictures.

    Attributes:
        float_evaluation: of the float model.
    """

    def __init__(
        self, job: ResolvedModel, samples: LabelledPictures, float_session: Session, budget: Budget
    ):
        self._job, self._samples, self._budget = job, samples, budget
        self.measure = MAIN_FIGURES[job.spec.task]
        self.float_evaluation = self.evaluate(float_session)

    def evaluate(self, session: Session) -> Evaluation:
        """All figures of a session."""
        job = self._job
        assert job.labels is not None
        subject = SessionPredictor(session, job.spec, job.labels, job.preprocessing, job.size)
        return evaluate(subject, self._samples)

    def loss(self, evaluation: Evaluation) -> Loss:
        """What an evaluation says of the budget."""
        expected = self.float_evaluation.figures[self.measure]
        value = evaluation.figures[self.measure]
        return Loss(self.measure, expected, value, expected - self._budget.points)

    def judge(self, session: Session) -> Loss:
        """Runs a session over all pictures."""
        return self.loss(self.evaluate(session))


COMPARABLE: dict[Task, tuple[str, ...]] = {"panoptic": ("semantic",)}
"""Outputs that are compared value by value; all where a task is not named.

Detections are not: one that is won or lost moves all after it.
"""


LEAST_AGREEMENT = 0.9
"""Of labels, segments or classes on pictures that the ranges did not see. Good files keep 99%, also
random weights, whose classes are nearly ties, 93%; one label in ten is another model. Ranges of
black pictures left 78% on streets, a class that drowns the others 18%."""

LEAST_SANITY = 0.85, 10.0
"""Of agreement, and SQNR in dB, on the packaged photos, which are of nothing that the camera will
see: a street model keeps 94% and 19 dB on them, one with ranges of black pictures 76% and 2 dB."""

_CERTAIN = 1.96
"""Standard deviations of the interval within which few answers are believed: 95%."""


class OutputJudge:
    """Judges by agreement with float and by the SQNR of the outputs, on pictures without labels.

    Args:
        unseen: pictures that the ranges did not see, (1, 3, H, W) each.
        sanity: the packaged photos, through the same preprocessing.
        float_session: the float model.
        budget: what int8 may cost.
        spec: of the model.
    """

    def __init__(
        self,
        unseen: Sequence[NDArray[np.float32]],
        sanity: Sequence[NDArray[np.float32]],
        float_session: Session,
        budget: Budget,
        spec: ModelSpec,
    ):
        self._budget, self._spec = budget, spec
        least = budget.sqnr_db
        groups = (
            ("pictures that the ranges did not see", unseen, least, LEAST_AGREEMENT),
            ("the packaged photos", sanity, min(least, LEAST_SANITY[1]), LEAST_SANITY[0]),
        )
        self._groups = [
            (name, images, [float_session.run(image) for image in images], sqnr, share)
            for name, images, sqnr, share in groups
        ]

    def judge(self, session: Session) -> Loss:
        """Runs a session over the pictures."""
        found = []
        for name, images, expected, least_sqnr, least_share in self._groups:
            actual = [session.run(image) for image in images]
            sqnr = min(output_sqnr(list(zip(actual, expected, strict=True)), self._spec).values())
            sessions = RecordedSession(expected), RecordedSession(actual)
            share = compare(*sessions, images, self._spec, None).agreement
            if self._spec.task == "classification":
                least_share = _least_of_few(least_share, len(images))
            found.append(Agreement(name, len(images), sqnr, least_sqnr, share, least_share))
        return Loss("SQNR", None, found[0].sqnr_db, self._budget.sqnr_db, tuple(found))


def _least_of_few(share: float, count: int) -> float:
    """The least share of `count` answers that does not yet show that the true one is below `share`.

    One answer a picture says little: of eight, one that differs is no proof of anything.
    """
    return max(0.0, share - _CERTAIN * math.sqrt(share * (1 - share) / count) - 0.5 / count)


Pairs = list[tuple[Outputs, Outputs]]
"""(found, expected) of each image."""


def output_sqnr(pairs: Pairs, spec: ModelSpec) -> dict[str, float]:
    """dB of each comparable output over all images, each channel by itself."""
    return _sqnr(pairs, spec, ChannelNoise)


def plain_sqnr(pairs: Pairs, spec: ModelSpec) -> dict[str, float]:
    """dB of each comparable output over all images, of all its values together."""
    return _sqnr(pairs, spec, SignalToNoise)


def _sqnr(
    pairs: Pairs, spec: ModelSpec, kind: type[ChannelNoise] | type[SignalToNoise]
) -> dict[str, float]:
    ratios = {name: kind() for name in COMPARABLE.get(spec.task, spec.outputs)}
    for found, expected in pairs:
        for name, ratio in ratios.items():
            ratio.add(found[name], expected[name])
    return {name: ratio.db for name, ratio in ratios.items()}


SECTIONS = ("figures", "per_size", "per_class")
"""Of an evaluation, as the manifest has them."""


def side_by_side(float_model: Evaluation, quantized: Evaluation) -> Mapping[str, Any]:
    """Figures of both, for the manifest: main ones, by size, and each class."""
    return {
        "images": quantized.images,
        "float": _figures(float_model),
        "quantized": _figures(quantized),
    }


def _figures(evaluation: Evaluation) -> dict[str, Any]:
    return {key: value for key, value in evaluation.to_dict().items() if key in SECTIONS}

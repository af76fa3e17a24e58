"""How much a session loses against the float model: on labelled pictures, or in its outputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.evaluation import Evaluation, Samples, SessionSubject, evaluate
from export.request import Job
from export.session import Outputs, Session
from lvt.config import Task
from lvt.metrics import SignalToNoise
from lvt.models import ModelSpec

MAIN_FIGURES = {"classification": "top-1", "semantic": "mIoU", "panoptic": "PQ"}
"""By task, the figure of an `Evaluation` that a budget is about."""


@dataclass(frozen=True)
class Budget:
    """What int8 may cost.

    Attributes:
        points: of the task's main figure, in percent points, where there are labelled pictures.
        sqnr_db: least SQNR of the outputs, where there are none.
    """

    points: float = 0.5
    sqnr_db: float = 20.0


@dataclass(frozen=True)
class Loss:
    """What a quantized model loses against float.

    Attributes:
        measure: `mIoU`, `PQ`, `top-1` or `SQNR`.
        float_value: the float model's; None for SQNR.
        value: the quantized model's.
        allowed: least `value` within the budget.
    """

    measure: str
    float_value: float | None
    value: float
    allowed: float

    @property
    def within(self) -> bool:
        """Whether the budget is met."""
        return self.value >= self.allowed

    def __str__(self) -> str:
        if self.float_value is None:
            return f"{self.measure} {self.value:.1f} dB"
        return f"{self.measure} {self.value:.2f} (float {self.float_value:.2f})"


class LabelledJudge:
    """Judges by the task's main figure on labelled pictures.

    Attributes:
        float_evaluation: of the float model.
    """

    def __init__(self, job: Job, samples: Samples, float_session: Session, budget: Budget):
        self._job, self._samples, self._budget = job, samples, budget
        self.measure = MAIN_FIGURES[job.spec.task]
        self.float_evaluation = self.evaluate(float_session)

    def evaluate(self, session: Session) -> Evaluation:
        """All figures of a session."""
        job = self._job
        assert job.labels is not None
        subject = SessionSubject(session, job.spec, job.labels, job.preprocessing, job.size)
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


class OutputJudge:
    """Judges by the SQNR of the outputs on calibration pictures."""

    def __init__(
        self,
        images: list[NDArray[np.float32]],
        float_session: Session,
        budget: Budget,
        spec: ModelSpec,
    ):
        self._images, self._budget, self._spec = images, budget, spec
        self._expected = [float_session.run(image) for image in images]

    def judge(self, session: Session) -> Loss:
        """Runs a session over the pictures; the worst output counts."""
        pairs = [
            (session.run(image), expected)
            for image, expected in zip(self._images, self._expected, strict=True)
        ]
        worst = min(output_sqnr(pairs, self._spec).values())
        return Loss("SQNR", None, worst, self._budget.sqnr_db)


def output_sqnr(pairs: list[tuple[Outputs, Outputs]], spec: ModelSpec) -> dict[str, float]:
    """dB of each comparable output over all images, from (found, expected) of each image."""
    ratios = {name: SignalToNoise() for name in COMPARABLE.get(spec.task, spec.outputs)}
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

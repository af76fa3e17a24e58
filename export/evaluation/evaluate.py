"""Evaluates a predictor on labelled pictures."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice

from export.evaluation.labelled_data import LabelledPictures
from export.evaluation.metrics import metric_for
from export.evaluation.result import Evaluation
from export.predict.predictor import Predictor
from lvt.support.progress import CountedProgress


def evaluate(
    predictor: Predictor,
    pictures: LabelledPictures,
    *,
    limit: int | None = None,
    progress: CountedProgress = lambda _done, _total: None,
) -> Evaluation:
    """Runs the predictor on the pictures and computes the metrics of its task.

    Args:
        predictor: the model.
        pictures: labelled for its task.
        limit: maximum number of pictures.
        progress: called with the number of pictures done and the total.

    Raises:
        UserError: the labels contain nothing to measure.
    """
    total = min(len(pictures), limit or len(pictures))
    metric = metric_for(predictor)
    for done, sample in enumerate(islice(pictures, total), start=1):
        metric.add(predictor.predict(sample.image), sample)
        progress(done, total)
    result = metric.result(total)
    return replace(result, notes=(*pictures.notes, *result.notes))

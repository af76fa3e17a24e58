"""Task metrics of a model on labelled pictures: reference and artifacts alike."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sized
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from export.answers import Answer, answer
from export.artifact import manifest_path, open_artifact
from export.exporter import ExportRequest, prepare
from export.reference import reference_session
from export.session import Session
from export.targets import load_target
from lvt.datasets import (
    ClassSample,
    CocoPanoptic,
    ImageFolder,
    MaskFolder,
    MaskSample,
    PanopticSample,
)
from lvt.demo import DEMO_SIZE, HELD_OUT_SEEDS
from lvt.demo.scenes import CLASSES, make_scene
from lvt.errors import UserError
from lvt.labels import Labels, imagenet_wordnet_ids
from lvt.metrics import class_iou, confusion_matrix
from lvt.models import ModelSpec
from lvt.panoptic.fusion import PanopticMap
from lvt.panoptic.quality import PanopticQuality, PanopticTruth, TrueSegment
from lvt.preprocessing import Preprocessing, Size, official

Sample = ClassSample | MaskSample | PanopticSample


class Samples(Sized, Iterable[Sample], Protocol):
    """Labelled pictures."""


@dataclass(frozen=True)
class Subject:
    """A model to evaluate."""

    spec: ModelSpec
    labels: Labels
    preprocessing: Preprocessing
    session: Session

    def answer(self, picture: NDArray[np.uint8]) -> Answer:
        """What the model says of a picture (H, W, 3) uint8 RGB."""
        image = self.preprocessing(picture)
        network, original = image.shape[2:], picture.shape[:2]
        outputs = self.session.run(image)
        said = answer(
            self.spec,
            self.preprocessing,
            outputs,
            (network[0], network[1]),
            (original[0], original[1]),
        )
        assert said is not None
        return said


def open_subject(
    path: Path, *, size: Size | None = None, official_transform: bool = False, threads: int = 0
) -> Subject:
    """An artifact in its runtime, or the reference with a checkpoint's weights.

    Args:
        path: artifact (a manifest stands beside it) or checkpoint.
        size: checkpoints only; the input size if the checkpoint has none.
        official_transform: checkpoints only; the official transform instead of the fixed size.
        threads: of an artifact's runtime.

    Raises:
        UserError: neither, or a bare backbone, which answers nothing.
    """
    if manifest_path(path).is_file():
        if size or official_transform:
            raise UserError("--size and --official are for checkpoints; an artifact's are fixed")
        artifact = open_artifact(path)
        session = load_target(artifact.target).open_session(path, threads=threads)
        spec, labels, preprocessing = artifact.spec, artifact.labels, artifact.preprocessing
    else:
        job = prepare(ExportRequest("onnx", checkpoint=path, size=size))
        session = reference_session(job.source.model, job.spec)
        spec, labels, preprocessing = job.spec, job.labels, job.preprocessing
        if official_transform:
            preprocessing = official(spec.task)
    if labels is None:
        raise UserError(f"{path.name} is a bare backbone; there is nothing to evaluate")
    return Subject(spec, labels, preprocessing, session)


class DemoScenes:
    """The first held-out generated scenes, for a model of their classes.

    Raises:
        UserError: the model has other classes.
    """

    def __init__(self, count: int, names: tuple[str, ...]):
        if names != CLASSES:
            raise UserError("--demo-scenes is for the demonstration model's classes")
        self._seeds = HELD_OUT_SEEDS[:count]

    def __len__(self) -> int:
        return len(self._seeds)

    def __iter__(self) -> Iterator[PanopticSample]:
        for seed in self._seeds:
            scene = make_scene(seed, DEMO_SIZE)
            segments = tuple(TrueSegment(s.id, s.category) for s in scene.segments)
            yield PanopticSample(scene.image, PanopticTruth(scene.ids, segments))


def open_data(folder: Path, subject: Subject) -> Samples:
    """The folder as labelled pictures for the subject's task.

    Raises:
        UserError: the folder is not laid out as the task needs it.
    """
    names = subject.labels.names
    if subject.spec.task == "panoptic":
        return CocoPanoptic(folder, names)
    if subject.spec.task == "semantic":
        return MaskFolder(folder, len(names))
    return ImageFolder(folder, names, imagenet_wordnet_ids() if len(names) == 1000 else ())


@dataclass(frozen=True)
class Evaluation:
    """Figures of one evaluation.

    Attributes:
        images: how many pictures they come from.
        figures: name to value, percent.
        per_class: class name to its main figure, percent.
        details: everything, for machines.
    """

    images: int
    figures: dict[str, float]
    per_class: dict[str, float]
    details: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "images": self.images,
            "figures": self.figures,
            "per_class": self.per_class,
            "details": self.details,
        }


class _Tally(Protocol):
    def add(self, said: Any, sample: Any) -> None: ...

    def result(self, images: int) -> Evaluation: ...


class _TopTally:
    def __init__(self, subject: Subject):
        self._hits = {1: 0, 5: 0}

    def add(self, said: Any, sample: ClassSample) -> None:
        for depth in self._hits:
            self._hits[depth] += sample.label in [score.index for score in said[:depth]]

    def result(self, images: int) -> Evaluation:
        figures = {f"top-{depth}": 100 * hits / images for depth, hits in self._hits.items()}
        return Evaluation(images, figures, {}, {})


class _IoUTally:
    def __init__(self, subject: Subject):
        self._names = subject.labels.names
        self._matrix = np.zeros((len(self._names),) * 2, np.int64)

    def add(self, said: Any, sample: MaskSample) -> None:
        self._matrix += confusion_matrix(said, sample.labels, len(self._names))

    def result(self, images: int) -> Evaluation:
        iou = class_iou(self._matrix)
        accuracy = float(np.diag(self._matrix).sum() / max(1, self._matrix.sum()))
        figures = {"mIoU": 100 * float(np.nanmean(iou)), "pixel accuracy": 100 * accuracy}
        per_class = {
            name: 100 * float(value)
            for name, value in zip(self._names, iou, strict=True)
            if not np.isnan(value)
        }
        return Evaluation(images, figures, per_class, {"confusion": self._matrix.tolist()})


class _QualityTally:
    def __init__(self, subject: Subject):
        config = subject.spec.panoptic
        assert config is not None
        self._names = subject.labels.names
        self._quality = PanopticQuality(config.things, config.stuff)

    def add(self, said: PanopticMap, sample: PanopticSample) -> None:
        self._quality.add(said, sample.truth)

    def result(self, images: int) -> Evaluation:
        report = self._quality.report()
        figures = {
            "PQ": 100 * report.all.pq,
            "SQ": 100 * report.all.sq,
            "RQ": 100 * report.all.rq,
            "PQ things": 100 * report.things.pq,
            "PQ stuff": 100 * report.stuff.pq,
        }
        per_class = {self._names[label]: 100 * q.pq for label, q in report.per_class.items()}
        return Evaluation(images, figures, per_class, report.to_dict())


_TALLIES: dict[str, Callable[[Subject], _Tally]] = {
    "classification": _TopTally,
    "semantic": _IoUTally,
    "panoptic": _QualityTally,
}


def evaluate(
    subject: Subject,
    samples: Samples,
    *,
    limit: int | None = None,
    tick: Callable[[int, int], None] = lambda _done, _total: None,
) -> Evaluation:
    """Runs the subject over the samples and gathers its task's figures.

    Args:
        subject: the model.
        samples: of its task.
        limit: stop after so many.
        tick: told how many of how many are done.
    """
    total = min(len(samples), limit or len(samples))
    tally = _TALLIES[subject.spec.task](subject)
    for done, sample in enumerate(islice(samples, total), start=1):
        tally.add(subject.answer(sample.image), sample)
        tick(done, total)
    return tally.result(total)

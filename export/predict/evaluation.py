"""Task metrics of a model on labelled pictures: reference and artifacts alike."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sized
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from export.artifact.reader import open_artifact
from export.plan import ExportRequest, choose_size, load_for_export, source_labels
from export.predict.prediction import Answer, answer
from export.session import Session, TorchSession
from export.targets import load_target
from lvt.config import Size, Task
from lvt.data.datasets.coco_panoptic import CocoPanoptic
from lvt.data.datasets.image_folder import ImageFolder
from lvt.data.datasets.mask_folder import MaskFolder
from lvt.data.datasets.samples import ClassSample, MaskSample, PanopticSample
from lvt.data.labels import Labels, imagenet_wordnet_ids
from lvt.data.metrics import SIZE_BANDS, class_iou, confusion_matrix, mean_iou, regions_found
from lvt.data.preprocessing import Preprocessing, fixed_size, official
from lvt.demo import HELD_OUT_SEEDS
from lvt.demo.dataset import scene_sample
from lvt.demo.scenes import CLASSES
from lvt.errors import UserError
from lvt.models import ModelSpec
from lvt.panoptic.fusion import PanopticMap
from lvt.panoptic.model import LVTPanoptic
from lvt.panoptic.quality import PanopticQuality

Sample = ClassSample | MaskSample | PanopticSample


class Samples(Sized, Iterable[Sample], Protocol):
    """Labelled pictures."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of figures should know of those read so far."""
        ...


class Subject(Protocol):
    """A model to evaluate."""

    @property
    def spec(self) -> ModelSpec:
        """The model."""
        ...

    @property
    def labels(self) -> Labels:
        """Names and colours of its classes."""
        ...

    def answer(self, picture: NDArray[np.uint8]) -> Answer:
        """What the model says of a picture (H, W, 3) uint8 RGB."""
        ...


@dataclass(frozen=True)
class SessionSubject:
    """A fixed-size model in its runtime: an artifact, or one that is not a file yet.

    Attributes:
        notes: what a user of the file has to know.
    """

    session: Session
    spec: ModelSpec
    labels: Labels
    preprocessing: Preprocessing
    size: Size
    notes: tuple[str, ...] = ()

    def answer(self, picture: NDArray[np.uint8]) -> Answer:
        """See `Subject.answer`."""
        original = picture.shape[0], picture.shape[1]
        outputs = self.session.run(self.preprocessing(picture))
        said = answer(self.spec, self.preprocessing, outputs, self.size, original)
        assert said is not None
        return said


@dataclass(frozen=True)
class ReferenceSubject:
    """The reference model itself; a panoptic one with nothing bounded or approximated.

    Attributes:
        notes: what a user of the checkpoint has to know.
    """

    model: nn.Module
    spec: ModelSpec
    labels: Labels
    preprocessing: Preprocessing
    notes: tuple[str, ...] = ()

    def answer(self, picture: NDArray[np.uint8]) -> Answer:
        """See `Subject.answer`."""
        image = self.preprocessing(picture)
        network, original = (image.shape[2], image.shape[3]), (picture.shape[0], picture.shape[1])
        if isinstance(self.model, LVTPanoptic):
            content = self.preprocessing.content_size(original)
            result = self.model.predict(
                torch.from_numpy(image),
                image_size=content,
                original_size=original,
                scale_factor=(content[1] / original[1], content[0] / original[0]),
            )
            return result.panoptic
        outputs = TorchSession(self.model, self.spec).run(image)
        said = answer(self.spec, self.preprocessing, outputs, network, original)
        assert said is not None
        return said


def open_artifact_subject(path: Path, *, threads: int = 0) -> SessionSubject:
    """An artifact for evaluation; 0 threads leaves the choice to the runtime.

    Raises:
        UserError: see `open_artifact`; or a bare backbone, which answers nothing.
    """
    artifact = open_artifact(path)
    if artifact.labels is None:
        raise UserError(f"{path.name} is a bare backbone; there is nothing to evaluate")
    session = load_target(artifact.target).open_session(path, threads=threads)
    preprocessing, size = artifact.preprocessing, artifact.size
    return SessionSubject(
        session, artifact.spec, artifact.labels, preprocessing, size, artifact.notes
    )


def open_reference_subject(
    path: Path,
    *,
    size: Size | None = None,
    names: Path | None = None,
    official_transform: bool = False,
) -> ReferenceSubject:
    """The reference with a checkpoint's weights, for evaluation.

    Args:
        path: a checkpoint, or `demo`.
        size: the input size if the checkpoint has none.
        names: file with the names of the classes, instead of the checkpoint's.
        official_transform: the official transform instead of the fixed size.

    Raises:
        UserError: see `load_for_export`; or a bare backbone, which answers nothing.
    """
    request = ExportRequest("onnx", checkpoint=path, size=size, names=names)
    source = load_for_export(request)
    labels = source_labels(source)
    if labels is None:
        raise UserError(f"{path.name} is a bare backbone; there is nothing to evaluate")
    mean, std = source.meta.mean, source.meta.std
    if official_transform:
        preprocessing = official(source.spec.task, mean, std)
    else:
        preprocessing = fixed_size(source.spec.task, choose_size(request, source), mean, std)
    return ReferenceSubject(source.model, source.spec, labels, preprocessing, source.meta.notes)


class DemoScenes:
    """The first held-out generated scenes, for a model of their classes.

    Raises:
        UserError: the model has other classes.
    """

    def __init__(self, count: int, names: tuple[str, ...]):
        if names != CLASSES:
            raise UserError("--demo-scenes is for the demonstration model's classes")
        self._seeds = HELD_OUT_SEEDS[:count]
        self.notes = ()

    def __len__(self) -> int:
        return len(self._seeds)

    def __iter__(self) -> Iterator[PanopticSample]:
        return map(scene_sample, self._seeds)


@dataclass(frozen=True)
class LabelledData:
    """Where labelled pictures come from: a folder (or COCO's JSON), or so many held-out scenes.

    Attributes:
        folder: of pictures and what is true of them.
        demo_scenes: how many scenes.
        split: the subfolder that is meant, where there are several.

    Raises:
        UserError: both, or neither.
    """

    folder: Path | None = None
    demo_scenes: int | None = None
    split: str | None = None

    def __post_init__(self) -> None:
        if (self.folder is None) == (self.demo_scenes is None):
            raise UserError("give either --data DIR or --demo-scenes N")
        if self.split is not None and self.folder is None:
            raise UserError("--split chooses among the subfolders of --data")

    def open(self, task: Task, names: tuple[str, ...]) -> Samples:
        """The pictures for a task and its classes.

        Raises:
            UserError: the folder is not laid out as the task needs it, or the scenes are of other
                classes.
        """
        if self.folder is None:
            assert self.demo_scenes is not None
            return DemoScenes(self.demo_scenes, names)
        if task == "panoptic":
            return CocoPanoptic(self.folder, names, self.split)
        if task == "semantic":
            return MaskFolder(self.folder, len(names), self.split)
        wordnet_ids = imagenet_wordnet_ids() if len(names) == 1000 else ()
        return ImageFolder(self.folder, names, wordnet_ids, self.split)


@dataclass(frozen=True)
class Evaluation:
    """Figures of one evaluation.

    Attributes:
        images: how many pictures they come from.
        figures: name to value, percent.
        per_class: class name to its main figure, percent.
        per_size: what is small, medium or large in the picture to its main figure, percent.
        details: everything, for machines.
        notes: what a reader should know of the data before believing the figures.
    """

    images: int
    figures: dict[str, float]
    per_class: dict[str, float]
    per_size: dict[str, float]
    details: dict[str, Any]
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "images": self.images,
            "figures": _without_nan(self.figures),
            "per_class": _without_nan(self.per_class),
            "per_size": _without_nan(self.per_size),
            "details": _without_nan(self.details),
            "notes": list(self.notes),
        }


def _without_nan(value: Any) -> Any:
    """NaN, of a mean over no classes, as None: JSON has no NaN."""
    if isinstance(value, dict):
        return {key: _without_nan(entry) for key, entry in value.items()}
    return None if isinstance(value, float) and math.isnan(value) else value


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
        return Evaluation(images, figures, {}, {}, {})


class _IoUTally:
    def __init__(self, subject: Subject):
        self._names = subject.labels.names
        self._matrix = np.zeros((len(self._names),) * 2, np.int64)
        self._regions = {band: np.zeros(2, np.int64) for band in SIZE_BANDS}
        self._shifted = {shift: np.zeros(2, np.int64) for shift in (-1, 1)}
        self._right: dict[int, set[int]] = {-1: set(), 1: set()}

    def add(self, said: Any, sample: MaskSample) -> None:
        self._matrix += confusion_matrix(said, sample.labels, len(self._names))
        for band, counts in regions_found(said, sample.labels, len(self._names)).items():
            self._regions[band] += counts
        for shift, totals in self._shifted.items():
            moved = sample.labels + shift
            valid = (sample.labels >= 0) & (moved >= 0) & (moved < len(self._names))
            right = (moved == said) & valid
            totals += (int(right.sum()), int(valid.sum()))
            self._right[shift] |= set(np.unique(moved[right]).tolist())

    def _suspicion(self, accuracy: float) -> tuple[str, ...]:
        """Whether masks whose values mean the class before or after would fit much better."""
        for shift, (right, total) in self._shifted.items():
            other = right / total if total else 0.0
            several = len(self._right[shift]) >= _SEVERAL  # a constant answer proves nothing
            if several and other > 2 * accuracy + _CHANCE:
                which = "lower" if shift < 0 else "higher"
                return (
                    "the masks look shifted by one: with each value meaning the class one "
                    f"{which}, {other:.1%} of the pixels would be right instead of {accuracy:.1%}; "
                    "masks whose 0 is void belong in annotations/, others in masks/",
                )
        return ()

    def result(self, images: int) -> Evaluation:
        iou = class_iou(self._matrix)
        if not self._matrix.sum():
            raise UserError("nothing to measure: every pixel of the masks is void")
        accuracy = float(np.diag(self._matrix).sum() / self._matrix.sum())
        figures = {"mIoU": 100 * mean_iou(self._matrix), "pixel accuracy": 100 * accuracy}
        per_class = {
            name: 100 * float(value)
            for name, value in zip(self._names, iou, strict=True)
            if not np.isnan(value)
        }
        per_size = {
            f"{band} regions found": 100 * float(found / total)
            for band, (found, total) in self._regions.items()
            if total
        }
        details = {"confusion": self._matrix.tolist()}
        notes = self._suspicion(accuracy)
        return Evaluation(images, figures, per_class, per_size, details, notes)


_SEVERAL = 4
"""Classes that must be right under another mapping to make it likely."""

_CHANCE = 0.1
"""Share of pixels that a wrong mapping of classes may have right."""


class _QualityTally:
    def __init__(self, subject: Subject):
        config = subject.spec.panoptic
        assert config is not None
        self._names = subject.labels.names
        self._quality = PanopticQuality(config.things, config.stuff)
        self._segments = 0

    def add(self, said: PanopticMap, sample: PanopticSample) -> None:
        self._quality.add(said, sample.truth)
        self._segments += sum(not segment.crowd for segment in sample.truth.segments)

    def result(self, images: int) -> Evaluation:
        if not self._segments:
            raise UserError("nothing to measure: the pictures have no segments that count")
        report = self._quality.report()
        figures = {
            "PQ": 100 * report.all.pq,
            "SQ": 100 * report.all.sq,
            "RQ": 100 * report.all.rq,
            "PQ things": 100 * report.things.pq,
            "PQ stuff": 100 * report.stuff.pq,
        }
        per_class = {self._names[label]: 100 * q.pq for label, q in report.per_class.items()}
        per_size = {
            f"PQ {band} things": 100 * quality.pq
            for band, quality in report.things_by_size.items()
            if quality.classes
        }
        return Evaluation(images, figures, per_class, per_size, report.to_dict())


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
    result = tally.result(total)
    return replace(result, notes=(*samples.notes, *result.notes))

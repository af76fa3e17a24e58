"""Labelled pictures for an evaluation: a folder of the user's, or generated scenes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sized
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from lvt.config import Task
from lvt.data.datasets.coco_panoptic import CocoPanoptic
from lvt.data.datasets.image_folder import ImageFolder
from lvt.data.datasets.mask_folder import MaskFolder
from lvt.data.datasets.samples import ClassSample, MaskSample, PanopticSample
from lvt.data.labels import imagenet_wordnet_ids
from lvt.demo import HELD_OUT_SEEDS
from lvt.demo.dataset import scene_sample
from lvt.demo.scenes import CLASSES
from lvt.errors import UserError

LabelledPicture = ClassSample | MaskSample | PanopticSample


class LabelledPictures(Sized, Iterable[LabelledPicture], Protocol):
    """A data set of one task."""

    @property
    def notes(self) -> tuple[str, ...]:
        """Facts about the pictures read so far that affect figures, one line each."""
        ...


class HeldOutScenes:
    """The first generated scenes that no model was trained on, for the demonstration model.

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
    """Where labelled pictures come from: a folder or COCO's JSON file, or generated scenes.

    Attributes:
        folder: pictures with their labels.
        demo_scenes: number of generated scenes.
        split: subfolder to use, if the folder has several.

    Raises:
        UserError: both sources are given, or none.
    """

    folder: str | Path | None = None
    demo_scenes: int | None = None
    split: str | None = None

    def __post_init__(self) -> None:
        if (self.folder is None) == (self.demo_scenes is None):
            raise UserError("give either --data DIR or --demo-scenes N")
        if self.split is not None and self.folder is None:
            raise UserError("--split selects a subfolder of --data; give --data too")

    def open(self, task: Task, names: tuple[str, ...]) -> LabelledPictures:
        """The pictures for a task and its classes.

        Raises:
            UserError: the folder does not have the layout of the task, or the scenes have other
                classes.
        """
        if self.folder is None:
            assert self.demo_scenes is not None
            return HeldOutScenes(self.demo_scenes, names)
        folder = Path(self.folder)
        if task == "panoptic":
            return CocoPanoptic(folder, names, self.split)
        if task == "semantic":
            return MaskFolder(folder, len(names), self.split)
        wordnet_ids = imagenet_wordnet_ids() if len(names) == 1000 else ()
        return ImageFolder(folder, names, wordnet_ids, self.split)

"""Where examples come from: scenes drawn on the fly, or a folder in COCO's panoptic format.

A source maps an index to an example. Which indices a step takes depends on the seed and the step
alone, so that a run can stop and go on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Protocol

import numpy as np

from lvt.data.datasets.coco_panoptic import CocoPanoptic
from lvt.data.resize import resize_uint8
from lvt.demo import DEMO_SIZE, TRAINING_SEEDS
from lvt.demo.dataset import scene_sample
from lvt.panoptic.quality import PanopticTruth
from lvt.training.batch import Example, crop, flip


class LoadedModel(Protocol):
    """Examples by index, always the same for the same index."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Example: ...


@dataclass(frozen=True)
class DemoScenes:
    """Procedural street scenes.

    Attributes:
        seeds: one a scene.
        size: (height, width).
    """

    seeds: Sequence[int] = TRAINING_SEEDS
    size: tuple[int, int] = DEMO_SIZE

    def __len__(self) -> int:
        return len(self.seeds)

    def __getitem__(self, index: int) -> Example:
        sample = scene_sample(self.seeds[index], self.size)
        return Example(sample.image, sample.truth)


class CocoFolder:
    """A folder in COCO's panoptic format, with its own categories, things first.

    Args:
        folder: see `lvt.data.datasets.CocoPanoptic`.
        size: (height, width) that pictures are shrunk or enlarged to fit in, keeping their ratio.

    Raises:
        UserError: a part is missing or not understood.
    """

    def __init__(self, folder: Path, size: tuple[int, int]):
        self.size = size
        self._data = CocoPanoptic(folder)
        self.names = self._data.names
        self.palette = self._data.palette
        self.things = self._data.things
        self.stuff = len(self.names) - self.things

    def __len__(self) -> int:
        return len(self._data)

    def __getitem__(self, index: int) -> Example:
        sample = self._data[index]
        image, ids = sample.image, sample.truth.ids
        factor = min(self.size[0] / image.shape[0], self.size[1] / image.shape[1])
        height, width = (max(1, int(side * factor + 0.5)) for side in image.shape[:2])
        rows = ((np.arange(height) + 0.5) * ids.shape[0] / height).astype(np.int64)
        columns = ((np.arange(width) + 0.5) * ids.shape[1] / width).astype(np.int64)
        return Example(
            resize_uint8(image, (height, width), "opencv_bilinear"),
            PanopticTruth(ids[np.ix_(rows, columns)], sample.truth.segments),
        )


def draw(
    source: LoadedModel, step: int, *, seed: int, count: int, size: tuple[int, int]
) -> list[Example]:
    """The examples of one step: a random choice, each mirrored or not, cropped to `size`."""
    rng = np.random.default_rng((seed, step))
    examples = []
    for index in rng.integers(len(source), size=count).tolist():
        example = source[index]
        if rng.random() < 0.5:
            example = flip(example)
        examples.append(crop(example, size, rng))
    return examples


@contextmanager
def drawn_here(
    source: LoadedModel,
    steps: range,
    size: Callable[[int], tuple[int, int]],
    *,
    seed: int,
    count: int,
) -> Iterator[Iterator[list[Example]]]:
    """As `drawn_ahead`, but in this process, when they are asked for."""
    yield (draw(source, step, seed=seed, count=count, size=size(step)) for step in steps)


_worker_source: list[LoadedModel] = []
"""In the worker: the one source, sent when it starts instead of with every step."""


def _keep(source: LoadedModel) -> None:
    _worker_source.append(source)


def _draw_kept(step: int, *, seed: int, count: int, size: tuple[int, int]) -> list[Example]:
    return draw(_worker_source[0], step, seed=seed, count=count, size=size)


_AHEAD = 6
"""Steps that the worker may be ahead of the training."""


@contextmanager
def drawn_ahead(
    source: LoadedModel,
    steps: range,
    size: Callable[[int], tuple[int, int]],
    *,
    seed: int,
    count: int,
) -> Iterator[Iterator[list[Example]]]:
    """The examples of `steps`, drawn by one worker process ahead of time.

    Args:
        source: of examples.
        steps: consecutive.
        size: of the crops, by step.
        seed: of the choice.
        count: examples a step.
    """
    start = get_context("spawn")
    with ProcessPoolExecutor(1, start, initializer=_keep, initargs=(source,)) as pool:

        def examples() -> Iterator[list[Example]]:
            waiting: list[Future[list[Example]]] = []
            for step in steps:
                for later in range(step + len(waiting), min(step + _AHEAD, steps.stop)):
                    waiting.append(
                        pool.submit(_draw_kept, later, seed=seed, count=count, size=size(later))
                    )
                yield waiting.pop(0).result()

        try:
            yield examples()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

"""Where examples come from: scenes drawn on the fly, or a folder in COCO's panoptic format.

A source maps an index to an example. Which indices a step takes depends on the seed and the step
alone, so that a run can stop and go on.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from lvt.demo import DEMO_SIZE, TRAINING_SEEDS
from lvt.demo.scenes import make_scene
from lvt.errors import UserError
from lvt.labels import Colour
from lvt.panoptic.quality import PanopticTruth, TrueSegment
from lvt.preprocessing import read_image
from lvt.resize import resize_uint8
from lvt.training.batch import Example, crop, flip


class Source(Protocol):
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
        scene = make_scene(self.seeds[index], self.size)
        segments = tuple(TrueSegment(segment.id, segment.category) for segment in scene.segments)
        return Example(scene.image, PanopticTruth(scene.ids, segments))


@dataclass(frozen=True)
class _Picture:
    image: Path
    panoptic: Path
    segments: tuple[TrueSegment, ...]


class CocoFolder:
    """A folder with `images/`, `panoptic/` (PNGs) and `panoptic.json`, in COCO's format.

    Labels follow the order of `categories` in the JSON, things first.

    Args:
        folder: of the three.
        size: (height, width) that pictures are shrunk or enlarged to fit in, keeping their ratio.

    Raises:
        UserError: a part is missing or not understood.
    """

    def __init__(self, folder: Path, size: tuple[int, int]):
        self.size = size
        data = _read_json(folder / "panoptic.json")
        try:
            categories = sorted(data["categories"], key=lambda c: not c["isthing"])
            self.names = tuple(str(c["name"]).strip() for c in categories)
            self.palette: tuple[Colour, ...] | None = None
            if all("color" in c for c in categories):
                self.palette = tuple(
                    (c["color"][0], c["color"][1], c["color"][2]) for c in categories
                )
            self.things = sum(bool(c["isthing"]) for c in categories)
            self.stuff = len(categories) - self.things
            label_of = {c["id"]: label for label, c in enumerate(categories)}
            images = {image["id"]: image["file_name"] for image in data["images"]}
            self._pictures = [
                _Picture(
                    folder / "images" / images[entry["image_id"]],
                    folder / "panoptic" / entry["file_name"],
                    tuple(
                        TrueSegment(s["id"], label_of[s["category_id"]], bool(s.get("iscrowd")))
                        for s in entry["segments_info"]
                    ),
                )
                for entry in data["annotations"]
            ]
        except (KeyError, TypeError, IndexError) as error:
            raise UserError(
                f"{folder / 'panoptic.json'} is not a COCO panoptic file: {error!r}"
            ) from error
        if not self._pictures:
            raise UserError(f"{folder / 'panoptic.json'} lists no annotated picture")

    def __len__(self) -> int:
        return len(self._pictures)

    def __getitem__(self, index: int) -> Example:
        picture = self._pictures[index]
        image = read_image(picture.image)
        coded = read_image(picture.panoptic).astype(np.int64)
        ids = coded[..., 0] + 256 * coded[..., 1] + 65536 * coded[..., 2]
        if ids.shape != image.shape[:2]:
            raise UserError(f"{picture.panoptic} and {picture.image} differ in size")
        factor = min(self.size[0] / image.shape[0], self.size[1] / image.shape[1])
        height, width = (max(1, int(side * factor + 0.5)) for side in image.shape[:2])
        rows = ((np.arange(height) + 0.5) * ids.shape[0] / height).astype(np.int64)
        columns = ((np.arange(width) + 0.5) * ids.shape[1] / width).astype(np.int64)
        return Example(
            resize_uint8(image, (height, width), "opencv_bilinear"),
            PanopticTruth(ids[np.ix_(rows, columns)], picture.segments),
        )


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(
            f"no {path}: a data folder holds images/, panoptic/ and panoptic.json"
        ) from None
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read {path}: {error}") from error


def draw(
    source: Source, step: int, *, seed: int, count: int, size: tuple[int, int]
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
    source: Source,
    steps: range,
    size: Callable[[int], tuple[int, int]],
    *,
    seed: int,
    count: int,
) -> Iterator[Iterator[list[Example]]]:
    """As `drawn_ahead`, but in this process, when they are asked for."""
    yield (draw(source, step, seed=seed, count=count, size=size(step)) for step in steps)


_worker_source: list[Source] = []
"""In the worker: the one source, sent when it starts instead of with every step."""


def _keep(source: Source) -> None:
    _worker_source.append(source)


def _draw_kept(step: int, *, seed: int, count: int, size: tuple[int, int]) -> list[Example]:
    return draw(_worker_source[0], step, seed=seed, count=count, size=size)


_AHEAD = 6
"""Steps that the worker may be ahead of the training."""


@contextmanager
def drawn_ahead(
    source: Source,
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

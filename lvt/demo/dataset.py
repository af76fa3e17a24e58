"""Generated scenes as a data set for panoptic segmentation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lvt.config import Size
from lvt.data.datasets.samples import PanopticSample
from lvt.demo import DEMO_SIZE, TRAINING_SEEDS
from lvt.demo.scenes import make_scene
from lvt.panoptic.quality import PanopticTruth, TrueSegment


def scene_sample(seed: int, size: Size = DEMO_SIZE) -> PanopticSample:
    """The generated scene of a seed, of `size` (height, width), with its segments."""
    scene = make_scene(seed, size)
    segments = tuple(TrueSegment(segment.id, segment.category) for segment in scene.segments)
    return PanopticSample(scene.image, PanopticTruth(scene.ids, segments))


@dataclass(frozen=True)
class DemoScenes:
    """The scenes of several seeds.

    Attributes:
        seeds: one for each scene.
        size: (height, width) of the scenes.
    """

    seeds: Sequence[int] = TRAINING_SEEDS
    size: Size = DEMO_SIZE

    def __len__(self) -> int:
        return len(self.seeds)

    def __getitem__(self, index: int) -> PanopticSample:
        return scene_sample(self.seeds[index], self.size)

    def __iter__(self) -> Iterator[PanopticSample]:
        return (self[index] for index in range(len(self)))

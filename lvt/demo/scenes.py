"""Generates street and landscape scenes with exact panoptic ground truth from integer seeds.

With them, the demo model can be trained and evaluated without a download of a data set.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from lvt.demo import people_and_props as figures
from lvt.demo import vehicles
from lvt.demo.canvas import SUPERSAMPLE, Canvas, Pen, Spot
from lvt.demo.layouts import LAYOUTS
from lvt.demo.palette import CLASSES, PALETTE, STUFF_CLASSES, THING_CLASSES
from lvt.demo.placement_zones import Backdrop
from lvt.demo.postprocess import finish, majority

__all__ = [
    "CLASSES",
    "PALETTE",
    "STUFF_CLASSES",
    "THING_CLASSES",
    "Scene",
    "Segment",
    "make_scene",
    "write_coco_panoptic",
]

MIN_SIZE = (128, 160)
"""Smallest height and width of a scene."""
_MIN_THINGS, _MAX_THINGS = 3, 12
_MIN_AREA = 64
"""Smallest visible area of a thing, in pixels at 256 x 320; it scales with the picture."""
_MIN_EXTENT = 15.0
"""Smallest width or height of a thing, in pixels at 256 x 320; it scales with the picture."""
_FIRST_THING = 32
"""Canvas label of the first thing; the labels of stuff are smaller."""

_Drawer = Callable[[Pen, np.random.Generator, str], None]
"""Draws a thing with a pen, random looks and a pose."""
_THINGS: dict[str, tuple[_Drawer, float, float]] = {
    "person": (figures.person, 0.8, 1.8),
    "bicycle": (vehicles.bicycle, 1.9, 1.1),
    "car": (vehicles.car, 4.4, 1.5),
    "bus": (vehicles.bus, 8.9, 3.1),
    "boat": (vehicles.boat, 4.9, 1.4),
    "traffic light": (figures.traffic_light, 0.8, 3.8),
    "street lamp": (figures.street_lamp, 0.9, 4.7),
    "bench": (figures.bench, 2.1, 1.1),
    "bird": (figures.bird, 1.2, 0.8),
    "dog": (figures.dog, 1.7, 1.1),
    "tree": (figures.tree, 4.0, 5.6),
    "balloon": (vehicles.balloon, 8.0, 11.2),
}
"""Drawer, width (m) and height (m) of each class; cars and buses from the side."""
_END_WIDTH = {"car": 1.9, "bus": 2.5}
"""Width (m) of vehicles from the front or rear."""


@dataclass(frozen=True)
class Segment:
    """A segment of a scene.

    Attributes:
        id: unique in the scene, from 1 on.
        category: index into CLASSES.
        is_thing: whether the class is a thing class.
        area: number of pixels.
        bbox: x, y, width and height in pixels.
    """

    id: int
    category: int
    is_thing: bool
    area: int
    bbox: tuple[int, int, int, int]


@dataclass(frozen=True)
class Scene:
    """A picture and its panoptic ground truth.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        ids: (H, W) int32, segment id of each pixel; there is no void.
        segments: ordered by id.
    """

    image: np.ndarray
    ids: np.ndarray
    segments: tuple[Segment, ...]


@dataclass(frozen=True)
class _Placed:
    """A thing with its position; `seed` determines its looks."""

    category: str
    pose: str
    spot: Spot
    facing: int
    seed: int

    @property
    def width(self) -> float:
        metres = _THINGS[self.category][1]
        if self.pose in ("front", "rear"):
            metres = _END_WIDTH[self.category]
        return metres * self.spot.scale

    @property
    def height(self) -> float:
        return _THINGS[self.category][2] * self.spot.scale


def _crowds(new: _Placed, old: _Placed) -> bool:
    """Whether one of two things would hide much of the other."""
    overlap_x = (new.width + old.width) / 2 - abs(new.spot.x - old.spot.x)
    top = max(new.spot.y - new.height, old.spot.y - old.height)
    overlap_y = min(new.spot.y, old.spot.y) - top
    if overlap_x <= 0 or overlap_y <= 0:
        return False
    smaller = min(new.width * new.height, old.width * old.height)
    return overlap_x * overlap_y > 0.4 * smaller


def _populate(backdrop: Backdrop, rng: np.random.Generator) -> list[_Placed]:
    """Random things in the zones of a backdrop, far ones first, without tiny or hidden ones."""
    placed: list[_Placed] = []
    unit, columns = backdrop.canvas.view.unit, backdrop.canvas.view.width
    for index in rng.permutation(len(backdrop.zones)):
        zone = backdrop.zones[int(index)]
        for _ in range(int(rng.integers(zone.low, zone.high + 1))):
            for _attempt in range(6):
                spot = zone.where(rng)
                scale = spot.scale * zone.size * float(rng.uniform(0.9, 1.1))
                new = _Placed(
                    zone.category,
                    zone.pose,
                    replace(spot, scale=scale),
                    -1 if rng.random() < 0.5 else 1,
                    int(rng.integers(2**31)),
                )
                # A thing whose foot is outside the picture could not be recognised.
                inside = 0.02 * columns < spot.x < 0.98 * columns
                visible = inside and max(new.width, new.height) >= _MIN_EXTENT * unit
                if visible and not any(_crowds(new, old) for old in placed):
                    placed.append(new)
                    break
    return sorted(placed[:_MAX_THINGS], key=lambda thing: -thing.spot.depth)


def _draw(canvas: Canvas, things: list[_Placed]) -> None:
    """Draws the things in their order; the i-th has the label _FIRST_THING + i."""
    for i, thing in enumerate(things):
        canvas.label = _FIRST_THING + i
        canvas.set_depth(thing.spot.depth)
        drawer = _THINGS[thing.category][0]
        pen = Pen(canvas, thing.spot, thing.facing)
        drawer(pen, np.random.default_rng(thing.seed), thing.pose)


def _compose(backdrop: Backdrop, things: list[_Placed]) -> tuple[Canvas, np.ndarray, list[_Placed]]:
    """Draws the things that remain visible; returns canvas, labels (H, W) uint8 and things."""
    canvas = backdrop.canvas.copy()
    _draw(canvas, things)
    labels = majority(canvas.labels)
    min_area = _MIN_AREA * labels.size / (256 * 320)
    areas = np.bincount(labels.ravel(), minlength=256)
    kept = [t for i, t in enumerate(things) if areas[_FIRST_THING + i] >= min_area]
    if len(kept) == len(things):
        return canvas, labels, kept
    # Without the removed things, the others only become more visible: one more round is enough.
    canvas = backdrop.canvas.copy()
    _draw(canvas, kept)
    return canvas, majority(canvas.labels), kept


def _segments(labels: np.ndarray, things: list[_Placed]) -> tuple[np.ndarray, tuple[Segment, ...]]:
    """Segment ids (H, W) int32, from 1 on, and the segments, from canvas labels."""
    areas = np.bincount(labels.ravel(), minlength=256)
    used = np.flatnonzero(areas)
    lookup = np.zeros(256, dtype=np.int32)
    lookup[used] = np.arange(1, len(used) + 1)
    ids: np.ndarray = lookup[labels]
    segments = []
    for number, label in enumerate(used.tolist(), start=1):
        mask = labels == label
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        x, y = int(columns[0]), int(rows[0])
        box = (x, y, int(columns[-1]) - x + 1, int(rows[-1]) - y + 1)
        is_thing = label >= _FIRST_THING
        name = things[label - _FIRST_THING].category if is_thing else STUFF_CLASSES[label - 1]
        category = CLASSES.index(name)
        segments.append(Segment(number, category, is_thing, int(areas[label]), box))
    return ids, tuple(segments)


def make_scene(seed: int, size: tuple[int, int] = (256, 320)) -> Scene:
    """The scene of a seed; the same arguments give the same bytes.

    A scene has 3 to 12 things. Each has at least 64 visible pixels at 256 x 320, in proportion at
    other sizes.

    Args:
        seed: seed of the scene.
        size: (height, width), at least 128 x 160.

    Raises:
        ValueError: the size is too small.
    """
    if size[0] < MIN_SIZE[0] or size[1] < MIN_SIZE[1]:
        raise ValueError(f"size {size} is smaller than {MIN_SIZE}")
    rng = np.random.default_rng(seed)
    shape = (size[0] * SUPERSAMPLE, size[1] * SUPERSAMPLE)
    while True:
        backdrop = LAYOUTS[int(rng.integers(len(LAYOUTS)))](rng, shape)
        canvas, labels, things = _compose(backdrop, _populate(backdrop, rng))
        if len(things) >= _MIN_THINGS:
            break
    image = finish(canvas, labels, majority(backdrop.canvas.labels), rng)
    ids, segments = _segments(labels, things)
    return Scene(image, ids, segments)


def write_coco_panoptic(
    folder: Path, seeds: Iterable[int], size: tuple[int, int] = (256, 320)
) -> None:
    """Writes scenes to a folder as a data set in COCO's panoptic format.

    Writes `images/SEED.png`, `panoptic/SEED.png` (id = R + 256 G + 65536 B) and `panoptic.json`.
    Category ids are indices into CLASSES; image ids are the seeds.
    """
    for name in ("images", "panoptic"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    images: list[dict[str, object]] = []
    annotations: list[dict[str, object]] = []
    for seed in seeds:
        scene = make_scene(seed, size)
        name = f"{seed:012d}.png"
        Image.fromarray(scene.image).save(folder / "images" / name)
        coded = np.stack([scene.ids & 255, scene.ids >> 8 & 255, scene.ids >> 16], axis=-1)
        Image.fromarray(coded.astype(np.uint8)).save(folder / "panoptic" / name)
        images.append({"id": seed, "file_name": name, "height": size[0], "width": size[1]})
        annotations.append(
            {
                "image_id": seed,
                "file_name": name,
                "segments_info": [
                    {
                        "id": s.id,
                        "category_id": s.category,
                        "area": s.area,
                        "bbox": list(s.bbox),
                        "iscrowd": 0,
                    }
                    for s in scene.segments
                ],
            }
        )
    categories = [
        {"id": i, "name": name, "isthing": int(i < len(THING_CLASSES)), "color": list(PALETTE[i])}
        for i, name in enumerate(CLASSES)
    ]
    document = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "panoptic.json").write_text(json.dumps(document), encoding="utf-8")

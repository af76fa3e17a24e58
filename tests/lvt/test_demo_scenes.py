"""The demo scenes: deterministic pictures whose panoptic truth is exact."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lvt.demo import scenes
from lvt.demo.scenes import (
    CLASSES,
    PALETTE,
    STUFF_CLASSES,
    THING_CLASSES,
    Scene,
    make_scene,
    write_coco_panoptic,
)

SIZES = [(128, 160), (129, 161), (256, 320), (200, 333), (320, 256)]


@pytest.fixture(scope="module")
def many() -> list[Scene]:
    return [make_scene(seed) for seed in range(60)]


def test_one_colour_per_class() -> None:
    """Prevents two classes that look the same in an overlay, or a class without a colour."""
    assert len(set(PALETTE)) == len(PALETTE) == len(CLASSES) == len(set(CLASSES))
    assert CLASSES == THING_CLASSES + STUFF_CLASSES


def test_same_seed_gives_same_bytes() -> None:
    """Prevents hidden state: other scenes in between must not matter."""
    first = make_scene(7)
    make_scene(8, (128, 160))
    second = make_scene(7)
    assert first.image.tobytes() == second.image.tobytes()
    assert first.ids.tobytes() == second.ids.tobytes()
    assert first.segments == second.segments


def test_different_seeds_give_different_pictures(many: list[Scene]) -> None:
    """Prevents a seed that is ignored."""
    assert len({scene.image.tobytes() for scene in many}) == len(many)
    assert len({scene.ids.tobytes() for scene in many}) == len(many)


@pytest.mark.parametrize("size", SIZES)
def test_layout_at_any_size(size: tuple[int, int]) -> None:
    """Prevents rounding of odd sizes and wrong dtypes."""
    for seed in range(6):
        scene = make_scene(seed, size)
        assert scene.image.shape == (*size, 3)
        assert scene.image.dtype == np.uint8
        assert scene.ids.shape == size
        assert scene.ids.dtype == np.int32


def test_too_small_a_size_is_refused() -> None:
    """Prevents pictures whose things would be specks."""
    with pytest.raises(ValueError, match="smaller"):
        make_scene(0, (127, 160))


def test_segments_cover_every_pixel(many: list[Scene]) -> None:
    """Prevents void pixels and segments without pixels."""
    for scene in many:
        assert [s.id for s in scene.segments] == np.unique(scene.ids).tolist()
        assert scene.segments[0].id == 1
        assert sum(s.area for s in scene.segments) == scene.ids.size


def test_areas_and_boxes_are_exact(many: list[Scene]) -> None:
    """Prevents measures taken before occlusion or off by one."""
    for scene in many[:20]:
        for segment in scene.segments:
            mask = scene.ids == segment.id
            assert segment.area == int(mask.sum())
            rows, columns = np.nonzero(mask)
            x, y, width, height = segment.bbox
            assert (x, y) == (columns.min(), rows.min())
            assert (x + width - 1, y + height - 1) == (columns.max(), rows.max())


def test_stuff_has_one_segment_per_class(many: list[Scene]) -> None:
    """Prevents split stuff and a thing flag that contradicts the category."""
    for scene in many:
        stuff = [s.category for s in scene.segments if not s.is_thing]
        assert len(set(stuff)) == len(stuff)
        assert all(s.is_thing == (s.category < len(THING_CLASSES)) for s in scene.segments)


@pytest.mark.parametrize("size", [(128, 160), (256, 320), (320, 256)])
def test_things_are_few_and_visible(size: tuple[int, int]) -> None:
    """Prevents empty or crowded scenes and slivers no network could find."""
    for seed in range(60, 75):
        scene = make_scene(seed, size)
        things = [s for s in scene.segments if s.is_thing]
        assert 3 <= len(things) <= 12
        assert min(s.area for s in things) >= 60 * scene.ids.size / (256 * 320)


def test_every_class_appears(many: list[Scene]) -> None:
    """Prevents classes that a data set would name and never show."""
    seen = Counter(c for scene in many for c in {s.category for s in scene.segments})
    rare = {CLASSES[i]: seen[i] for i in range(len(CLASSES)) if seen[i] < 4}
    assert not rare


def test_picture_changes_exactly_where_things_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prevents masks of things that are not in the picture, and things without a mask.

    The last thing drawn is left out; away from both its mask and the soft effects around it
    (shadow, reflection, glow: far fewer pixels change strongly) the picture stays.
    """
    whole = scenes._populate
    compared = 0
    for seed in range(12):
        full = make_scene(seed)
        monkeypatch.setattr(scenes, "_populate", lambda b, r: whole(b, r)[:-1])
        less = make_scene(seed)
        monkeypatch.setattr(scenes, "_populate", whole)
        things = [s for s in full.segments if s.is_thing]
        if len([s for s in less.segments if s.is_thing]) != len(things) - 1:
            continue
        compared += 1
        mask = full.ids == things[-1].id
        change = np.abs(full.image.astype(int) - less.image.astype(int)).max(axis=2)
        assert (change[mask] > 8).mean() > 0.75
        assert (change[~mask] > 40).mean() < 0.01
    assert compared >= 6


def test_label_borders_lie_on_picture_edges() -> None:
    """Prevents a shift between picture and labels: edges must coincide, not lie beside it."""
    shifts = [(0, 0), (0, 3), (0, -3), (3, 0), (-3, 0)]
    score = dict.fromkeys(shifts, 0.0)
    for seed in range(12):
        scene = make_scene(seed)
        grey = scene.image.astype(float).mean(axis=2)
        slope = np.hypot(*np.gradient(grey))
        edge = np.zeros(scene.ids.shape, dtype=bool)
        edge[:, 1:] |= scene.ids[:, 1:] != scene.ids[:, :-1]
        edge[1:] |= scene.ids[1:] != scene.ids[:-1]
        for shift in shifts:
            score[shift] += float(slope[np.roll(edge, shift, (0, 1))].mean())
    assert all(score[0, 0] > 1.4 * score[s] for s in shifts[1:])


def test_coco_files_hold_the_scenes(tmp_path: Path) -> None:
    """Prevents lossy files and ids that decode to something else."""
    seeds, size = [3, 11], (128, 160)
    write_coco_panoptic(tmp_path, iter(seeds), size)
    document = json.loads((tmp_path / "panoptic.json").read_text(encoding="utf-8"))
    assert [c["name"] for c in document["categories"]] == list(CLASSES)
    assert sum(c["isthing"] for c in document["categories"]) == len(THING_CLASSES)
    assert [tuple(c["color"]) for c in document["categories"]] == list(PALETTE)
    assert [i["id"] for i in document["images"]] == seeds
    for entry, image in zip(document["annotations"], document["images"], strict=True):
        scene = make_scene(entry["image_id"], size)
        assert (image["height"], image["width"]) == size
        picture = np.asarray(Image.open(tmp_path / "images" / image["file_name"]))
        assert np.array_equal(picture, scene.image)
        coded = np.asarray(Image.open(tmp_path / "panoptic" / entry["file_name"])).astype(np.int64)
        assert np.array_equal(coded @ [1, 256, 65536], scene.ids)
        written = [(s["id"], s["category_id"], s["area"], tuple(s["bbox"]))
                   for s in entry["segments_info"]]  # fmt: skip
        assert written == [(s.id, s.category, s.area, s.bbox) for s in scene.segments]

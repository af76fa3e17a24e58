"""Pictures with the truth about them, in the folder layouts that people have.

Knows files and label conventions; nothing of models.
"""

from __future__ import annotations

import glob
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lvt.checks import parse_json, whole_number
from lvt.demo import DEMO_SIZE
from lvt.demo.scenes import make_scene
from lvt.errors import UserError
from lvt.images import PictureError, opened
from lvt.labels import Colour
from lvt.panoptic.quality import PanopticTruth, TrueSegment
from lvt.preprocessing import IMAGE_SUFFIXES, Size, list_images, read_image


@dataclass(frozen=True)
class ClassSample:
    """A picture (H, W, 3) uint8 RGB and the index of its class."""

    image: NDArray[np.uint8]
    label: int


@dataclass(frozen=True)
class MaskSample:
    """A picture and its labels (H, W); -1 is void."""

    image: NDArray[np.uint8]
    labels: NDArray[np.int64]


@dataclass(frozen=True)
class PanopticSample:
    """A picture and its segments."""

    image: NDArray[np.uint8]
    truth: PanopticTruth


def scene_sample(seed: int, size: Size = DEMO_SIZE) -> PanopticSample:
    """A generated scene of the demonstration, of `size` (height, width), with its truth."""
    scene = make_scene(seed, size)
    segments = tuple(TrueSegment(segment.id, segment.category) for segment in scene.segments)
    return PanopticSample(scene.image, PanopticTruth(scene.ids, segments))


class ImageFolder:
    """One folder a class, named by WordNet id, class name or, if all are there, in label order.

    Raises:
        UserError: no class folders, or names that are none of the model's.
    """

    def __init__(self, folder: Path, names: Sequence[str], wordnet_ids: Sequence[str] = ()):
        folders = sorted(p for p in _existing(folder).iterdir() if p.is_dir())
        if not folders:
            raise UserError(f"{folder} has no class folders (one folder of pictures a class)")
        index = {name.lower(): i for i, name in reversed(list(enumerate(names)))}
        index |= {wordnet_id: i for i, wordnet_id in enumerate(wordnet_ids)}
        unknown = [p.name for p in folders if p.name.lower() not in index]
        if len(unknown) == len(folders) == len(names):
            index = {p.name.lower(): i for i, p in enumerate(folders)}
        elif unknown:
            raise UserError(f"{folder}: {unknown[0]} is no class of the model")
        self._files = [(path, index[p.name.lower()]) for p in folders for path in list_images(p)]

    def __len__(self) -> int:
        return len(self._files)

    def __iter__(self) -> Iterator[ClassSample]:
        for path, label in self._files:
            yield ClassSample(read_image(path), label)


class MaskFolder:
    """Pictures in `images`, index masks of the same name (.png) beside them.

    In `masks` (CamVid-style) a value is a class and others are void; in `annotations`
    (ADE20K-style) 0 is void and classes count from 1. Subfolders such as `validation` are taken
    where they are the only content.

    Raises:
        UserError: a folder or a mask is missing.
    """

    def __init__(self, folder: Path, classes: int):
        self._classes = classes
        images = _descend(_existing(folder) / "images")
        styles = [name for name in ("masks", "annotations") if (folder / name).is_dir()]
        if not images.is_dir() or not styles:
            raise UserError(f"{folder} must hold images/ and masks/ (or annotations/, ADE20K)")
        self._first = 1 if styles[0] == "annotations" else 0
        masks = _descend(folder / styles[0])
        self._files = [(path, masks / f"{path.stem}.png") for path in list_images(images)]
        missing = [mask for _, mask in self._files if not mask.is_file()]
        if missing:
            raise UserError(f"no mask {missing[0]}")

    def __len__(self) -> int:
        return len(self._files)

    def __iter__(self) -> Iterator[MaskSample]:
        for path, mask in self._files:
            image = read_image(path)
            labels = _read_indices(mask) - self._first
            if labels.shape != image.shape[:2]:
                raise UserError(f"{mask} and {path} differ in size")
            labels[(labels < 0) | (labels >= self._classes)] = -1
            yield MaskSample(image, labels)


class CocoPanoptic:
    """COCO panoptic format: a JSON, its folder of PNGs, and a folder of pictures.

    The PNGs are in the folder named like the JSON, or in `panoptic`; the pictures are wherever in
    the data folder the first of them is found. Categories are told by name.

    Args:
        folder: of all three.
        names: classes in label order; None for the folder's own categories, things first.

    Attributes:
        names: classes in label order.
        things: how many categories of the JSON are things.
        palette: colours of the folder's own categories, where it has them.

    Raises:
        UserError: a part is missing, not understood, or names a category the model lacks.
    """

    def __init__(self, folder: Path, names: Sequence[str] | None = None):
        description = _find_panoptic_json(_existing(folder))
        data = _read_json(description)
        try:
            categories = sorted(data["categories"], key=lambda c: not c["isthing"])
            own = tuple(str(c["name"]).strip() for c in categories)
            self.names = own if names is None else tuple(names)
            self.things = sum(bool(c["isthing"]) for c in categories)
            self.palette: tuple[Colour, ...] | None = None
            if names is None and all("color" in c for c in categories):
                self.palette = tuple((r, g, b) for r, g, b in (c["color"] for c in categories))
            index = {name.strip(): i for i, name in enumerate(self.names)}
            labels = {c["id"]: index.get(c["name"].strip()) for c in data["categories"]}
            category_names = {c["id"]: c["name"].strip() for c in data["categories"]}
            files = {image["id"]: image["file_name"] for image in data["images"]}
            # Names may bring folders along, or even be absolute; only the last part counts.
            self._entries = [
                (Path(files[e["image_id"]]).name, Path(e["file_name"]).name, e["segments_info"])
                for e in data["annotations"]
            ]
            segments = [s for _, _, entries in self._entries for s in entries]
            for segment in segments:
                whole_number(segment["id"], f"{description}: the id of a segment", 0, 256**3 - 1)
            used = {s["category_id"] for s in segments}
            unknown = [category_names[number] for number in sorted(used) if labels[number] is None]
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise UserError(f"{description} is not a COCO panoptic file: {error!r}") from error
        if not self._entries:
            raise UserError(f"{description} lists no annotated picture")
        if any(name in ("", "..") for *names, _ in self._entries for name in names):
            raise UserError(f"{description} names a file that is none")
        if unknown:
            raise UserError(f"{description}: {unknown[0]} is no class of the model")
        self._labels = {number: label for number, label in labels.items() if label is not None}
        beside = description.with_suffix("")
        self._pngs = beside if beside.is_dir() else description.parent / "panoptic"
        # A picture may have the name of its PNG.
        self._images = _folder_of(folder, self._entries[0][0], other_than=self._pngs)

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, index: int) -> PanopticSample:
        image_name, png_name, entries = self._entries[index]
        image = read_image(self._images / image_name)
        coded = read_image(self._pngs / png_name).astype(np.int64)
        ids = coded[..., 0] + 256 * coded[..., 1] + 65536 * coded[..., 2]
        if ids.shape != image.shape[:2]:
            raise UserError(f"{png_name} and {image_name} differ in size")
        segments = tuple(
            TrueSegment(s["id"], self._labels[s["category_id"]], bool(s.get("iscrowd")))
            for s in entries
        )
        return PanopticSample(image, PanopticTruth(ids, segments))

    def __iter__(self) -> Iterator[PanopticSample]:
        return (self[index] for index in range(len(self)))


def _existing(folder: Path) -> Path:
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder")
    return folder


def _descend(folder: Path) -> Path:
    """The folder itself, or the one folder that is all it holds."""
    while folder.is_dir():
        content = [p for p in folder.iterdir() if p.is_dir() or p.suffix.lower() in IMAGE_SUFFIXES]
        if len(content) != 1 or not content[0].is_dir():
            break
        folder = content[0]
    return folder


def _read_indices(path: Path) -> NDArray[np.int64]:
    """A mask's stored values; a palette is not looked up.

    Raises:
        UserError: not a picture, or one of colours.
    """
    try:
        with opened(path) as mask:
            values = np.asarray(mask).astype(np.int64)
    except (FileNotFoundError, PictureError) as error:
        raise UserError(f"cannot read {path} as a mask: {error}") from error
    if values.ndim != 2:
        raise UserError(f"{path} is a colour picture, not a mask of class indices")
    return values


def _read_json(path: Path) -> Any:
    try:
        return parse_json(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read {path}: {error}") from error


def _find_panoptic_json(folder: Path) -> Path:
    """The one COCO panoptic JSON in the folder; `panoptic*.json` is looked at first.

    Raises:
        UserError: none, or several.
    """
    candidates = sorted(folder.rglob("panoptic*.json")) or sorted(folder.rglob("*.json"))
    found = [path for path in candidates if _is_panoptic(_read_json(path))]
    if not found:
        raise UserError(f"no COCO panoptic JSON (annotations with segments_info) in {folder}")
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise UserError(f"{folder} holds several COCO panoptic JSONs ({names}); leave one")
    return found[0]


def _is_panoptic(data: Any) -> bool:
    if not isinstance(data, dict) or "categories" not in data:
        return False
    annotations = data.get("annotations")
    if not isinstance(annotations, list) or not annotations:
        return False
    return isinstance(annotations[0], dict) and "segments_info" in annotations[0]


def _folder_of(root: Path, name: str, *, other_than: Path) -> Path:
    """The first folder below `root` that holds a file of that name."""
    folders = (path.parent for path in sorted(root.rglob(glob.escape(name))))
    found = next((folder for folder in folders if folder != other_than), None)
    if found is None:
        raise UserError(f"{name} is listed in the JSON but is nowhere in {root}")
    return found

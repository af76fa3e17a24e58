"""Pictures with the truth about them, in the folder layouts that people have.

Knows files and label conventions; nothing of models.
"""

from __future__ import annotations

import glob
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ImageOps

from lvt.data.images import SUFFIXES, PictureError, opened
from lvt.data.labels import Colour
from lvt.data.preprocessing import Size, list_images, picture_files, read_image
from lvt.demo import DEMO_SIZE
from lvt.demo.scenes import make_scene
from lvt.errors import UserError
from lvt.panoptic.quality import PanopticTruth, TrueSegment
from lvt.support.validation import parse_json, whole_number


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
    """One folder a class: named by WordNet id, class name or number, or all there in label order.

    Attributes:
        notes: which folder is which class, where their names do not say so themselves; and folders
            without pictures.

    Raises:
        UserError: no class folders, no pictures, or names that are none of the model's.
    """

    def __init__(
        self,
        folder: Path,
        names: Sequence[str],
        wordnet_ids: Sequence[str] = (),
        split: str | None = None,
    ):
        folders = _class_folders(_existing(folder))
        if split is not None:
            folders = _class_folders(_split_folder(folder, split))
        if not folders:
            raise UserError(f"{folder} has no class folders (one folder of pictures a class)")
        labels, self.notes = _class_labels(folder, [p.name for p in folders], names, wordnet_ids)
        pictures = {path: picture_files(path) for path in folders}
        empty = [path.name for path, files in pictures.items() if not files]
        if len(empty) == len(folders):
            raise UserError(f"{folder}: no class folder holds a picture")
        if empty:
            self.notes += (f"no pictures in {len(empty)} class folders, such as {empty[0]}",)
        self._files = [(file, labels[path.name]) for path in folders for file in pictures[path]]

    def __len__(self) -> int:
        return len(self._files)

    def __iter__(self) -> Iterator[ClassSample]:
        for path, label in self._files:
            yield ClassSample(read_image(path), label)


def _class_folders(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))


def _class_labels(
    folder: Path, given: Sequence[str], names: Sequence[str], wordnet_ids: Sequence[str]
) -> tuple[dict[str, int], tuple[str, ...]]:
    """The class of each folder's name, and a note on it where the names do not say it themselves.

    Raises:
        UserError: a name is none of the model's.
    """
    index = {name.lower(): i for i, name in reversed(list(enumerate(names)))}
    index |= {wordnet_id: i for i, wordnet_id in enumerate(wordnet_ids)}
    unknown = [name for name in given if name.lower() not in index]
    if not unknown:
        return {name: index[name.lower()] for name in given}, ()
    if all(name.isdecimal() for name in given):
        labels = {name: int(name) for name in given}
        beyond = [name for name in given if labels[name] >= len(names)]
        if beyond:
            raise UserError(
                f"{folder}: folder {beyond[0]} is no class: the model has {len(names)}, and "
                f"numbers count from 0 to {len(names) - 1}"
            )
        if len(set(labels.values())) < len(given):
            raise UserError(f"{folder}: two folders have the same number")
        how = "folders are numbers of classes"
    elif len(unknown) == len(given) == len(names):
        labels = {name: i for i, name in enumerate(given)}
        how = "folders are taken in the order of the classes, for their names are unknown"
    else:
        raise UserError(f"{folder}: {unknown[0]} is no class of the model")
    shown = [f"{name} is {names[label]}" for name, label in list(labels.items())[:_SHOWN]]
    more = f", and {len(labels) - _SHOWN} more" if len(labels) > _SHOWN else ""
    return labels, (f"{how}: {', '.join(shown)}{more}",)


class MaskFolder:
    """Pictures in `images`, index masks of the same name (.png) beside them.

    In `masks` (CamVid-style) a value is a class and others are void; in `annotations`
    (ADE20K-style) 0 is void and classes count from 1. Both may have subfolders: cities, say, or
    training and validation, of which `split` chooses one. A split may also stand above the two.

    Attributes:
        values: how many pixels had each value of the masks that have been read.
        first: the value of class 0.

    Raises:
        UserError: a folder or a mask is missing, or it is not clear which split is meant.
    """

    def __init__(self, folder: Path, classes: int, split: str | None = None):
        self._classes = classes
        root = _existing(folder)
        if split is not None and not (root / "images").is_dir():
            root = _split_folder(root, split)
            split = None
        images = root / "images"
        styles = [name for name in ("masks", "annotations") if (root / name).is_dir()]
        if not images.is_dir() or not styles:
            raise UserError(f"{root} must hold images/ and masks/ (or annotations/, ADE20K)")
        self.first = 1 if styles[0] == "annotations" else 0
        masks = root / styles[0]
        if split is not None:
            images, masks = _split_folder(images, split), _split_folder(masks, split)
        pictures = list_images(images)
        splits = {path.relative_to(images).parts[0] for path in pictures if path.parent != images}
        if len(splits) > 1 and all(name.lower() in _SPLITS for name in splits):
            raise UserError(f"{images} holds {' and '.join(sorted(splits))}: choose with --split")
        self._files = [(path, _mask_of(path, images, masks)) for path in pictures]
        missing = [mask for _, mask in self._files if not mask.is_file()]
        if missing:
            more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
            raise UserError(f"no mask {missing[0]}{more}")
        pairs: dict[Path, Path] = {}
        for path, mask in self._files:
            if mask in pairs:
                raise UserError(
                    f"{pairs[mask].name} and {path.name} have one mask, {mask.name}: leave one"
                )
            pairs[mask] = path
        self.values: Counter[int] = Counter()

    @property
    def notes(self) -> tuple[str, ...]:
        """What the masks read so far hold beside classes."""
        last = self.first + self._classes - 1
        void = {v: n for v, n in self.values.items() if not self.first <= v <= last}
        if not void:
            return ()
        share = sum(void.values()) / sum(self.values.values())
        listed = sorted(void, key=lambda value: -void[value])[:_SHOWN]
        named = ", ".join(map(str, listed)) + (", ..." if len(void) > _SHOWN else "")
        notes = [f"void: {share:.1%} of the pixels (mask values {named})"]
        if set(self.values) <= {0, 255} and self._classes > 1:
            notes.append(
                "the masks hold nothing but 0 and 255: if they are black and white, 255 is no "
                "void, and their classes must be written as numbers from 0 on"
            )
        return tuple(notes)

    def __len__(self) -> int:
        return len(self._files)

    def __iter__(self) -> Iterator[MaskSample]:
        for path, mask in self._files:
            image = read_image(path)
            values = _read_indices(mask)
            if values.shape != image.shape[:2]:
                raise UserError(f"{mask} and {path} differ in size")
            found, counts = np.unique(values, return_counts=True)
            self.values.update(dict(zip(found.tolist(), counts.tolist(), strict=True)))
            labels = values - self.first
            labels[(labels < 0) | (labels >= self._classes)] = -1
            yield MaskSample(image, labels)


def _mask_of(picture: Path, images: Path, masks: Path) -> Path:
    """The mask that stands below `masks` as the picture does below `images`, or directly in it."""
    name = f"{picture.stem}.png"
    below = masks / picture.relative_to(images).with_name(name)
    if below.is_file() or picture.parent == images:
        # Where only the masks are in a folder of their own.
        inner = _descend(masks) / name
        return below if below.is_file() else inner
    direct = masks / name
    return direct if direct.is_file() else below


_SPLITS = frozenset(
    {"train", "training", "trainval", "val", "valid", "validation"}
    | {"dev", "test", "testing", "minival"}
)
_SHOWN = 5
"""Entries in a note before it says how many more there are."""


def _split_folder(folder: Path, split: str) -> Path:
    """The subfolder of a split; `val`, say, may be called `validation` or `val2017`.

    Raises:
        UserError: none, or several.
    """
    below = _class_folders(folder)
    exact = [path for path in below if path.name.lower() == split.lower()]
    found = exact or [path for path in below if path.name.lower().startswith(split.lower())]
    if len(found) != 1:
        names = ", ".join(path.name for path in below) or "no folders"
        raise UserError(f"--split {split}: {folder} holds {names}")
    return found[0]


class CocoPanoptic:
    """COCO panoptic format: a JSON, its folder of PNGs, and a folder of pictures.

    The PNGs are in the folder named like the JSON, or in `panoptic`; the pictures are wherever in
    the data folder the first of them is found. Categories are told by name.

    Args:
        folder: of all three; or the JSON itself, with the others beside it or one folder up.
        names: classes in label order; None for the folder's own categories, things first.
        split: part of the JSON's name, where there are several.

    Attributes:
        names: classes in label order.
        things: how many categories of the JSON are things.
        palette: colours of the folder's own categories, where it has them.
        unlisted: pictures read so far whose PNG holds ids that the JSON does not list, and one id.

    Raises:
        UserError: a part is missing, not understood, or names a category the model lacks.
    """

    def __init__(self, folder: Path, names: Sequence[str] | None = None, split: str | None = None):
        if folder.is_file():
            description, folder = folder, folder.parent
            folder = folder.parent if folder.name == "annotations" else folder
        else:
            description = _find_panoptic_json(_existing(folder), split)
        data = _read_json(description)
        if not _is_panoptic(data):
            raise UserError(f"{description} is no COCO panoptic JSON (with segments_info)")
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
        self._images = _folder_of(folder, self._entries[0][0], self._pngs, description)
        self.unlisted: dict[str, int] = {}
        self._check_files()

    @property
    def notes(self) -> tuple[str, ...]:
        """What is wrong with the PNGs read so far."""
        if not self.unlisted:
            return ()
        name, number = next(iter(self.unlisted.items()))
        return (
            f"{len(self.unlisted)} PNGs hold ids that the JSON does not list, such as {number} in "
            f"{name}: such pixels are neither void nor a segment, as for panopticapi",
        )

    def _check_files(self) -> None:
        """All that is missing is told before the first inference.

        Raises:
            UserError: a picture or a PNG is.
        """
        for folder, place in ((self._images, 0), (self._pngs, 1)):
            there = {p.name for p in folder.iterdir()} if folder.is_dir() else set()
            missing = [entry[place] for entry in self._entries if entry[place] not in there]
            if missing:
                more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
                raise UserError(f"{folder} lacks {missing[0]}{more}, which the JSON lists")

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, index: int) -> PanopticSample:
        image_name, png_name, entries = self._entries[index]
        image = read_image(self._images / image_name)
        coded = read_image(self._pngs / png_name).astype(np.int64)
        ids = coded[..., 0] + 256 * coded[..., 1] + 65536 * coded[..., 2]
        if ids.shape != image.shape[:2]:
            raise UserError(f"{png_name} and {image_name} differ in size")
        listed = {0, *(s["id"] for s in entries)}
        unlisted = [number for number in np.unique(ids).tolist() if number not in listed]
        if unlisted:
            self.unlisted[png_name] = unlisted[0]
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
        content = [p for p in folder.iterdir() if p.is_dir() or p.suffix.lower() in SUFFIXES]
        if len(content) != 1 or not content[0].is_dir():
            break
        folder = content[0]
    return folder


def _read_indices(path: Path) -> NDArray[np.int64]:
    """A mask's stored values, upright as the picture is; a palette is not looked up.

    Raises:
        UserError: not a picture, or one of colours.
    """
    try:
        with opened(path) as mask:
            values = np.asarray(ImageOps.exif_transpose(mask)).astype(np.int64)
    except (FileNotFoundError, PictureError) as error:
        raise UserError(f"cannot read {path} as a mask: {error}") from error
    if values.ndim != 2:
        raise UserError(f"{path} is a colour picture, not a mask of class indices")
    return values


def _read_json(path: Path) -> Any:
    try:
        return parse_json(path.read_text("utf-8-sig"))
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read {path}: {error}") from error


def _find_panoptic_json(folder: Path, split: str | None) -> Path:
    """The one COCO panoptic JSON in the folder; `panoptic*.json` is looked at first.

    Raises:
        UserError: none, or several.
    """
    candidates = sorted(folder.rglob("panoptic*.json")) or sorted(folder.rglob("*.json"))
    candidates = [path for path in candidates if not path.name.startswith(".")]
    if split is not None:
        named = [path for path in candidates if split.lower() in path.stem.lower()]
        if candidates and not named:
            names = ", ".join(path.name for path in candidates)
            raise UserError(f"--split {split}: {folder} holds {names}")
        candidates = named
    found = [path for path in candidates if _is_panoptic(_read_json(path))]
    if not found:
        raise UserError(f"no COCO panoptic JSON (annotations with segments_info) in {folder}")
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise UserError(
            f"{folder} holds several COCO panoptic JSONs ({names}): choose with --split, or give "
            "the JSON's path instead of the folder"
        )
    return found[0]


def _is_panoptic(data: Any) -> bool:
    if not isinstance(data, dict) or "categories" not in data:
        return False
    annotations = data.get("annotations")
    if not isinstance(annotations, list) or not annotations:
        return False
    return isinstance(annotations[0], dict) and "segments_info" in annotations[0]


def _folder_of(root: Path, name: str, pngs: Path, description: Path) -> Path:
    """The folder below `root` that holds a picture of that name: the one named like the split."""
    folders = [path.parent for path in sorted(root.rglob(glob.escape(name)))]
    folders = [folder for folder in folders if folder != pngs]
    like = [folder for folder in folders if description.stem.endswith(folder.name)]
    if not folders:
        raise UserError(f"{name} is listed in the JSON but is nowhere in {root}")
    return (like or folders)[0]

"""Data set for panoptic segmentation: pictures and segments in COCO's panoptic format."""

from __future__ import annotations

import glob
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lvt.data.datasets.folders import existing_folder
from lvt.data.datasets.samples import PanopticSample
from lvt.data.images import read_image
from lvt.data.labels import Colour
from lvt.errors import UserError
from lvt.panoptic.quality import PanopticTruth, TrueSegment
from lvt.support.validation import parse_json, whole_number


class _Annotation(NamedTuple):
    """An annotated picture: the names of its files, and COCO's entries of its segments."""

    image: str
    png: str
    segments: list[Mapping[str, Any]]


class CocoPanoptic:
    """COCO's panoptic format: a JSON file, a folder of PNGs with segment ids, and the pictures.

    The PNGs are in the folder with the name of the JSON file, or in `panoptic`. The pictures are
    in the folder below the data folder where the first of them is found. Categories are matched
    by name.

    Args:
        folder: the data folder; or the JSON file, with the other parts beside it or one folder up.
        names: names of the classes in label order; None for the categories of the JSON file,
            things first.
        split: part of the JSON file's name, if there are several JSON files.

    Attributes:
        names: names of the classes in label order.
        things: number of thing categories in the JSON file.
        palette: colours of the JSON file's categories; None if it has none, or `names` is given.
        unlisted: for each PNG read so far that holds ids which the JSON file does not list, one
            such id.

    Raises:
        UserError: a part is missing or damaged, or a category is not a class of the model.
    """

    def __init__(self, folder: Path, names: Sequence[str] | None = None, split: str | None = None):
        if folder.is_file():
            description, folder = folder, folder.parent
            folder = folder.parent if folder.name == "annotations" else folder
        else:
            description = _find_panoptic_json(existing_folder(folder), split)
        data = _read_json(description)
        if not _is_panoptic(data):
            raise UserError(f"{description} is no COCO panoptic JSON (with segments_info)")
        try:
            categories = sorted(data["categories"], key=lambda c: not c["isthing"])
            category_names = tuple(str(c["name"]).strip() for c in categories)
            self.names = category_names if names is None else tuple(names)
            self.things = sum(bool(c["isthing"]) for c in categories)
            self.palette = _palette(categories) if names is None else None
            self._annotations = _annotations(data, description)
            labels, unknown = _match_categories(data["categories"], self.names, self._annotations)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise UserError(f"{description} is not a COCO panoptic file: {error!r}") from error
        if not self._annotations:
            raise UserError(f"{description} lists no annotated picture")
        if any(name in ("", "..") for a in self._annotations for name in (a.image, a.png)):
            raise UserError(f"{description} lists an empty file name")
        if unknown:
            raise UserError(f"{description}: {unknown[0]} is no class of the model")
        self._labels = labels
        beside = description.with_suffix("")
        self._pngs = beside if beside.is_dir() else description.parent / "panoptic"
        # Pictures may have the same names as their PNGs.
        self._images = _picture_folder(folder, self._annotations[0].image, self._pngs, description)
        self.unlisted: dict[str, int] = {}
        self._check_files()

    @property
    def notes(self) -> tuple[str, ...]:
        """The number of PNGs read so far with ids that the JSON file does not list."""
        if not self.unlisted:
            return ()
        name, number = next(iter(self.unlisted.items()))
        return (
            f"{len(self.unlisted)} PNGs hold ids that the JSON does not list, such as {number} in "
            f"{name}: such pixels are neither void nor a segment, as for panopticapi",
        )

    def _check_files(self) -> None:
        """Checks that all pictures and PNGs exist, before the first inference.

        Raises:
            UserError: a file is missing.
        """
        for folder, listed in (
            (self._images, [annotation.image for annotation in self._annotations]),
            (self._pngs, [annotation.png for annotation in self._annotations]),
        ):
            present = {p.name for p in folder.iterdir()} if folder.is_dir() else set()
            missing = [name for name in listed if name not in present]
            if missing:
                more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
                raise UserError(f"{folder} lacks {missing[0]}{more}, which the JSON lists")

    def __len__(self) -> int:
        return len(self._annotations)

    def __getitem__(self, index: int) -> PanopticSample:
        annotation = self._annotations[index]
        image = read_image(self._images / annotation.image)
        coded = read_image(self._pngs / annotation.png).astype(np.int64)
        ids = coded[..., 0] + 256 * coded[..., 1] + 65536 * coded[..., 2]
        if ids.shape != image.shape[:2]:
            raise UserError(f"{annotation.png} and {annotation.image} differ in size")
        listed = {0, *(s["id"] for s in annotation.segments)}
        unlisted = [number for number in np.unique(ids).tolist() if number not in listed]
        if unlisted:
            self.unlisted[annotation.png] = unlisted[0]
        segments = tuple(
            TrueSegment(s["id"], self._labels[s["category_id"]], bool(s.get("iscrowd")))
            for s in annotation.segments
        )
        return PanopticSample(image, PanopticTruth(ids, segments))

    def __iter__(self) -> Iterator[PanopticSample]:
        return (self[index] for index in range(len(self)))


def _palette(categories: Sequence[Mapping[str, Any]]) -> tuple[Colour, ...] | None:
    """The colours of the categories; None if one has no colour."""
    if not all("color" in category for category in categories):
        return None
    return tuple((r, g, b) for r, g, b in (category["color"] for category in categories))


def _annotations(data: Mapping[str, Any], description: Path) -> list[_Annotation]:
    """The annotated pictures.

    Raises:
        UserError: a segment's id is not one that a PNG can hold.
    """
    files = {image["id"]: image["file_name"] for image in data["images"]}
    # File names may contain folders, or be absolute paths; only the last part is used.
    annotations = [
        _Annotation(
            Path(files[entry["image_id"]]).name,
            Path(entry["file_name"]).name,
            entry["segments_info"],
        )
        for entry in data["annotations"]
    ]
    for annotation in annotations:
        for segment in annotation.segments:
            whole_number(segment["id"], f"{description}: the id of a segment", 0, 256**3 - 1)
    return annotations


def _match_categories(
    categories: Sequence[Mapping[str, Any]], names: Sequence[str], annotations: list[_Annotation]
) -> tuple[dict[int, int], list[str]]:
    """The label of each category id that is a class; and used categories that are not a class."""
    index = {name.strip(): label for label, name in enumerate(names)}
    category_names = {c["id"]: c["name"].strip() for c in categories}
    labels = {number: index[name] for number, name in category_names.items() if name in index}
    used = {s["category_id"] for annotation in annotations for s in annotation.segments}
    return labels, [category_names[number] for number in sorted(used) if number not in labels]


def _find_panoptic_json(folder: Path, split: str | None) -> Path:
    """The only COCO panoptic JSON file in the folder; `panoptic*.json` has precedence.

    Raises:
        UserError: there is none, or there are several.
    """
    candidates = sorted(folder.rglob("panoptic*.json")) or sorted(folder.rglob("*.json"))
    candidates = [path for path in candidates if not path.name.startswith(".")]
    if split is not None:
        matches = [path for path in candidates if split.lower() in path.stem.lower()]
        if candidates and not matches:
            names = ", ".join(path.name for path in candidates)
            raise UserError(f"--split {split}: {folder} holds {names}")
        candidates = matches
    panoptic = [path for path in candidates if _is_panoptic(_read_json(path))]
    if not panoptic:
        raise UserError(f"no COCO panoptic JSON (annotations with segments_info) in {folder}")
    if len(panoptic) > 1:
        names = ", ".join(path.name for path in panoptic)
        raise UserError(
            f"{folder} holds several COCO panoptic JSONs ({names}): choose with --split, or give "
            "the JSON's path instead of the folder"
        )
    return panoptic[0]


def _read_json(path: Path) -> Any:
    try:
        return parse_json(path.read_text("utf-8-sig"))
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read {path}: {error}") from error


def _is_panoptic(data: Any) -> bool:
    """Whether the content of a JSON file has the structure of COCO's panoptic format."""
    if not isinstance(data, dict) or "categories" not in data:
        return False
    annotations = data.get("annotations")
    if not isinstance(annotations, list) or not annotations:
        return False
    return isinstance(annotations[0], dict) and "segments_info" in annotations[0]


def _picture_folder(root: Path, name: str, pngs: Path, description: Path) -> Path:
    """The folder below `root` with the picture `name`; one with the name of the split is preferred.

    Raises:
        UserError: there is no such picture.
    """
    folders = [path.parent for path in sorted(root.rglob(glob.escape(name)))]
    folders = [folder for folder in folders if folder != pngs]
    if not folders:
        raise UserError(f"{name} is listed in the JSON but is nowhere in {root}")
    of_split = [folder for folder in folders if description.stem.endswith(folder.name)]
    return (of_split or folders)[0]

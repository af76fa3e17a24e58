"""Data set for classification: one folder of pictures for each class."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from lvt.data.datasets.folders import MAX_LISTED, existing_folder, split_folder, subfolders
from lvt.data.datasets.samples import ClassSample
from lvt.data.images import picture_files, read_image
from lvt.errors import UserError


class ImageFolder:
    """Pictures in one folder for each class.

    A folder's name is a WordNet id, a class name or a class index. If all names are unknown and
    there is one folder for each class, the folders are taken in the order of the classes.

    Args:
        folder: the folder of the class folders.
        names: names of the classes, in label order.
        wordnet_ids: WordNet ids of the classes, in label order.
        split: name of a subfolder that contains the class folders.

    Attributes:
        notes: the class of each folder where the folder's name does not say it, and folders
            without pictures.

    Raises:
        UserError: there are no class folders or no pictures, or a folder's name is not a class of
            the model.
    """

    def __init__(
        self,
        folder: Path,
        names: Sequence[str],
        wordnet_ids: Sequence[str] = (),
        split: str | None = None,
    ):
        folders = subfolders(existing_folder(folder))
        if split is not None:
            folders = subfolders(split_folder(folder, split))
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


def _class_labels(
    folder: Path, folder_names: Sequence[str], names: Sequence[str], wordnet_ids: Sequence[str]
) -> tuple[dict[str, int], tuple[str, ...]]:
    """The class of each folder name, and a note if the names themselves do not say it.

    Raises:
        UserError: a folder name is not a class of the model.
    """
    index = {name.lower(): i for i, name in reversed(list(enumerate(names)))}
    index |= {wordnet_id: i for i, wordnet_id in enumerate(wordnet_ids)}
    unknown = [name for name in folder_names if name.lower() not in index]
    if not unknown:
        return {name: index[name.lower()] for name in folder_names}, ()
    if all(name.isdecimal() for name in folder_names):
        labels = {name: int(name) for name in folder_names}
        beyond = [name for name in folder_names if labels[name] >= len(names)]
        if beyond:
            raise UserError(
                f"{folder}: folder {beyond[0]} is no class: the model has {len(names)}, and "
                f"numbers count from 0 to {len(names) - 1}"
            )
        if len(set(labels.values())) < len(folder_names):
            raise UserError(f"{folder}: two folders have the same number")
        reason = "folders are numbers of classes"
    elif len(unknown) == len(folder_names) == len(names):
        labels = {name: i for i, name in enumerate(folder_names)}
        reason = "folders are taken in the order of the classes, because their names are unknown"
    else:
        raise UserError(f"{folder}: {unknown[0]} is no class of the model")
    listed = [f"{name} is {names[label]}" for name, label in list(labels.items())[:MAX_LISTED]]
    more = f", and {len(labels) - MAX_LISTED} more" if len(labels) > MAX_LISTED else ""
    return labels, (f"{reason}: {', '.join(listed)}{more}",)

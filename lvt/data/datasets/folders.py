"""Folder layouts that several kinds of data sets share: subfolders, splits, notes."""

from __future__ import annotations

from pathlib import Path

from lvt.errors import UserError

SPLIT_NAMES = frozenset(
    {"train", "training", "trainval", "val", "valid", "validation"}
    | {"dev", "test", "testing", "minival"}
)
"""Folder names, in lower case, that mean a split of a data set."""

MAX_LISTED = 5
"""Entries that a note lists before it says how many more there are."""


def existing_folder(folder: Path) -> Path:
    """The folder itself.

    Raises:
        UserError: there is no such folder.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder")
    return folder


def subfolders(folder: Path) -> list[Path]:
    """The visible subfolders, sorted by name."""
    return sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))


def split_folder(folder: Path, split: str) -> Path:
    """The subfolder of a split. `val` also matches `validation` and `val2017`, for example.

    Raises:
        UserError: no subfolder or several subfolders match.
    """
    candidates = subfolders(folder)
    exact = [path for path in candidates if path.name.lower() == split.lower()]
    matches = exact or [p for p in candidates if p.name.lower().startswith(split.lower())]
    if len(matches) != 1:
        names = ", ".join(path.name for path in candidates) or "no folders"
        raise UserError(f"--split {split}: {folder} holds {names}")
    return matches[0]

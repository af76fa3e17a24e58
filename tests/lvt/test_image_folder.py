"""`ImageFolder`: names of class folders, notes and errors."""

from __future__ import annotations

from pathlib import Path

import pytest

from lvt.data.datasets.image_folder import ImageFolder
from lvt.data.labels import imagenet_names, imagenet_wordnet_ids
from lvt.errors import UserError
from tests.lvt.pictures import GREY, PHOTO, save


def test_image_folder_by_wordnet_id_and_by_name(tmp_path: Path) -> None:
    save(tmp_path / "n01440764" / "a.png", GREY)
    save(tmp_path / "goldfish" / "b.png", GREY)
    samples = list(ImageFolder(tmp_path, imagenet_names(), imagenet_wordnet_ids()))
    assert [sample.label for sample in samples] == [1, 0]  # goldfish, then the tench's id


def test_image_folder_in_label_order_when_all_are_there(tmp_path: Path) -> None:
    for name in ("x", "y", "z"):
        save(tmp_path / name / "a.png", GREY)
    samples = list(ImageFolder(tmp_path, ["class 0", "class 1", "class 2"]))
    assert [sample.label for sample in samples] == [0, 1, 2]


def test_image_folder_errors(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no class folders"):
        ImageFolder(tmp_path, ["a"])
    save(tmp_path / "unicorn" / "a.png", GREY)
    with pytest.raises(UserError, match="unicorn is no class"):
        ImageFolder(tmp_path, ["a", "b"])
    save(tmp_path / "a" / "a.png", GREY)
    with pytest.raises(UserError, match="unicorn is no class"):
        ImageFolder(tmp_path, ["a", "b"])  # one stray folder must not reorder the others
    with pytest.raises(UserError, match="not a folder"):
        ImageFolder(tmp_path / "absent", ["a"])


def test_folder_names_can_be_class_indices(tmp_path: Path) -> None:
    """Sorted as text, 10 would come before 2."""
    for number in (0, 2, 10):
        save(tmp_path / str(number) / "a.png", PHOTO)
    names = [f"class-{number}" for number in range(11)]
    data = ImageFolder(tmp_path, names)
    assert sorted(sample.label for sample in data) == [0, 2, 10]
    assert data.notes == (
        "folders are numbers of classes: 0 is class-0, 10 is class-10, 2 is class-2",
    )
    with pytest.raises(UserError, match="folder 10 is no class: the model has 10"):
        ImageFolder(tmp_path, names[:10])


def test_a_note_gives_the_class_of_each_folder(tmp_path: Path) -> None:
    for name in "zyx":
        save(tmp_path / name / "a.png", PHOTO)
    (note,) = ImageFolder(tmp_path, ["cat", "dog", "owl"]).notes
    assert note.endswith("x is cat, y is dog, z is owl")


def test_empty_class_folders_are_skipped(tmp_path: Path) -> None:
    save(tmp_path / "cat" / "a.png", PHOTO)
    (tmp_path / "dog").mkdir()
    data = ImageFolder(tmp_path, ["cat", "dog"])
    assert [sample.label for sample in data] == [0]
    assert data.notes == ("no pictures in 1 class folders, such as dog",)
    (tmp_path / "cat" / "a.png").unlink()
    with pytest.raises(UserError, match="no class folder holds a picture"):
        ImageFolder(tmp_path, ["cat", "dog"])

"""Names and colours of classes, and files that contain them."""

from __future__ import annotations

from pathlib import Path

import pytest

from lvt.data.labels import Labels, imagenet_names, make_labels, read_names, spread_colours
from lvt.errors import UserError

RED = '"color": [1, 2, 3]'


def test_imagenet_names_are_in_label_order() -> None:
    """A table in another order would name every prediction wrongly."""
    names = imagenet_names()
    assert len(names) == 1000
    assert (names[0], names[207], names[285], names[999]) == (
        "tench",
        "golden retriever",
        "Egyptian cat",
        "toilet tissue",
    )


def test_names_of_the_checkpoint_have_precedence() -> None:
    labels = make_labels(2, ("road", "car"), ((1, 2, 3), (4, 5, 6)))
    assert labels == Labels(("road", "car"), ((1, 2, 3), (4, 5, 6)))
    assert make_labels(1000, imagenet=True).names[0] == "tench"
    assert make_labels(3).names == ("class 0", "class 1", "class 2")


def test_wrong_number_of_names_is_an_error() -> None:
    with pytest.raises(UserError, match="names 2 classes but predicts 3"):
        make_labels(3, ("a", "b"))


def test_spread_colours_are_distinct() -> None:
    assert len(set(spread_colours(150))) == 150


def test_labels_round_trip_and_errors() -> None:
    labels = make_labels(4)
    assert Labels.from_dict(labels.to_dict()) == labels
    with pytest.raises(UserError, match="1 names for 2 colours"):
        Labels.from_dict({"names": ["a"], "colours": [[1, 2, 3], [4, 5, 6]]})
    with pytest.raises(UserError, match="not understood"):
        Labels.from_dict({"names": ["a"], "colours": [7]})


@pytest.mark.parametrize(
    ("name", "text", "colours"),
    [
        ("n.txt", "sky\n[red]car\n", None),
        ("n.txt", "\ufeffsky\r\n[red]car\r\n\r\n", None),
        ("n.json", '["sky", "[red]car"]', None),
        ("n.json", '\ufeff{"names": ["sky", "[red]car"], "colours": [[1, 2, 3], [4, 5, 6]]}', True),
        ("n.json", '{"classes": ["sky", "[red]car"], "palette": [[1, 2, 3], [4, 5, 6]]}', True),
        ("n.json", f'[{{"name": "sky", {RED}}}, {{"name": "[red]car", "color": [4, 5, 6]}}]', True),
    ],
)
def test_names_of_a_file(name: str, text: str, colours: bool | None, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(text.encode())
    palette = ((1, 2, 3), (4, 5, 6)) if colours else None
    assert read_names(path, 2) == (("sky", "[red]car"), palette)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a\nb\nc\n", "3 names, and the model has 2 classes"),
        ("a\n\nb\n", "3 names"),
        ("\nb\n", "a name is empty"),
        ('["a", 5]', "not text"),
        ('{"names": "ab"}', "write one name a line, or JSON"),
        ('["a"', "is not JSON"),
        ('{"names": ["a", "b"], "colours": [[1, 2], [3, 4]]}', "a colour is not"),
        ('{"names": ["a", "b"], "colours": [[1, 2, 300], [3, 4, 5]]}', "from 0 to 255"),
        ('{"names": ["a", "b"], "colours": [[1, 2, 3]]}', "each class needs a colour"),
    ],
)
def test_damaged_names_files(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "names"
    path.write_text(text)
    with pytest.raises(UserError, match=message):
        read_names(path, 2)
    with pytest.raises(UserError, match="cannot read --names"):
        read_names(tmp_path / "absent", 2)

"""Names, colours, metrics and overlays."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from lvt.data.labels import Labels, imagenet_names, make_labels, read_names, spread_colours
from lvt.data.metrics import confusion_matrix, max_abs_error, mean_iou, regions_found, sqnr_db
from lvt.errors import UserError
from lvt.panoptic.fusion import PanopticMap, Segment
from lvt.postprocessing import ranked_classes
from lvt.visualisation import panoptic_overlay, semantic_overlay


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


def test_names_come_from_the_checkpoint_where_it_has_them() -> None:
    labels = make_labels(2, ("road", "car"), ((1, 2, 3), (4, 5, 6)))
    assert labels == Labels(("road", "car"), ((1, 2, 3), (4, 5, 6)))
    assert make_labels(1000, imagenet=True).names[0] == "tench"
    assert make_labels(3).names == ("class 0", "class 1", "class 2")


def test_wrong_number_of_names_is_refused() -> None:
    with pytest.raises(UserError, match="names 2 classes but predicts 3"):
        make_labels(3, ("a", "b"))


def test_spread_colours_are_distinct() -> None:
    assert len(set(spread_colours(150))) == 150


def test_labels_round_trip_and_refusal() -> None:
    labels = make_labels(4)
    assert Labels.from_dict(labels.to_dict()) == labels
    with pytest.raises(UserError, match="1 names for 2 colours"):
        Labels.from_dict({"names": ["a"], "colours": [[1, 2, 3], [4, 5, 6]]})
    with pytest.raises(UserError, match="not understood"):
        Labels.from_dict({"names": ["a"], "colours": [7]})


def test_ranked_classes() -> None:
    logits = np.array([[0.0, math.log(3), math.log(4), -1e9]], np.float32)
    best = ranked_classes(logits)[:2]
    assert [score.index for score in best] == [2, 1]
    assert best[0].probability == pytest.approx(0.5)


def test_mean_iou_by_hand() -> None:
    truth = np.array([[0, 0, 1, 1], [2, 2, 255, -1]])
    predicted = np.array([[0, 1, 1, 1], [2, 0, 0, 1]])
    matrix = confusion_matrix(predicted, truth, 4)
    assert matrix.sum() == 6  # void is ignored
    # class 0: 1/3, class 1: 2/3, class 2: 1/2; class 3 never occurs and does not count
    assert mean_iou(matrix) == pytest.approx((1 / 3 + 2 / 3 + 1 / 2) / 3)


def test_regions_found_by_size() -> None:
    truth = np.full((200, 200), 255)
    truth[:10, :10] = 0  # small, found
    truth[20:30, :10] = 0  # small, another one, half of it right: not found
    truth[:40, 20:60] = 1  # medium, found
    truth[100:, 50:] = 0  # large, missed
    truth[60, 0] = 1  # of one pixel: not counted
    predicted = np.full_like(truth, 2)
    predicted[:10, :10] = 0
    predicted[20:25, :10] = 0
    predicted[:21, 20:60] = 1
    assert regions_found(predicted, truth, 3) == {
        "small": (1, 2),
        "medium": (1, 1),
        "large": (0, 1),
    }


def test_sqnr_and_error() -> None:
    expected = np.array([3.0, 4.0], np.float32)
    assert sqnr_db(expected, expected) == math.inf
    assert sqnr_db(expected + np.array([0.5, 0], np.float32), expected) == pytest.approx(20.0)
    assert max_abs_error(np.array([np.nan], np.float32), np.zeros(1, np.float32)) == math.inf
    assert sqnr_db(np.array([np.nan, 0], np.float32), expected) == -math.inf


def test_overlay_shows_classes_in_their_colours_with_a_legend() -> None:
    image = np.full((60, 80, 3), 128, np.uint8)
    classes = np.zeros((60, 80), np.int64)
    classes[:, 40:] = 1
    labels = Labels(("left", "right", "absent"), ((255, 0, 0), (0, 0, 255), (0, 255, 0)))
    overlay = np.asarray(semantic_overlay(image, classes, labels))
    assert overlay.shape[0] == 60
    assert overlay.shape[1] > 80  # the legend
    assert overlay[30, 20, 0] > overlay[30, 20, 2] + 100
    assert overlay[30, 60, 2] > overlay[30, 60, 0] + 100
    assert overlay[30, 40].max() < 100  # the border is dark
    legend = overlay[:, 80:].reshape(-1, 3)
    assert (legend == (255, 0, 0)).all(1).any()
    assert not (legend == (0, 255, 0)).all(1).any()


def test_panoptic_overlay_shows_instances_stuff_and_leaves_void_alone() -> None:
    image = np.full((80, 100, 3), 120, np.uint8)
    ids = np.full((80, 100), 3, np.int32)  # void: 2 things + 1 stuff
    ids[40:] = 2
    ids[50:70, 20:50] = 1001
    segments = (Segment(1001, 1, 600, 0), Segment(2, 2, 3400))
    labels = Labels(("person", "car", "road"), ((255, 0, 0), (0, 0, 255), (0, 255, 0)))
    overlay = panoptic_overlay(image, PanopticMap(ids, segments, 3), np.array([0.9]), labels)
    pixels = np.asarray(overlay).astype(int)
    assert pixels.shape[1] > 100
    assert (pixels[5, 90] == 120).all()  # void
    assert pixels[75, 90, 1] > pixels[75, 90, 0] + 40  # road is green
    assert pixels[65, 35, 2] > pixels[65, 35, 0] + 60  # the car is blue
    assert (pixels[50, 25] == 255).all()  # its outline is white
    legend = pixels[:, 100:].reshape(-1, 3)
    assert (legend == (0, 255, 0)).all(1).any()
    assert not (legend == (255, 0, 0)).all(1).any()  # no person


RED = '"color": [1, 2, 3]'


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
def test_names_that_are_none(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "names"
    path.write_text(text)
    with pytest.raises(UserError, match=message):
        read_names(path, 2)
    with pytest.raises(UserError, match="cannot read --names"):
        read_names(tmp_path / "absent", 2)

"""Panoptic quality of cases computed by hand; each is a common error of such counts."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lvt.panoptic.fusion import PanopticMap, Segment
from lvt.panoptic.quality import PanopticQuality, PanopticTruth, Quality, TrueSegment

# Labels: things 0 and 1, stuff 2 and 3, void 4 (in predictions).
VOID = 4


def predicted(ids: list[list[int]]) -> PanopticMap:
    """A map in the model's ids: label + 1000 k, stuff label, or void."""
    array = np.array(ids, np.int32)
    segments = tuple(
        Segment(int(i), int(i) % 1000, int((array == i).sum()), 0 if i >= 1000 else None)
        for i in np.unique(array)
        if i != VOID
    )
    return PanopticMap(array, segments, VOID)


def measure(
    prediction: list[list[int]], ids: list[list[int]], *segments: TrueSegment
) -> dict[int, Quality]:
    quality = PanopticQuality(2, 2)
    quality.add(predicted(prediction), PanopticTruth(np.array(ids), segments))
    return dict(quality.report().per_class)


def test_perfect_map_scores_one() -> None:
    result = measure([[1000, 1000, 2, 2]], [[7, 7, 9, 9]], TrueSegment(7, 0), TrueSegment(9, 2))
    assert result == {0: Quality(1.0, 1.0, 1.0, 1), 2: Quality(1.0, 1.0, 1.0, 1)}


def test_overlap_of_exactly_one_half_is_no_match() -> None:
    """True 4 pixels, predicted 2 of them: IoU 0.5, so one false negative and one false positive."""
    result = measure([[1000, 1000, 4, 4]], [[1, 1, 1, 1]], TrueSegment(1, 0))
    assert result[0] == Quality(0.0, 0.0, 0.0, 1)


def test_partial_match() -> None:
    """IoU 3/4 and one missed instance: SQ 3/4, RQ 1/(1 + 1/2), PQ their product."""
    result = measure(
        [[1000, 1000, 1000, 4, 4, 4]],
        [[1, 1, 1, 1, 2, 2]],
        TrueSegment(1, 0),
        TrueSegment(2, 0),
    )
    assert result[0].sq == pytest.approx(0.75)
    assert result[0].rq == pytest.approx(2 / 3)
    assert result[0].pq == pytest.approx(0.5)


def test_right_pixels_of_the_wrong_class() -> None:
    """Counts against both classes: missed in one, spurious in the other."""
    result = measure([[1001, 1001]], [[1, 1]], TrueSegment(1, 0))
    assert result == {0: Quality(0.0, 0.0, 0.0, 1), 1: Quality(0.0, 0.0, 0.0, 1)}


def test_true_void_is_not_part_of_the_union() -> None:
    """Two of four predicted pixels are void: without them the match is perfect."""
    result = measure([[1000, 1000, 1000, 1000]], [[1, 1, 0, 0]], TrueSegment(1, 0))
    assert result[0] == Quality(1.0, 1.0, 1.0, 1)


def test_predicted_void_is_part_of_the_union() -> None:
    result = measure([[1000, 1000, 1000, VOID]], [[1, 1, 1, 1]], TrueSegment(1, 0))
    assert result[0].pq == pytest.approx(0.75)


@pytest.mark.parametrize(("void", "spurious"), [(3, False), (2, True)])
def test_prediction_mostly_on_void_is_ignored(void: int, spurious: bool) -> None:
    """Exactly half on void is still spurious; more is not."""
    ids = [[0] * void + [9] * (4 - void) + [9] * 12]
    result = measure([[1001] * 4 + [3] * 12], ids, TrueSegment(9, 3))
    assert (1 in result) == spurious


def test_crowd_is_neither_missed_nor_matched() -> None:
    crowd = TrueSegment(1, 0, crowd=True)
    assert measure([[4, 4, 4]], [[1, 1, 1]], crowd) == {}
    assert measure([[1000, 1000, 1000]], [[1, 1, 1]], crowd) == {}


def test_crowd_excuses_only_its_own_class() -> None:
    result = measure([[1001, 1001, 1001]], [[1, 1, 1]], TrueSegment(1, 0, crowd=True))
    assert result == {1: Quality(0.0, 0.0, 0.0, 1)}


def test_crowd_and_void_excuse_together() -> None:
    """Two pixels on crowd, one on void, one on another thing: three quarters are excused."""
    result = measure(
        [[1000, 1000, 1000, 1000]],
        [[1, 1, 0, 2]],
        TrueSegment(1, 0, crowd=True),
        TrueSegment(2, 1),
    )
    assert 0 not in result
    assert result[1].pq == 0


def test_means_are_over_classes_that_occur_and_over_all_images() -> None:
    quality = PanopticQuality(2, 2)
    truth = PanopticTruth(np.array([[1, 1, 2, 2]]), (TrueSegment(1, 0), TrueSegment(2, 2)))
    quality.add(predicted([[1000, 1000, 2, 2]]), truth)
    quality.add(predicted([[VOID, VOID, 2, 2]]), truth)
    report = quality.report()
    assert report.things.pq == pytest.approx(1 / 1.5)  # 1 matched, 1 missed
    assert report.stuff == Quality(1.0, 1.0, 1.0, 1)
    assert report.all.pq == pytest.approx((1 / 1.5 + 1) / 2)
    assert report.all.classes == 2


def test_things_by_size() -> None:
    """Matched and missed by the area of the truth, spurious by their own."""
    ids, map_ids = np.zeros((100, 200), np.int64), np.full((100, 200), VOID)
    ids[:20, :20], map_ids[:20, :20] = 1, 1000  # small, found
    ids[30:50, :20] = 2  # small, missed
    ids[:, 30:70], map_ids[:60, 30:70] = 3, 2000  # medium, matched with an IoU of 0.6
    map_ids[:, 75:] = 3000  # large, on stuff: spurious
    ids[:, 75:] = 4
    truth = PanopticTruth(
        ids, tuple(TrueSegment(i, label) for i, label in enumerate((0, 0, 0, 2), 1))
    )
    quality = PanopticQuality(2, 2)
    quality.add(predicted(map_ids.tolist()), truth)
    by_size = quality.report().things_by_size
    assert by_size["small"].pq == pytest.approx(1 / 1.5)
    assert by_size["medium"].pq == pytest.approx(0.6)
    assert by_size["large"].pq == 0
    assert by_size["large"].classes == 1


def test_nothing_measured_is_not_a_score() -> None:
    report = PanopticQuality(2, 2).report()
    assert math.isnan(report.all.pq)
    assert report.all.classes == 0


def test_maps_of_different_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="differ in size"):
        measure([[4, 4]], [[0]])

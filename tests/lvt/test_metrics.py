"""Ranked classes, IoU, regions and signal-to-noise ratios, computed by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lvt.data.metrics import confusion_matrix, max_abs_error, mean_iou, regions_found, sqnr_db
from lvt.postprocessing import ranked_classes


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

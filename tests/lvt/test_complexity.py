"""Parameters and multiply-accumulates are the paper's (Tables 3, 4 and 5)."""

from __future__ import annotations

import pytest

from lvt import backbone
from lvt.complexity import count_macs, count_parameters
from lvt.config import LVT
from lvt.models import ModelSpec, build


def test_encoder() -> None:
    """Table 3: encoder 3.4 M parameters."""
    assert count_parameters(backbone.LVT(LVT)) == 3_429_092


def test_classifier() -> None:
    """Table 3: 5.5 M parameters with head, 0.9 GFLOPs at 224x224."""
    model = build(ModelSpec("classification", LVT, 1000))
    assert count_parameters(model) == 5_521_844
    assert count_macs(model, (1, 3, 224, 224)) / 1e9 == pytest.approx(0.89, abs=0.005)


def test_pooled_classifier() -> None:
    assert count_parameters(build(ModelSpec("classification", LVT, 1000, pooled=True))) == 3_686_604


def test_segformer() -> None:
    """Table 4: 3.9 M parameters, 10.6 GFLOPs at 512x512. It counts the dead pair."""
    model = build(ModelSpec("semantic", LVT, 150))
    dead_pair = 150 * 128 + 150
    assert count_parameters(model) + dead_pair == 3_889_936
    assert count_macs(model, (1, 3, 512, 512)) / 1e9 == pytest.approx(10.6, abs=0.05)

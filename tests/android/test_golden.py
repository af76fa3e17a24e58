"""Python still computes the golden vectors that Kotlin is held to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.golden.make import FOLDER, make

SAME_PIXELS = 0.999
"""Maps come from PyTorch's float32, whose last bit depends on the processor: a pixel may flip."""
TENSORS = 1e-6
"""Everything else is NumPy's arithmetic, the same on every machine but for exponentials."""
GOLDEN = sorted(
    path.name for path in FOLDER.iterdir() if path.suffix not in (".py", "") and path.is_file()
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("golden")
    make(folder)
    return folder


def test_files_are_those_that_the_script_makes(made: Path) -> None:
    """A golden file nobody makes any more would tie Kotlin to the past."""
    assert sorted(path.name for path in made.iterdir()) == GOLDEN


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_file(made: Path, name: str) -> None:
    """If it is Python that is right: `make golden`, and Kotlin has to follow."""
    ours, golden = made / name, FOLDER / name
    if name.endswith(".json"):
        assert_same(json.loads(ours.read_text("utf-8")), json.loads(golden.read_text("utf-8")))
    elif name.endswith(".png"):
        least = 1.0 if name in ("scene.png", "photo.png", "demo.png") else SAME_PIXELS
        same = np.asarray(Image.open(ours)) == np.asarray(Image.open(golden))
        assert same.all(axis=-1).mean() >= least
    elif name.endswith(".f32"):
        tensor, expected = np.fromfile(ours, "<f4"), np.fromfile(golden, "<f4")
        np.testing.assert_allclose(tensor, expected, rtol=0, atol=TENSORS)
    else:
        assert ours.read_bytes() == golden.read_bytes()


def assert_same(ours: Any, golden: Any) -> None:
    """Equal but for rounding, and for the pixels that may flip in a segment."""
    assert type(ours) is type(golden)
    if isinstance(golden, dict):
        assert list(ours) == list(golden)
        if "area" in golden:
            assert ours.pop("area") == pytest.approx(golden.pop("area"), abs=60)
        for key, value in golden.items():
            assert_same(ours[key], value)
    elif isinstance(golden, list):
        assert len(ours) == len(golden)
        for one, other in zip(ours, golden, strict=True):
            assert_same(one, other)
    elif isinstance(golden, float):
        assert ours == pytest.approx(golden, rel=1e-9)
    else:
        assert ours == golden

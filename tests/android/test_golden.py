"""Python must still compute the golden vectors that the Kotlin tests use."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.golden.make import FOLDER, make

MIN_PIXEL_AGREEMENT = 0.999
"""The last bit of PyTorch's float32 depends on the processor, so a pixel of a map can differ."""
TENSOR_TOLERANCE = 1e-6
"""All other values come from NumPy; only exponentials depend on the machine."""
GOLDEN = sorted(
    path.name for path in FOLDER.iterdir() if path.suffix not in (".py", "") and path.is_file()
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("golden")
    make(folder)
    return folder


def test_no_stale_golden_files(made: Path) -> None:
    """A golden file that `make golden` no longer writes would test outdated results."""
    assert sorted(path.name for path in made.iterdir()) == GOLDEN


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_file(made: Path, name: str) -> None:
    """If the new result of Python is correct, run `make golden` and update Kotlin."""
    actual, golden = made / name, FOLDER / name
    if name.endswith(".json"):
        assert_same(json.loads(actual.read_text("utf-8")), json.loads(golden.read_text("utf-8")))
    elif name.endswith(".png"):
        minimum = 1.0 if name in ("scene.png", "photo.png", "demo.png") else MIN_PIXEL_AGREEMENT
        same = np.asarray(Image.open(actual)) == np.asarray(Image.open(golden))
        assert same.all(axis=-1).mean() >= minimum
    elif name.endswith(".f32"):
        tensor, expected = np.fromfile(actual, "<f4"), np.fromfile(golden, "<f4")
        np.testing.assert_allclose(tensor, expected, rtol=0, atol=TENSOR_TOLERANCE)
    else:
        assert actual.read_bytes() == golden.read_bytes()


def assert_same(actual: Any, golden: Any) -> None:
    """Compares JSON values with tolerances for floats and segment areas."""
    assert type(actual) is type(golden)
    if isinstance(golden, dict):
        assert list(actual) == list(golden)
        if "area" in golden:
            assert actual.pop("area") == pytest.approx(golden.pop("area"), abs=60)
        for key, value in golden.items():
            assert_same(actual[key], value)
    elif isinstance(golden, list):
        assert len(actual) == len(golden)
        for one, other in zip(actual, golden, strict=True):
            assert_same(one, other)
    elif isinstance(golden, float):
        assert actual == pytest.approx(golden, rel=1e-9)
    else:
        assert actual == golden

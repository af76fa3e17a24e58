"""Core AI assets in Core AI's own CPU runtime. Every task and precision: `test_capabilities`."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from export import capabilities
from export.cli import export as cli
from export.session import TorchSession
from lvt.errors import UserError
from lvt.models import ModelSpec
from tests.conftest import TINY
from tests.export.test_cli import one_line_error, run
from tests.helpers.models import conversion

SPEC = ModelSpec("semantic", TINY, 4, decoder_dim=24)
"""Stands for any model of one output, `logits`."""
SIZE = (1024, 8)


class Awkward(nn.Module):
    """One of everything that the engine does not like."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 1)
        self.dilated = nn.Conv2d(32, 32, 3, padding=2, dilation=2)
        self.linear = nn.Linear(8, 8)

    def forward(self, image: Tensor) -> Tensor:
        maps = self.linear(self.dilated(self.stem(image))).softmax(-1)
        many = maps.reshape(1, 2, 4, 4, 1024, 8) * maps.mean(1, keepdim=True)[None, None]
        maps = many.sum(1).reshape(1, 16, 1024, 8)
        values, indices = maps.topk(4, -1)
        return values * (indices + 1)


@pytest.fixture
def target() -> Any:
    return pytest.importorskip(
        "export.targets.coreai.target", reason="needs lvt-mobile[coreai]", exc_type=ImportError
    )


def written(target: Any, model: nn.Module, precision: str, folder: Path) -> Path:
    path = folder / "model.aimodel"
    given = conversion(model, SPEC, SIZE, precision, {"lvt.labels": "Straße"})
    target.write(given, path)
    return path


def test_obstacles_are_found_and_the_asset_still_computes(target: Any, tmp_path: Path) -> None:
    from export.targets.coreai.placement import check_operators

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model, image = Awkward().eval(), torch.randn(1, 3, *SIZE).numpy()
    path = written(target, model, "fp32", tmp_path)
    expected = TorchSession(model, SPEC).run(image)["logits"]
    actual = target.open_session(path).run(image)["logits"]
    np.testing.assert_allclose(actual, expected, atol=1e-6)
    kinds = Counter(kind for _, obstacles in check_operators(path) for kind in obstacles)
    assert kinds.keys() == {
        "rank", "float32", "int32", "indexing", "narrow", "softmax", "linear", "dilation"
    }  # fmt: skip
    assert kinds["softmax"] == kinds["linear"] == kinds["dilation"] == 1
    placement = target.placement(path)
    assert placement.delegated == {"cast": 1}
    assert any(remark.startswith("softmax over an axis other") for remark in placement.remarks)


def test_half_precision_is_in_the_asset_and_not_in_its_outputs(target: Any, tmp_path: Path) -> None:
    from coreai.authoring import AIModelAsset

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model, image = nn.Conv2d(3, 4, 3).eval(), torch.randn(1, 3, *SIZE).numpy()
    path = written(target, model, "fp16", tmp_path)
    asset = AIModelAsset.load(path)
    assert "Straße" in (path / "metadata.json").read_text("utf-8")
    assert "tensor<4x3x3x3xf16>" in str(asset.program)
    logits = target.open_session(path).run(image)["logits"]
    assert logits.dtype == np.float32
    assert model.weight.dtype == torch.float32, "the caller's model was changed"
    exact = TorchSession(model, SPEC).run(image)["logits"]
    assert 1e-5 < np.abs(logits - exact).max() < 1e-2


def test_a_damaged_asset_is_one_line(target: Any, tmp_path: Path) -> None:
    """Core AI's library would take the process down with it."""
    path = written(target, nn.Conv2d(3, 4, 3).eval(), "fp32", tmp_path)
    program = path / "main.mlirb"
    program.write_bytes(program.read_bytes()[:200])
    for read in (target.open_session, target.placement):
        with pytest.raises(UserError, match=r"model\.aimodel is damaged"):
            read(path)


def test_the_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(capabilities, "installed", lambda info: not info.required_modules)
    options = ("--task", "backbone", "--size", "64", "--out", tmp_path)
    assert run(cli.app, "coreai", *options) == 2
    assert "pip install 'lvt-mobile[coreai]'" in one_line_error(capfd)
    assert list(tmp_path.iterdir()) == []

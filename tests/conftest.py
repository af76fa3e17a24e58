"""Fixtures and data that many tests share."""

from __future__ import annotations

import gc
import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from lvt.config import LVT, AttentionKind, LVTConfig, StageConfig

pytest_plugins = [
    "tests.helpers.shared_artifacts",
    "tests.helpers.artifact_fixtures",
    "tests.device_bench.adbd.fixtures",
]

SHARED = Path(__file__).parents[2] / "shared"

TINY = LVTConfig(
    stages=(
        StageConfig("csa", dim=16, heads=2, mlp_hidden=32, layers=1),
        StageConfig("rasa", dim=16, heads=2, mlp_hidden=32, layers=1, sr_ratio=4),
        StageConfig("rasa", dim=32, heads=4, mlp_hidden=64, layers=1, sr_ratio=2),
        StageConfig("rasa", dim=32, heads=4, mlp_hidden=64, layers=1, sr_ratio=1),
    )
)
"""Every kind of module of the paper's model, in the fewest and narrowest instances."""


SLOW_FIXTURES = frozenset({"core", "demo_export", "record", "artifacts", "tiny_files"})
"""Make what takes more than two seconds: Maven's build, a panoptic export, a benchmark."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks the tests that need one of these fixtures, whichever of them comes first."""
    for item in items:
        if SLOW_FIXTURES.intersection(getattr(item, "fixturenames", ())):
            item.add_marker("slow")


def pytest_collection_finish() -> None:
    """Leaves what is imported by now out of all garbage collections; it stays to the end."""
    gc.freeze()


@pytest.fixture(autouse=True, scope="session")
def _two_threads() -> None:
    """Parallel test workers must not fight for the cores."""
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    torch.set_num_threads(1 if workers > 1 else 2)


@pytest.fixture
def shared() -> Path:
    """The folder of data that may not be committed."""
    if not SHARED.is_dir():
        pytest.skip("../shared is absent: its photos and checkpoint may not be committed")
    return SHARED


@pytest.fixture
def camvid_checkpoint(shared: Path) -> Path:
    """A really trained SegFormer on LVT, in the official container."""
    return shared / "real" / "lvt_segformer_camvid.pth"


def tiny(recursion: int = 2) -> LVTConfig:
    """`TINY` at another recursion depth."""
    return replace(TINY, recursion=recursion)


def tiny_volo(local: AttentionKind, everywhere: AttentionKind) -> LVTConfig:
    """The ablation's frame, with the attentions of one of its rows."""
    first = StageConfig(local, dim=16, heads=2, mlp_hidden=24, layers=1)
    other = StageConfig(everywhere, dim=24, heads=2, mlp_hidden=32, layers=1)
    return LVTConfig((first, other, other, other), stem_layout="volo")


TINY_ABLATION = {
    "volo_d0": tiny_volo("outlook", "self"),
    "volo_d0_csa": tiny_volo("csa", "self"),
    "volo_d0_csa_rasa": tiny_volo("csa", "rasa"),
}
"""By the preset that each stands for."""


__all__ = ["LVT", "SHARED", "TINY", "TINY_ABLATION", "tiny"]

"""A session that runs all day must not grow."""

from __future__ import annotations

import gc
from pathlib import Path

import numpy as np
import psutil
import pytest

from export.capabilities import TARGETS, installed
from export.exporter import export_artifact
from export.request import ExportRequest
from export.targets import load_target

RUNS = 10_000
WARMUP = 500
"""Until arenas and caches have their final size."""


@pytest.mark.slow
@pytest.mark.parametrize("target", ["onnx", "executorch", "tflite"])
def test_memory_stays(target: str, tiny_checkpoint: Path, tmp_path: Path) -> None:
    """The limit is half of what it would take to keep every output, the smallest thing that a run
    allocates: 46 MB. Heaps that are merely cut into pieces stay well below."""
    if not installed(TARGETS[target]):
        pytest.skip(f"the extra {target} is not installed")
    result = export_artifact(ExportRequest(target, out=tmp_path, checkpoint=tiny_checkpoint))
    session = load_target(target).open_session(result.path, threads=1)
    image = np.random.default_rng(0).standard_normal((1, 3, 64, 96), np.float32)
    for _ in range(WARMUP):
        outputs = session.run(image)
    process = psutil.Process()
    gc.collect()
    before = process.memory_info().rss
    for _ in range(RUNS):
        session.run(image)
    gc.collect()
    grown = process.memory_info().rss - before
    assert grown < RUNS * outputs["logits"].nbytes / 2, f"{grown / 1e6:.1f} MB"

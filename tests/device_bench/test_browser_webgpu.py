"""WebGPU in a real Chromium, on its software device: the outputs of whole models of each task.

Float32 only: ONNX artifacts have no other float. Speed means nothing here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from device_bench.devices.browser.artifact import SamplePicture
from device_bench.measure import warmup
from export.pipeline import export_artifact
from export.plan import ExportRequest
from lvt.checkpoint import CheckpointMeta, write_checkpoint
from lvt.config import Task
from lvt.data.images import packaged_photos, read_image
from lvt.demo import DEMO_SIZE, HELD_OUT_SEEDS
from lvt.demo.scenes import make_scene
from lvt.models import ModelSpec, build_random
from tests.conftest import TINY
from tests.device_bench.browsers import SHORT, chromium, runtime, serving
from tests.helpers.artifact_fixtures import TINY_SEMANTIC
from tests.helpers.shared_artifacts import SharedArtifacts

if TYPE_CHECKING:
    from playwright.sync_api import Page

TEN_MINUTES = 600_000
ONE_RUN = replace(SHORT, preset=replace(SHORT.preset, min_runs=1), min_runs=1)
SCENE = SamplePicture("scene", make_scene(HELD_OUT_SEEDS[0], DEMO_SIZE).image)
PHOTO = SamplePicture("photo", read_image(packaged_photos()[0])[:256, :320])


@pytest.fixture
def page() -> Iterator[Page]:
    runtime()
    with chromium() as browser:
        context = browser.new_context()
        opened = context.new_page()
        opened.set_default_timeout(TEN_MINUTES)
        yield opened
        context.close()


def exported(task: Task, folder: Path, shared_artifacts: SharedArtifacts) -> Path:
    """A tiny model; of panoptic ones, `demo` at a small size has detections."""
    if task == "panoptic":
        request = ExportRequest("onnx", checkpoint="demo", size=(128, 160), form="parts")
        return shared_artifacts.export(request).path
    spec = TINY_SEMANTIC if task == "semantic" else ModelSpec(task, TINY, 3)
    path = folder / f"{task}.safetensors"
    write_checkpoint(path, build_random(spec, seed=5), spec, CheckpointMeta())
    request = ExportRequest("onnx", out=folder, checkpoint=path, size=(64, 96))
    return export_artifact(request).path


@pytest.mark.slow
@pytest.mark.parametrize("task", ["classification", "semantic", "panoptic"])
def test_outputs_of_whole_models(
    task: Task,
    tmp_path: Path,
    page: Page,
    shared_artifacts: SharedArtifacts,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A kernel that computes something else would make figures of a wrong answer."""
    # Each inference takes seconds here, and none is a measurement.
    monkeypatch.setattr(warmup, "WINDOW", 1)
    monkeypatch.setattr(warmup, "MIN_SECONDS", 0.0)
    artifact, results = exported(task, tmp_path, shared_artifacts), tmp_path / "results.json"
    sample = SCENE if task == "panoptic" else PHOTO
    with serving([artifact], [sample], runtime(), json_file=results, config=ONE_RUN) as url:
        page.goto(url)
        if not page.evaluate("async () => Boolean(await navigator.gpu?.requestAdapter())"):
            pytest.skip("this Chromium has no WebGPU, not even in software")
        page.wait_for_selector("#start:enabled")
        page.check("input[value=webgpu]")
        page.click("#start")
        page.wait_for_selector(".card, #failure:visible")
        assert not page.is_visible("#failure"), page.inner_text("#failure")
    (entry,) = json.loads(results.read_text())["results"]
    assert entry["backend"] == "onnxruntime-web webgpu"
    assert entry["device"]["gpu"]
    parity = entry["parity"]
    assert parity["passed"], parity
    assert min(output["sqnr_db"] for output in parity["outputs"]) > 90

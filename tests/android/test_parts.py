"""The Kotlin core must run models in parts as Python does."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from export.artifact.reader import open_artifact
from export.panoptic.parts.session import STAGES
from export.pipeline import ExportResult
from export.predict.prediction import PanopticPrediction
from lvt.data.images import packaged_photos
from lvt.demo import DEMO_SIZE, HELD_OUT_SEEDS
from lvt.demo.scenes import make_scene
from lvt.panoptic.coco_export import to_coco
from tests.android.core import Core, pixel_agreement

SCENES = 20


@pytest.fixture
def demo_parts(demo_export: ExportResult) -> Path:
    """The demonstration model in parts."""
    return demo_export.path


@pytest.mark.slow
def test_parts_equal_python_in_every_pixel(core: Core, demo_parts: Path, tmp_path: Path) -> None:
    """The host steps decide the same in both languages: no tolerance, unlike for the whole form."""
    pictures = list(packaged_photos())
    for seed in HELD_OUT_SEEDS[:SCENES]:
        pictures.append(tmp_path / f"{seed}.png")
        Image.fromarray(make_scene(seed, DEMO_SIZE).image).save(pictures[-1])
    artifact = open_artifact(demo_parts)
    host = artifact.host
    assert host is not None
    for prediction in core.run(demo_parts, tmp_path / "maps", pictures):
        python = artifact.predict(Path(prediction["image"]))
        assert isinstance(python, PanopticPrediction)
        expected, _ = to_coco(python.panoptic, list(range(python.panoptic.void)))
        assert pixel_agreement(prediction, expected) == 1.0
        things = [s["score"] for s in prediction["segments"] if s["score"] is not None]
        stages = prediction["stages"]
        assert list(stages["milliseconds"]) == list(STAGES)
        assert stages["proposals"] == host.proposals
        assert len(things) <= stages["detections"] <= host.detections


@pytest.mark.slow
def test_benchmark_of_parts(
    core: Core, demo_parts: Path, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """The stages add up to an inference; host steps take a small share of it."""
    request = {"schema": 1, "artifact": str(demo_parts), "runtime": "onnxruntime", "threads": 1}
    file = tmp_path / "request.json"
    file.write_text(json.dumps({**request, "warmup": 60, "runs": 40}))
    called = core.call("bench", file)
    assert called.returncode == 0, called.stderr
    result = json.loads(called.stdout)
    milliseconds = result["stages"]["milliseconds"]
    assert list(milliseconds) == list(STAGES)
    assert sum(milliseconds.values()) == pytest.approx(result["latency_ms"]["median"], rel=0.3)
    host = milliseconds["proposals"] + milliseconds["detections"]
    record_property("milliseconds of the host steps", host)
    print(f"host steps: {host:.3f} ms of {result['latency_ms']['median']:.3f} ms")
    assert host < milliseconds["core"]

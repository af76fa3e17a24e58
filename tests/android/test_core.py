"""The Kotlin core on the JVM, with the real exported files, gives Python's answers."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from export.artifact.reader import manifest_path
from export.pipeline import ExportResult, export_artifact
from export.plan import ExportRequest
from export.predict.evaluation import SessionSubject, open_artifact_subject
from lvt.checkpoint import CheckpointMeta, write_checkpoint
from lvt.data.images import packaged_photos, read_image
from lvt.demo import HELD_OUT_SEEDS
from lvt.demo.scenes import make_scene
from lvt.models import ModelSpec, build_random
from lvt.panoptic.coco_export import to_coco
from lvt.panoptic.fusion import PanopticMap
from quantization.pipeline import Quantizer, QuantizeRequest
from tests.android.core import Core, build_core
from tests.conftest import TINY
from tests.golden.make import figures

SAME_PIXELS = 0.999
"""The two ONNX Runtimes are different releases, and float32 sums of semantic scores are taken in
another order: a pixel on a border may flip."""
SAME_PIXELS_INT8 = 0.99
"""Their int8 operators round differently too: on the demonstration model 99.5% of a scene's pixels
were the same."""
SCENES = 20


@pytest.fixture(scope="session")
def core() -> Core:
    return build_core()


def compare(subject: SessionSubject, answer: dict[str, Any]) -> None:
    """All segments of a panoptic map, and the map."""
    said = subject.answer(read_image(Path(answer["image"])))
    assert isinstance(said, PanopticMap)
    expected, _ = to_coco(said, list(range(said.void)))
    assert pixels_in_common(answer, expected) >= SAME_PIXELS
    assert [(s["id"], s["label"]) for s in answer["segments"]] == [
        (s.id, s.label) for s in said.segments
    ]
    for ours, theirs in zip(answer["segments"], said.segments, strict=True):
        assert ours["area"] == pytest.approx(theirs.area, abs=(1 - SAME_PIXELS) * said.ids.size)


def pixels_in_common(answer: dict[str, Any], expected: NDArray[np.uint8]) -> float:
    map_written = np.asarray(Image.open(answer["map"]))
    assert map_written.shape == expected.shape
    return float((map_written == expected).all(axis=-1).mean())


def test_panoptic_maps_of_scenes(core: Core, demo_export: ExportResult, tmp_path: Path) -> None:
    """What the phone shows is what Python measured, on scenes the model has never seen."""
    pictures = []
    for seed in HELD_OUT_SEEDS[:SCENES]:
        pictures.append(tmp_path / f"{seed}.png")
        Image.fromarray(make_scene(seed).image).save(pictures[-1])
    subject = open_artifact_subject(demo_export.path, threads=1)
    answers = core.run(demo_export.path, tmp_path / "maps", pictures)
    assert len(answers) == SCENES
    assert sum(len(answer["segments"]) for answer in answers) > 10 * SCENES
    for answer in answers:
        compare(subject, answer)


def _sideways(picture: Image.Image, path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    picture.transpose(Image.Transpose.ROTATE_90).save(path, exif=exif)


PICTURES: dict[str, Callable[[Image.Image, Path], None]] = {
    "grey": lambda picture, path: picture.convert("L").save(path),
    "grey with alpha": lambda picture, path: picture.convert("LA").save(path),
    "palette": lambda picture, path: picture.convert("P").save(path),
    "alpha": lambda picture, path: _half_transparent(picture).save(path),
    "black and white": lambda picture, path: picture.convert("1").save(path),
    "lying on its side": _sideways,
}


def _half_transparent(picture: Image.Image) -> Image.Image:
    picture = picture.copy()
    picture.putalpha(128)
    return picture


def test_pictures_of_every_kind(core: Core, demo_export: ExportResult, tmp_path: Path) -> None:
    """Photos of other sizes, JPEG, EXIF, and what a PNG can be: read as Python reads them."""
    scene = Image.fromarray(make_scene(7, (180, 300)).image)
    pictures = list(packaged_photos())
    for name, save in PICTURES.items():
        pictures.append(tmp_path / f"{name}.png")
        save(scene, pictures[-1])
    subject = open_artifact_subject(demo_export.path, threads=1)
    for answer in core.run(demo_export.path, tmp_path / "maps", pictures):
        compare(subject, answer)


def compare_labels(core: Core, artifact: Path, folder: Path, same_pixels: float) -> None:
    subject = open_artifact_subject(artifact, threads=1)
    for answer in core.run(artifact, folder, packaged_photos()[:2]):
        labels = subject.answer(read_image(Path(answer["image"])))
        assert isinstance(labels, np.ndarray)
        expected = np.stack([labels, 0 * labels, 0 * labels], axis=-1).astype(np.uint8)
        assert pixels_in_common(answer, expected) >= same_pixels
        assert sum(area["area"] for area in answer["areas"]) == labels.size


def test_label_maps(core: Core, tiny_export: ExportResult, tmp_path: Path) -> None:
    compare_labels(core, tiny_export.path, tmp_path, SAME_PIXELS)


def test_int8(core: Core, tiny_checkpoint: Path, tmp_path: Path) -> None:
    """The files that are meant for phones: quantized operators, and a precision of their own."""
    export = ExportRequest("onnx", out=tmp_path, checkpoint=tiny_checkpoint)
    request = QuantizeRequest(export, packaged_photos()[0].parent, method="minmax")
    artifact = Quantizer(request).quantize("onnx")
    assert artifact.manifest["precision"] == "int8"
    compare_labels(core, artifact.path, tmp_path, SAME_PIXELS_INT8)


def test_classes(core: Core, tmp_path: Path) -> None:
    """Classification resizes with Pillow's bicubic filter and crops."""
    spec = ModelSpec("classification", TINY, 6)
    checkpoint = tmp_path / "tiny_classes.safetensors"
    meta = CheckpointMeta(class_names=tuple("abcdef"), input_size=(64, 64))
    write_checkpoint(checkpoint, build_random(spec, seed=2), spec, meta)
    artifact = export_artifact(ExportRequest("onnx", out=tmp_path, checkpoint=checkpoint)).path
    subject = open_artifact_subject(artifact, threads=1)
    for answer in core.run(artifact, tmp_path, packaged_photos()):
        said = subject.answer(read_image(Path(answer["image"])))
        assert isinstance(said, list)
        assert [entry["index"] for entry in answer["classes"]] == [s.index for s in said[:5]]
        np.testing.assert_allclose(
            [entry["probability"] for entry in answer["classes"]],
            [score.probability for score in said[:5]],
            rtol=1e-4,
        )
        assert "map" not in answer


def test_benchmark(core: Core, tiny_export: ExportResult, tmp_path: Path) -> None:
    """The figures are those that `lvt-bench` would make of the same samples."""
    request = {"schema": 1, "artifact": str(tiny_export.path), "runtime": "onnxruntime"}
    file = tmp_path / "request.json"
    file.write_text(json.dumps({**request, "threads": 1, "warmup": 2, "runs": 9}))
    called = core.call("bench", file)
    assert called.returncode == 0, called.stderr
    result = json.loads(called.stdout)
    assert result["request"] == {**request, "threads": 1, "warmup": 2, "runs": 9, "seconds": 0.0}
    assert result["warmup"]["runs"] == 2
    assert result["sha256"] == tiny_export.manifest["file"]["sha256"]
    assert len(result["samples_ms"]) == 9
    assert min(result["load_ms"], result["first_ms"], *result["samples_ms"]) > 0
    expected = figures(np.array(result["samples_ms"]))
    assert {"median", "p90"} <= result["latency_ms"].keys()
    for name, value in result["latency_ms"].items():
        assert value == pytest.approx(expected[name])


def test_bad_benchmark_request(core: Core, tmp_path: Path) -> None:
    file = tmp_path / "request.json"
    file.write_text('{"schema": 1, "artifact": "a.onnx", "runtime": "onnxruntime", "rums": 3}')
    called = core.call("bench", file)
    assert called.returncode == 2
    assert "rums" in json.loads(called.stdout)["error"]


def test_errors_are_one_line(core: Core, tiny_export: ExportResult, tmp_path: Path) -> None:
    copy = tmp_path / "copy.onnx"
    copy.write_bytes(tiny_export.path.read_bytes())
    photo = packaged_photos()[0]
    manifest = manifest_path(copy)

    def message(*arguments: str | Path) -> str:
        called = core.call("run", *arguments)
        assert called.returncode == 2
        assert called.stdout == ""
        assert len(called.stderr.splitlines()) == 1, called.stderr
        return called.stderr

    assert "has no manifest" in message(copy, tmp_path, photo)
    manifest.write_text("{")
    assert "is not a manifest" in message(copy, tmp_path, photo)
    manifest.write_bytes(manifest_path(tiny_export.path).read_bytes())
    assert "no image at" in message(copy, tmp_path, tmp_path / "none.png")
    assert "as an image" in message(copy, tmp_path, manifest)
    copy.write_bytes(b"other")
    assert "SHA-256 differs" in message(copy, tmp_path, photo)


def test_nothing_is_left_in_the_home(core: Core, tiny_export: ExportResult, tmp_path: Path) -> None:
    """ONNX Runtime's telemetry is switched off before the library loads."""
    home = tmp_path / "home"
    home.mkdir()
    kept = {key: value for key, value in os.environ.items() if not key.startswith("ORT_")}
    photo = packaged_photos()[0]
    done = core.call(
        *("run", tiny_export.path, tmp_path / "maps", photo),
        environment={**kept, "HOME": str(home)},
    )
    assert done.returncode == 0, done.stderr
    assert [path for path in home.rglob("*") if path.is_file()] == []

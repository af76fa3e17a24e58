"""lvt-bench serve, end to end in a real Chromium: what a phone would do."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import onnx
import pytest

from device_bench.devices.browser import api
from device_bench.devices.browser.artifact import SamplePicture
from device_bench.devices.browser.results import BrowserTiming, parse_timings
from device_bench.report.tables import decimal_places, format_interval
from device_bench.results.bench_report import read_report
from export.artifact.files import content_bytes, content_sha256, manifest_path, write_manifest
from export.artifact.reader import open_artifact
from export.panoptic.parts.session import PartsSession
from export.pipeline import ExportResult, export_artifact
from export.plan import ExportRequest
from export.reference import reference_session
from export.targets.onnx.session import OnnxSession
from lvt.data.images import packaged_photos, read_image
from lvt.demo import DEMO_SIZE, HELD_OUT_SEEDS
from lvt.demo.scenes import make_scene
from lvt.errors import UserError
from lvt.models import build_random
from tests.device_bench.browsers import SHORT, chromium, runtime, serving
from tests.export.targets.test_saturation import one_layer
from tests.helpers.artifact_fixtures import TINY_SEMANTIC

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

MINUTE = 60_000
SCENE = SamplePicture("scene", make_scene(HELD_OUT_SEEDS[0], DEMO_SIZE).image)
PHOTO = SamplePicture("photo", read_image(packaged_photos()[0])[:256, :320])


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    runtime()
    with chromium() as found:
        yield found


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A phone's screen; whatever the page fails to catch fails the test."""
    failures: list[str] = []
    context = browser.new_context(viewport={"width": 390, "height": 844}, ignore_https_errors=True)
    opened = context.new_page()
    opened.set_default_timeout(MINUTE)
    opened.on("pageerror", lambda error: failures.append(str(error)))
    yield opened
    context.close()
    assert failures == []


def measured(page: Page, url: str, provider: str = "wasm") -> str:
    """What the page shows after a run."""
    page.goto(url)
    page.wait_for_selector("#start:enabled")
    page.check(f"input[value={provider}]")
    page.click("#start")
    page.wait_for_selector(".card, #failure:visible")
    assert not page.is_visible("#failure"), page.inner_text("#failure")
    page.wait_for_selector("#start:enabled")
    return page.inner_text("#results")


@pytest.mark.slow
def test_figures_of_a_browser_land_in_the_result_file(
    tiny_export: ExportResult, tiny_checkpoint: Path, tmp_path: Path, page: Page
) -> None:
    """The command as a user runs it, with two artifacts, until Ctrl-C."""
    request = ExportRequest("onnx", out=tmp_path, checkpoint=tiny_checkpoint, rewrite=False)
    plain = export_artifact(request)
    results = tmp_path / "results.json"
    options = ["--json", str(results), "--runs", "8", "--min-seconds", "0", "--port", "0"]
    program = "from device_bench.cli.bench import app; app()"
    command = [sys.executable, "-c", program, "serve", str(plain.path), str(tiny_export.path)]
    with subprocess.Popen(
        [*command, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().removeprefix("open ").strip()
            shown = measured(page, url)
        finally:
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert err.splitlines()[-1] == "interrupted"
    assert "Traceback" not in err
    assert "Outputs match ONNX Runtime" in shown
    assert "speed-up" in out

    file = read_report(results)
    assert [result.model.name for result in file.results] == [
        plain.path.name,
        tiny_export.path.name,
    ]
    for result, entry in zip(file.results, json.loads(results.read_text())["results"], strict=True):
        assert result.backend == "onnxruntime-web wasm"
        assert len(result.samples_ms) == 8
        assert result.latency.median.value == pytest.approx(
            float(np.median(result.samples_ms)), abs=1e-3
        )
        assert result.validity_issues[0] == "8 runs; preset quick requires 128"
        assert entry["parity"]["passed"]
        assert min(output["sqnr_db"] for output in entry["parity"]["outputs"]) > 90
        assert entry["device"]["cross_origin_isolated"] is True
        assert "Chrome" in entry["label"]
        assert format_interval(result.latency.median, decimal_places(result)) in shown
    assert file.results[1].speedup is not None


@pytest.mark.slow
def test_a_model_in_parts(
    tiny_export: ExportResult,
    demo_export: ExportResult,
    tmp_path: Path,
    page: Page,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The host steps run in the page, between the files; their times are told apart."""
    results = tmp_path / "results.json"
    timings: list[BrowserTiming] = []

    def parse(data: Mapping[str, Any], artifacts: int) -> list[BrowserTiming]:
        timings.extend(parse_timings(data, artifacts))
        return timings

    monkeypatch.setattr(api, "parse_timings", parse)
    paths, pictures = [tiny_export.path, demo_export.path], [SCENE, PHOTO]
    with serving(paths, pictures, runtime(), json_file=results) as url:
        shown = measured(page, url)
        assert shown.count("Outputs match ONNX Runtime") == 2
        page.select_option("#chosen", "1")
        page.click("#samples button")
        page.wait_for_selector("#overlay:visible")
    entry = json.loads(results.read_text())["results"][1]
    assert entry["parity"]["passed"]
    assert min(output["sqnr_db"] for output in entry["parity"]["outputs"]) > 90
    assert entry["parity"]["detections"] > 5

    whole, parts = (timing.stages for timing in timings)
    assert whole is None
    assert parts is not None
    artifact = open_artifact(demo_export.path)
    session = artifact.open_session()
    assert isinstance(session, PartsSession)
    session.run(artifact.preprocessing(SCENE.picture))
    assert session.stages is not None
    assert parts.proposals == session.stages.proposals > 0
    assert parts.detections == session.stages.detections > 0
    assert all(value > 0 for value in parts.milliseconds.values())
    total = sum(parts.milliseconds.values())
    assert total == pytest.approx(float(np.median(entry["samples_ms"])), rel=0.3)
    assert parts.milliseconds["core"] > total / 4


@pytest.mark.slow
def test_outputs_match_the_pytorch_reference(
    tiny_export: ExportResult, tmp_path: Path, page: Page
) -> None:
    """Not only ONNX Runtime on this machine: the reference itself."""
    results = tmp_path / "results.json"
    reference = reference_session(build_random(TINY_SEMANTIC, seed=5), TINY_SEMANTIC)
    with serving(
        [tiny_export.path], [PHOTO], runtime(), json_file=results, reference=reference
    ) as url:
        shown = measured(page, url)
    assert "Outputs match the PyTorch reference" in shown
    entry = json.loads(results.read_text())["results"][0]
    assert entry["parity"]["passed"]
    assert entry["parity"]["agreement"]["value"] > 0.999
    assert not any("parity" in reason for reason in entry["reasons"])


@pytest.mark.slow
def test_a_browser_that_computes_something_else_is_found_out(
    tiny_export: ExportResult, tmp_path: Path, page: Page
) -> None:
    """Figures of a wrong answer must not be quoted."""
    results = tmp_path / "results.json"
    other = reference_session(build_random(TINY_SEMANTIC, seed=6), TINY_SEMANTIC)
    with serving([tiny_export.path], [PHOTO], runtime(), json_file=results, reference=other) as url:
        shown = measured(page, url)
    assert "Outputs differ from the PyTorch reference" in shown
    (result,) = read_report(results).results
    assert not result.valid
    assert any(
        "parity failed in the browser: logits is off by" in r for r in result.validity_issues
    )


def two_nodes(folder: Path, manifest: Mapping[str, Any]) -> Path:
    """An artifact with `TINY_SEMANTIC`'s inputs and outputs: a pooling and a convolution."""
    float32 = onnx.TensorProto.FLOAT
    image, logits = (
        onnx.helper.make_tensor_value_info(info["name"], float32, info["shape"])
        for info in (manifest["inputs"][0], manifest["outputs"][0])
    )
    weight = onnx.helper.make_tensor("w", float32, [3, 3, 1, 1], [1, 0, -1, 0.5, 2, 0, -2, 0, 1])
    nodes = [
        onnx.helper.make_node(
            "AveragePool", ["image"], ["small"], kernel_shape=[4, 4], strides=[4, 4]
        ),
        onnx.helper.make_node("Conv", ["small", "w"], ["logits"]),
    ]
    graph = onnx.helper.make_graph(nodes, "two_nodes", [image], [logits], [weight])
    opset = [onnx.helper.make_opsetid("", 20)]
    model = onnx.helper.make_model(graph, ir_version=10, opset_imports=opset)
    return as_artifact(model, folder / "two_nodes.onnx", manifest)


def as_artifact(model: onnx.ModelProto, path: Path, manifest: Mapping[str, Any]) -> Path:
    """Saves a model beside a manifest that is another one's but for the file."""
    onnx.save(model, path)
    file = {"name": path.name, "bytes": content_bytes(path), "sha256": content_sha256(path)}
    write_manifest(manifest_path(path), {**manifest, "file": file})
    return path


@pytest.mark.slow
def test_webassembly_adds_int8_products_in_32_bits(
    tiny_export: ExportResult, tmp_path: Path, page: Page
) -> None:
    """Weights whose sums saturate in 16 bits are computed as exactly as any.

    x86 processors without VNNI fail this; see `export.targets.onnx.saturation`.
    """
    results = tmp_path / "results.json"
    model = one_layer("Conv", np.full((3, 3, 4, 4), 127, np.int8), strides=4)
    model.graph.output[0].name = model.graph.node[-1].output[0] = "logits"
    path = as_artifact(model, tmp_path / "loud.onnx", tiny_export.manifest)
    exact = OnnxSession(path, exact=True)
    with serving([path], [PHOTO], runtime(), json_file=results, reference=exact) as url:
        measured(page, url)
    (entry,) = json.loads(results.read_text())["results"]
    (output,) = entry["parity"]["outputs"]
    assert output["sqnr_db"] > 45  # a step of 255 now and then; saturated: 10


@pytest.mark.slow
def test_webgpu(tiny_export: ExportResult, tmp_path: Path, page: Page) -> None:
    """On Chromium's software GPU: the outputs count here, and that the fallback is told."""
    results = tmp_path / "results.json"
    path = two_nodes(tmp_path, tiny_export.manifest)  # software takes a minute over a whole network
    with serving([path], [PHOTO], runtime(), json_file=results) as url:
        page.goto(url)
        if not page.evaluate("async () => Boolean(await navigator.gpu?.requestAdapter())"):
            pytest.skip("this Chromium has no WebGPU, not even in software")
        shown = measured(page, url, "webgpu")
    assert "Outputs match" in shown
    (entry,) = json.loads(results.read_text())["results"]
    assert entry["backend"] == "onnxruntime-web webgpu"
    assert isinstance(entry["device"]["falls_back"], bool)
    assert entry["device"]["gpu"]


@pytest.mark.slow
def test_sample_photo_and_camera(tiny_export: ExportResult, tmp_path: Path, page: Page) -> None:
    """What Python draws of the browser's outputs for all three kinds of picture."""
    with serving([tiny_export.path], [PHOTO], runtime()) as url:
        page.goto(url)
        page.wait_for_selector("#start:enabled")
        page.click("#samples button")
        page.wait_for_selector("#overlay:visible")
        page.wait_for_selector("#start:enabled")
        size = "() => [overlay.naturalWidth, overlay.naturalHeight]"
        width, height = page.evaluate(size)
        assert width > 320  # a legend stands beside the picture
        assert height == 256
        drawn = [page.get_attribute("#overlay", "src")]

        page.set_input_files("#photo", photo_file(tmp_path))
        page.wait_for_function(f"() => overlay.src !== {json.dumps(drawn[0])}")
        page.wait_for_selector("#start:enabled")
        assert page.evaluate(size) == [width, height]

        page.click("#camera")
        page.click("#take")
        page.wait_for_function("() => overlay.naturalHeight > 256")
        assert not page.is_visible("#finder")
        assert not page.is_visible("#failure")


@pytest.mark.slow
def test_two_threads_where_memory_can_be_shared(
    tiny_export: ExportResult, tmp_path: Path, page: Page
) -> None:
    """The headers let the page share memory; without them threads would silently be one."""
    results = tmp_path / "results.json"
    two = replace(SHORT, threads=2)
    with serving([tiny_export.path], [PHOTO], runtime(), json_file=results, config=two) as url:
        page.goto(url)
        cores = page.evaluate("navigator.hardwareConcurrency")
        measured(page, url)
    (entry,) = json.loads(results.read_text())["results"]
    assert entry["device"]["threads"] == min(2, cores)


@pytest.mark.slow
def test_plain_http_in_the_network(tiny_export: ExportResult, tmp_path: Path, page: Page) -> None:
    """What a page without https cannot do is told, and the rest works: the case of most phones."""
    results = tmp_path / "results.json"
    four = replace(SHORT, threads=4)
    try:
        server = serving(
            [tiny_export.path], [PHOTO], runtime(), json_file=results, config=four, lan=True
        )
        with server as url:
            shown = measured(page, url)
            code = np.frombuffer(page.locator("#qr").screenshot(), np.uint8)
            found = cv2.QRCodeDetector().detectAndDecode(cv2.imdecode(code, cv2.IMREAD_GRAYSCALE))
            assert found[0] == url
            assert "One thread instead of 4" in page.inner_text("#notes")
            assert "WebGPU needs https" in page.inner_text("#notes")
            assert not page.is_visible("#camera")
            page.set_input_files("#photo", photo_file(tmp_path))
            page.wait_for_selector("#overlay:visible")
    except UserError as error:
        pytest.skip(str(error))
    assert "Outputs match" in shown
    (entry,) = json.loads(results.read_text())["results"]
    assert entry["device"]["threads"] == 1
    assert "1 of 4 threads: the page cannot share memory (no https)" in entry["reasons"]


def photo_file(folder: Path) -> Path:
    path = folder / "photo.png"
    path.write_bytes(PHOTO.png)
    return path

"""The server that a phone's browser talks to, over real connections and without a browser."""

from __future__ import annotations

import http.client
import json
import shutil
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest

from device_bench.cli import bench as cli
from device_bench.devices.browser.artifact import SamplePicture, prepare_artifact
from device_bench.devices.browser.errors import RequestError
from device_bench.devices.browser.results import parse_timings
from device_bench.devices.browser.runtime import FILES, runtime_folder
from device_bench.devices.browser.server import Server
from device_bench.measure.statistics import latency_ratio
from device_bench.results.bench_report import read_report
from device_bench.results.stage_summary import StageSummary
from export.artifact.files import content_sha256, manifest_path, write_manifest
from export.artifact.reader import open_artifact
from export.panoptic.parts.layout import PARTS
from export.pipeline import ExportResult
from export.targets.onnx.target import open_session
from lvt.data.images import packaged_photos, read_image
from lvt.errors import UserError
from tests.device_bench.browsers import SHORT, serving
from tests.device_bench.result_files import result, result_file, write
from tests.export.test_cli import one_line_error, run

PHOTO = SamplePicture("photo", read_image(packaged_photos()[0])[:128, :160])
DEVICE = {
    "provider": "wasm",
    "user_agent": "Mozilla/5.0 (iPhone; CPU iPhone OS 18_2 like Mac OS X) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) Version/18.2 Mobile/15E148 Safari/604.1",
    "model": "",
    "cores": 4,
    "threads": 1,
    "isolated": False,
    "gpu": "",
    "clock_ms": 0.1,
}
FIGURES = {
    "load_ms": 300.0,
    "first_ms": 150.0,
    "falls_back": None,
    "warmup_ms": [110.0, 100.0, 100.0, 100.0, 100.0, 100.0, 100.0, 100.0, 100.0, 100.0],
    "samples_ms": [101.0, 100.0, 99.0, 100.0, 102.0, 100.0],
}

STAGES: dict[str, Any] = {
    "milliseconds": {
        "core": 70.0, "proposals": 10.5, "boxes": 9, "detections": 0.0, "masks": 8.25
    },
    "proposals": 50,
    "detections": 0,
}  # fmt: skip


@dataclass
class Client:
    """What a browser does, request by request."""

    url: str

    def send(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[int, bytes, http.client.HTTPMessage]:
        """Status, body and headers; a path that begins with / is below no token."""
        parts = urlsplit(self.url)
        connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=20)
        data = json.dumps(body).encode() if isinstance(body, dict) else body
        target = path if path.startswith("/") else parts.path + path
        try:
            connection.request(method, target, data, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read(), answer.headers
        finally:
            connection.close()

    def post(self, path: str, body: Any) -> tuple[int, Any]:
        """Status and JSON, or status and message."""
        status, data, _ = self.send("POST", path, body)
        return status, json.loads(data) if status == 200 else data.decode()

    def begin(self, **changes: Any) -> str:
        """Name of a run."""
        status, answer = self.post("runs", DEVICE | changes)
        assert status == 200, answer
        return str(answer["run"])


@pytest.fixture(scope="module")
def outputs(tiny_export: ExportResult) -> bytes:
    """What a faithful browser sends for the sample."""
    artifact = open_artifact(tiny_export.path)
    found = open_session(artifact.path).run(artifact.preprocessing(PHOTO.picture))
    return found["logits"].astype("<f4").tobytes()


@pytest.fixture
def results(tmp_path: Path) -> Path:
    return tmp_path / "results.json"


@pytest.fixture
def client(tiny_export: ExportResult, tmp_path: Path, results: Path) -> Iterator[Client]:
    for name in FILES:
        (tmp_path / name).write_bytes(b"runtime")
    with serving([tiny_export.path], [PHOTO], tmp_path, json_file=results) as url:
        yield Client(url)


def test_nothing_is_answered_without_the_token(client: Client) -> None:
    """Other people in the network, and other pages in the browser, know the port but not it."""
    token = urlsplit(client.url).path.strip("/")
    assert len(token) >= 20
    for path in (
        "/",
        "/plan.json",
        f"/{token[:-1]}/",
        f"/{token}x/plan.json",
        "//",
        "//[",
        "/%00/",
    ):
        assert client.send("GET", path)[0] == 403, path
    assert client.send("POST", "/wrong/runs", DEVICE)[0] == 403
    assert client.send("GET", "plan.json")[0] == 200


def test_only_what_is_in_the_table_is_served(client: Client) -> None:
    """No path reaches the file system."""
    for path in (
        "../../etc/passwd",
        "ort/../../../etc/passwd",
        "ort/%2e%2e/package.json",
        "package.json",
        "models/1",
        "models/-1",
        "models/0.json",
        "inputs/0/1",
        "samples/1",
        "qr.svg",
        "runs",
    ):
        assert client.send("GET", path)[0] == 404, path
    assert client.send("POST", "plan.json", b"")[0] == 404
    assert client.send("DELETE", "plan.json")[0] == 501


def test_headers_that_shared_memory_needs(client: Client, tiny_export: ExportResult) -> None:
    status, page, headers = client.send("GET", "")
    assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert b"<title>lvt-bench</title>" in page
    for path in ("", "worker.js", f"ort/{FILES[0]}", "absent"):
        headers = client.send("GET", path)[2]
        assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert headers["Cross-Origin-Embedder-Policy"] == "require-corp"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert client.send("GET", "models/0")[1] == tiny_export.path.read_bytes()


def test_sizes_are_limited(client: Client, outputs: bytes) -> None:
    """A body is refused by its announced length, before any of it is read."""
    name = client.begin()
    for path in ("runs", "prepare/0", f"runs/{name}/figures", f"runs/{name}/outputs/0"):
        assert client.send("POST", path, None, {"Content-Length": "999999999"})[0] == 413, path
    one_more = {"Content-Length": str(len(outputs) + 1)}
    assert client.send("POST", f"runs/{name}/outputs/0", None, one_more)[0] == 413
    for headers in (
        {"Content-Length": "-1"},
        {"Content-Length": "1e3"},
        {"Transfer-Encoding": "chunked"},
    ):
        assert client.send("POST", "runs", None, headers)[0] == 411, headers


def test_figures_are_judged_and_written(client: Client, outputs: bytes, results: Path) -> None:
    name = client.begin()
    status, parity = client.post(f"runs/{name}/outputs/0", outputs)
    assert (status, parity["passed"]) == (200, True)
    status, shown = client.post(f"runs/{name}/figures", {"artifacts": [FIGURES], "hidden": True})
    assert status == 200, shown
    (only,) = read_report(results).results
    assert only.label.endswith("(onnxruntime-web wasm, Safari 18 on iOS 18)")
    assert only.latency.median.value == 100
    assert (only.warmup.runs, only.warmup.settled) == (10, True)
    assert only.cold_start.memory_bytes is None
    assert only.validity_issues == ("the page was in the background for a while",)
    assert read_report(results).run.environment["processor"] == "Safari 18 on iOS 18"
    assert client.post(f"runs/{name}/figures", {"artifacts": [FIGURES]})[0] == 422  # it is over


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"samples_ms": [1.0, 0.0]}, "less than a step of this clock"),
        ({"samples_ms": [1.0, float("nan")]}, "invalid"),
        ({"samples_ms": []}, "not a list"),
        ({"warmup_ms": [100.0] * 9}, "ended before latency had settled"),
        ({"warmup_ms": [100.0] * 12}, "continued after latency had settled"),
        ({"warmup_ms": [200.0] * 5 + [100.0] * 5}, "ended before latency had settled"),
        ({"load_ms": None}, "invalid"),
        ({"load_ms": 1e999}, "not a finite number"),
        ({"stages": STAGES}, "files in parts have stages, no others do"),
    ],
)
def test_figures_that_cannot_be_are_refused(
    changes: dict[str, Any], message: str, client: Client, outputs: bytes, results: Path
) -> None:
    name = client.begin()
    client.post(f"runs/{name}/outputs/0", outputs)
    status, told = client.post(f"runs/{name}/figures", {"artifacts": [FIGURES | changes]})
    assert status == 422
    assert message in told
    assert not results.exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"core": -1.0}, "the time of core is -1.0, not a number from 0"),
        ({"boxes": float("nan")}, "the time of boxes is nan"),
        ({"boxes": float("inf")}, "the time of boxes is inf"),
        ({"masks": "5"}, "the time of masks is '5'"),
        ({"masks": None}, "the time of masks is None"),
        ({"more": 1.0}, "are not those of core, proposals, boxes, detections, masks"),
    ],
)
def test_stage_times_that_cannot_be_are_refused(changes: dict[str, Any], message: str) -> None:
    damaged = STAGES | {"milliseconds": STAGES["milliseconds"] | changes}
    with pytest.raises(RequestError, match=f"invalid.*{message}"):
        parse_timings({"artifacts": [FIGURES | {"stages": damaged}]}, 1)


@pytest.mark.parametrize(
    "damaged",
    [
        [],
        {},
        "stages",
        7,
        sorted(STAGES),
        STAGES | {"milliseconds": None},
        STAGES | {"milliseconds": [1, 2, 3, 4, 5]},
        STAGES | {"proposals": -1},
        STAGES | {"proposals": 2.5},
        STAGES | {"detections": True},
        STAGES | {"detections": 10**30},
        STAGES | {"more": 1},
        {key: value for key, value in STAGES.items() if key != "detections"},
    ],
)
def test_damaged_stages_are_refused(damaged: Any) -> None:
    figures = FIGURES | {"stages": STAGES}
    (timing,) = parse_timings({"artifacts": [figures]}, 1)
    assert timing.stages == StageSummary.from_dict(STAGES)
    with pytest.raises(RequestError, match="the timings are invalid") as refused:
        parse_timings({"artifacts": [figures | {"stages": damaged}]}, 1)
    assert "\n" not in str(refused.value)


def test_no_figures_without_outputs(client: Client, outputs: bytes, results: Path) -> None:
    """Speed alone proves nothing."""
    name = client.begin()
    status, told = client.post(f"runs/{name}/figures", {"artifacts": [FIGURES]})
    assert (status, "outputs" in told) == (422, True)
    assert client.post(f"runs/{name}/outputs/0", outputs[:-4])[0] == 422
    broken = np.frombuffer(outputs, "<f4").copy()
    broken[7] = np.nan
    status, told = client.post(f"runs/{name}/outputs/0", broken.tobytes())
    assert (status, "not finite numbers" in told) == (422, True)
    assert client.post("runs/unknown/outputs/0", outputs)[0] == 422
    assert not results.exists()


def test_threads_and_clocks_that_fall_short_are_told(
    tiny_export: ExportResult, tmp_path: Path, outputs: bytes, results: Path
) -> None:
    config = replace(SHORT, threads=4)
    with serving([tiny_export.path], [PHOTO], tmp_path, json_file=results, config=config) as url:
        client = Client(url)
        name = client.begin(clock_ms=10.0, user_agent="\x1b[31mEvil\nLinux" + "x" * 999)
        client.post(f"runs/{name}/outputs/0", outputs)
        assert client.post(f"runs/{name}/figures", {"artifacts": [FIGURES]})[0] == 200
    (only,) = read_report(results).results
    assert only.validity_issues == (
        "1 of 4 threads: the page cannot share memory (no https)",
        "the browser's clock moves in steps of 10 ms",
    )
    assert only.device is not None
    assert str(only.device["system"]).startswith("[31mEvilLinux")
    assert len(str(only.device["system"])) < 300


def test_results_join_those_of_this_machine(
    tiny_export: ExportResult, tmp_path: Path, outputs: bytes, results: Path
) -> None:
    """One file for the host and every phone; ratios across them are of separate runs."""
    host = [25.0, 26.0, 24.0, 25.0]
    protocol = {"name": "short", "runs": 6, "seconds": 0.0, "threads": 1}
    write(results, result_file(result(host), protocol=protocol))
    before = json.loads(results.read_text())["results"]
    with serving([tiny_export.path], [PHOTO], tmp_path, json_file=results) as url:
        client = Client(url)
        for _phone in range(2):
            name = client.begin()
            client.post(f"runs/{name}/outputs/0", outputs)
            client.post(f"runs/{name}/figures", {"artifacts": [FIGURES]})
    assert json.loads(results.read_text())["results"][:1] == before
    file = read_report(results)
    assert file.run.environment["processor"] == "Test processor"
    first, *phones = file.results
    assert len(phones) == 2
    for phone in phones:
        expected = latency_ratio(phone.samples_ms, first.samples_ms)
        assert phone.speedup == expected
        assert phone.speedup is not None
        assert phone.speedup.value == pytest.approx(0.25)


def test_a_model_in_parts(demo_export: ExportResult, tmp_path: Path, results: Path) -> None:
    """Its files are served by the names of the parts, and nothing else of its folder."""
    path = copied(demo_export.path, tmp_path)
    (path / ".DS_Store").write_text("not hashed")
    artifact = open_artifact(path)
    expected = artifact.open_session().run(artifact.preprocessing(PHOTO.picture))
    with serving([path], [PHOTO], tmp_path, json_file=results) as url:
        client = Client(url)
        for part in PARTS:
            status, body, _ = client.send("GET", f"models/0/{part}")
            assert (status, body) == (200, (path / f"{part}.onnx").read_bytes())
        for absent in ("", "/", "/core.onnx", "/core/", "/.DS_Store", "/../core", "/0", "/%2e%2e"):
            assert client.send("GET", f"models/0{absent}")[0] == 404, absent
        assert client.send("GET", "models/1/core")[0] == 404
        plan = json.loads(client.send("GET", "plan.json")[1])
        assert plan["artifacts"][0]["host"] == artifact.manifest["parts"]["host"]
        name = client.begin()
        body = b"".join(array.tobytes() for array in expected.values())
        assert client.post(f"runs/{name}/outputs/0", body)[1]["passed"]
        for figures in (FIGURES, FIGURES | {"stages": STAGES | {"detections": -1}}):
            status, told = client.post(f"runs/{name}/figures", {"artifacts": [figures]})
            assert (status, "the timings are invalid" in told) == (422, True)
        assert not results.exists()
        figures = FIGURES | {"stages": STAGES}
        assert client.post(f"runs/{name}/figures", {"artifacts": [figures]})[0] == 200


def test_damaged_folders(demo_export: ExportResult, tmp_path: Path) -> None:
    """A file that is gone, or another one, is told in one line, whether or not hashes match."""
    path = copied(demo_export.path, tmp_path)
    shutil.copyfile(path / "boxes.onnx", path / "masks.onnx")
    with pytest.raises(UserError, match="SHA-256 differs"):
        prepare_artifact(path, [PHOTO])
    (path / "masks.onnx").unlink()
    manifest = json.loads(manifest_path(path).read_text())
    manifest["file"]["sha256"] = content_sha256(path)
    write_manifest(manifest_path(path), manifest)
    with pytest.raises(UserError, match=r"^\S* has no file masks\.onnx; export it again$"):
        prepare_artifact(path, [PHOTO])


def copied(model: Path, folder: Path) -> Path:
    """A copy of a model's folder and of its manifest."""
    shutil.copyfile(manifest_path(model), folder / manifest_path(model).name)
    return shutil.copytree(model, folder / model.name)


def test_pictures_become_inputs_and_answers(
    client: Client, tiny_export: ExportResult, outputs: bytes
) -> None:
    """Preparing and drawing are Python's, so that no phone resizes in its own way."""
    artifact = open_artifact(tiny_export.path)
    expected = artifact.preprocessing(PHOTO.picture).astype("<f4").tobytes()
    status, tensor, _ = client.send("POST", "prepare/0", PHOTO.png)
    assert (status, tensor) == (200, expected)
    assert client.send("GET", "inputs/0/0")[1] == expected
    body = len(PHOTO.png).to_bytes(4, "little") + PHOTO.png + outputs
    status, answer = client.post("answer/0", body)
    assert status == 200
    assert answer["picture"].startswith("data:image/png;base64,")
    assert client.post("answer/0", body[:-1])[0] == 422
    assert client.post("answer/0", b"\xff" * 20)[0] == 422
    assert client.post("prepare/0", b"no picture")[0] == 422


def test_a_silent_connection_holds_no_one_up(tiny_export: ExportResult, tmp_path: Path) -> None:
    """With TLS too, where a handshake in the accepting thread would stop the server."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed; it makes the certificate")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    files = ["-keyout", str(key), "-out", str(cert)]
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=test", *files],
        check=True,
        capture_output=True,
    )
    with serving([tiny_export.path], [PHOTO], tmp_path, tls=(cert, key)) as url:
        parts = urlsplit(url)
        assert parts.scheme == "https"
        trusting = ssl.create_default_context(cafile=str(cert))
        trusting.check_hostname = False
        with socket.create_connection((str(parts.hostname), parts.port or 0)):
            connection = http.client.HTTPSConnection(
                str(parts.hostname), parts.port, timeout=20, context=trusting
            )
            connection.request("GET", parts.path + "plan.json")
            answer = connection.getresponse()
            assert (answer.status, json.loads(answer.read())["threads"]) == (200, 1)
            connection.close()


def test_only_this_machine_unless_told_otherwise() -> None:
    with Server() as server:
        assert server.server_address[0] == "127.0.0.1"
        with pytest.raises(UserError, match="give another --port"):
            Server(port=server.server_address[1])


@pytest.mark.parametrize(
    ("arguments", "phrase"),
    [
        (["absent.onnx"], "no artifact at absent.onnx"),
        (["ARTIFACT", "--cert", "c.pem"], "--cert and --key belong together"),
        (["ARTIFACT", "--cert", "c.pem", "--key", "k.pem"], "cannot use --cert c.pem"),
        (["ARTIFACT", "--preset", "slow"], "choose one of quick, submission"),
        (["ARTIFACT", "--json", "RESULTS"], "was measured with --preset short and --threads 1"),
        (["ARTIFACT", "--json", "FOLDER"], "is a folder"),
    ],
)
def test_errors(
    arguments: list[str],
    phrase: str,
    tiny_export: ExportResult,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    runtime_folder().mkdir(parents=True)
    for name in FILES:
        (runtime_folder() / name).touch()
    protocol = {"name": "short", "runs": 6, "seconds": 0.0, "threads": 1}
    earlier = write(tmp_path / "earlier.json", result_file(result([1.0]), protocol=protocol))
    places = {"ARTIFACT": tiny_export.path, "FOLDER": tmp_path, "RESULTS": earlier}
    filled = [places.get(argument, argument) for argument in arguments]
    assert run(cli.app, "serve", *filled, "--port", "0") == 2
    assert phrase in one_line_error(capfd)


def test_without_the_runtime(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Told before a default model is exported; and what to do where npm is missing too."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert run(cli.app, "serve") == 2
    assert "lvt-bench serve --setup" in one_line_error(capfd)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    assert run(cli.app, "serve", "--setup") == 2
    assert "install Node.js" in one_line_error(capfd)


def test_a_failing_npm_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Offline: npm's own reason in one line, and no half a runtime in the cache."""
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("npm_config_offline", "true")
    monkeypatch.setenv("npm_config_cache", str(tmp_path / "npm"))
    assert run(cli.app, "serve", "--setup") == 2
    assert "npm could not fetch onnxruntime-web" in one_line_error(capfd)
    assert not runtime_folder().exists()
    assert list(runtime_folder().parent.iterdir()) == []

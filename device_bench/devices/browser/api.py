"""The requests of the page, independent of HTTP: routes, size limits and responses."""

from __future__ import annotations

import json
import re
import secrets
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import onnx

from device_bench.devices.browser.artifact import SamplePicture, ServedArtifact, read_picture
from device_bench.devices.browser.browser_info import BrowserInfo, parse_browser_info
from device_bench.devices.browser.errors import RequestError
from device_bench.devices.browser.page_texts import describe_parity, describe_results
from device_bench.devices.browser.result_store import ResultStore
from device_bench.devices.browser.results import make_results, parse_json_object, parse_timings
from device_bench.devices.browser.runtime import ASSETS, FILES, VERSION
from device_bench.measure import warmup
from device_bench.measure.config import BenchConfig
from device_bench.results.bench_report import BenchReport
from export.parity.compare import ParityReport

_MAX_PICTURE_BYTES = 20_000_000
_MAX_TIMINGS_BYTES = 16_000_000
_MAX_DESCRIPTION_BYTES = 10_000
_MAX_OPEN_RUNS = 16
"""Runs that have started but not ended. With more, the oldest is dropped."""

_PAGE_FILES = (
    "page.js",
    "worker.js",
    "parts.js",
    "host_steps.js",
    "net.js",
    "timing.js",
    "style.css",
)
_CONTENT_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".wasm": "application/wasm",
}
_BINARY, _JSON = "application/octet-stream", "application/json"


@dataclass(frozen=True)
class Response:
    """The body of a response: bytes, or the content of a file."""

    content_type: str
    body: bytes | Path


@dataclass(frozen=True)
class Route:
    """The handler of an existing address.

    Attributes:
        max_bytes: limit of the request's body.
        handle: makes the response from the body.
    """

    max_bytes: int
    handle: Callable[[bytes], Response]


@dataclass
class _BrowserRun:
    """A benchmark that a browser has started."""

    browser: BrowserInfo
    parities: dict[int, ParityReport] = field(default_factory=dict)


class BenchApi:
    """Handles the requests of the page.

    Args:
        served: the artifacts, at least one.
        samples: the sample pictures.
        runtime: folder with the files of onnxruntime-web.
        store: receives the results.
        config: how the browsers measure.
        qr: the address as an SVG picture; None if phones cannot reach it.
        on_results: called with the whole report when results have been added.
        on_event: called with one line about what happens.
    """

    def __init__(
        self,
        served: Sequence[ServedArtifact],
        samples: Sequence[SamplePicture],
        runtime: Path,
        store: ResultStore,
        config: BenchConfig,
        *,
        qr: bytes | None = None,
        on_results: Callable[[BenchReport], None] = lambda _report: None,
        on_event: Callable[[str], None] = lambda _line: None,
    ):
        self._served, self._samples = served, samples
        self._store, self._config = store, config
        self._on_results, self._on_event = on_results, on_event
        self._runs: dict[str, _BrowserRun] = {}
        self._lock = threading.Lock()  # one comparison or picture at a time
        self._files = {name: ASSETS / name for name in _PAGE_FILES}
        self._files[""] = ASSETS / "index.html"
        self._files |= {f"ort/{name}": runtime / name for name in FILES}
        self._documents = {
            "plan.json": Response(_JSON, _encode_json(self._plan(has_qr=qr is not None))),
            "empty.onnx": Response(_BINARY, _empty_model()),
        }
        if qr is not None:
            self._documents["qr.svg"] = Response("image/svg+xml", qr)

    def route(self, method: str, path: str) -> Route | None:
        """The handler of `path`, which has no leading slash; None if there is none."""
        return self._get(path) if method == "GET" else self._post(path)

    def _get(self, path: str) -> Route | None:
        if path in self._documents:
            return Route(0, lambda _body: self._documents[path])
        if path in self._files:
            file = self._files[path]
            return Route(0, lambda _body: Response(_CONTENT_TYPES[file.suffix], file))
        match _split_path(path):
            case ["models", int(index)] if index < len(self._served):
                return self._model(index, None)
            case ["models", int(index), str(part)] if index < len(self._served):
                return self._model(index, part)
            case ["inputs", int(index), int(k)] if self._has_input(index, k):
                tensor = self._served[index].inputs[k]
                return Route(0, lambda _body: Response(_BINARY, tensor.astype("<f4").tobytes()))
            case ["samples", int(k)] if k < len(self._samples):
                return Route(0, lambda _body: Response("image/png", self._samples[k].png))
        return None

    def _post(self, path: str) -> Route | None:
        match _split_path(path):
            case ["runs"]:
                return Route(_MAX_DESCRIPTION_BYTES, self._start_run)
            case ["runs", str(run), "outputs", int(index)] if index < len(self._served):
                limit = self._served[index].output_bytes * len(self._samples)
                return Route(limit, lambda body: self._compare_outputs(run, index, body))
            case ["runs", str(run), "figures"]:
                return Route(_MAX_TIMINGS_BYTES, lambda body: self._end_run(run, body))
            case ["prepare", int(index)] if index < len(self._served):
                return Route(_MAX_PICTURE_BYTES, lambda body: self._preprocess(index, body))
            case ["answer", int(index)] if index < len(self._served):
                limit = 4 + _MAX_PICTURE_BYTES + self._served[index].output_bytes
                return Route(limit, lambda body: self._show_prediction(index, body))
        return None

    def _model(self, index: int, part: str | None) -> Route | None:
        file = self._served[index].files.get(part)
        return None if file is None else Route(0, lambda _body: Response(_BINARY, file))

    def _has_input(self, index: int, sample: int) -> bool:
        return index < len(self._served) and sample < len(self._samples)

    def _plan(self, *, has_qr: bool) -> dict[str, Any]:
        """The configuration of the page, with the warm-up rule of Python."""
        config = self._config
        return {
            "runtime": VERSION,
            "threads": config.threads,
            "runs": config.min_runs,
            "seconds": config.min_seconds,
            "warmup": {
                "window": warmup.WINDOW,
                "tolerance": warmup.TOLERANCE,
                "least_seconds": warmup.MIN_SECONDS,
                "most_seconds": warmup.MAX_SECONDS,
            },
            "artifacts": [entry.describe() for entry in self._served],
            "samples": [sample.name for sample in self._samples],
            "qr": has_qr,
        }

    def _start_run(self, body: bytes) -> Response:
        """Register a run of the browser that the body describes."""
        browser = parse_browser_info(parse_json_object(body))
        name = secrets.token_urlsafe(12)
        with self._lock:
            while len(self._runs) >= _MAX_OPEN_RUNS:
                del self._runs[next(iter(self._runs))]
            self._runs[name] = _BrowserRun(browser)
        self._on_event(f"{browser.name} starts a run, {browser.backend}")
        return Response(_JSON, _encode_json({"run": name}))

    def _run(self, name: str) -> _BrowserRun:
        if name not in self._runs:
            raise RequestError("this run has ended or does not exist; start again")
        return self._runs[name]

    def _compare_outputs(self, name: str, index: int, body: bytes) -> Response:
        """Compare the outputs of all sample pictures with the expected ones."""
        with self._lock:
            parity = self._served[index].compare_outputs(body)
            self._run(name).parities[index] = parity
        return Response(_JSON, _encode_json(describe_parity(parity, self._served[index].reference)))

    def _end_run(self, name: str, body: bytes) -> Response:
        """Convert the timings of a run to results, and end the run."""
        data = parse_json_object(body)
        with self._lock:
            run = self._run(name)
            if len(run.parities) != len(self._served):
                raise RequestError("the outputs of some artifacts are missing")
            results = make_results(
                self._served,
                parse_timings(data, len(self._served)),
                [run.parities[index] for index in range(len(self._served))],
                run.browser,
                self._config,
                hidden=bool(data.get("hidden")),
            )
            report = self._store.add(results)
            del self._runs[name]
            self._on_results(report)
        return Response(_JSON, _encode_json(describe_results(results)))

    def _preprocess(self, index: int, body: bytes) -> Response:
        """Convert a picture file to the input of an artifact."""
        with self._lock:
            tensor = self._served[index].artifact.preprocessing(read_picture(body))
        return Response(_BINARY, tensor.astype("<f4").tobytes())

    def _show_prediction(self, index: int, body: bytes) -> Response:
        """Decode outputs. Body: size of the picture file in 4 bytes, the file, the outputs."""
        size = int.from_bytes(body[:4], "little")
        entry = self._served[index]
        with self._lock:
            picture = read_picture(body[4 : 4 + size])
            outputs = entry.read_outputs(memoryview(body)[4 + size :])
            return Response(_JSON, _encode_json(entry.show_prediction(picture, outputs)))


def _split_path(path: str) -> list[str | int]:
    """Segments of a path, short decimal numbers as integers."""
    return [int(part) if re.fullmatch(r"\d{1,4}", part) else part for part in path.split("/")]


def _encode_json(data: Any) -> bytes:
    return json.dumps(data).encode()


def _empty_model() -> bytes:
    """A graph that does nothing. Loading it starts the runtime, which is no part of a load time."""
    value = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1]) for name in "xy"]
    node = onnx.helper.make_node("Identity", ["x"], ["y"])
    graph = onnx.helper.make_graph([node], "empty", value[:1], value[1:])
    opset = onnx.helper.make_opsetid("", 20)
    model = onnx.helper.make_model(graph, ir_version=10, opset_imports=[opset])
    return bytes(model.SerializeToString())

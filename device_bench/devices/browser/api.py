"""What the page can ask for and send, without a word of HTTP: routes, limits, answers."""

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

from device_bench.devices.browser.artifact import RefusedError, Sample, Served, read_picture
from device_bench.devices.browser.measurements import (
    Device,
    measurements,
    parse_device,
    parse_figures,
    parse_object,
)
from device_bench.devices.browser.result_store import ResultLog
from device_bench.devices.browser.runtime import ASSETS, FILES, VERSION
from device_bench.measure import warmup
from device_bench.measure.preset import Protocol
from device_bench.report.tables import decimals, with_interval
from device_bench.results.read import Result, ResultFile
from export.parity.compare import ParityReport

_PICTURE_BYTES = 20_000_000
_FIGURES_BYTES = 16_000_000
_DESCRIPTION_BYTES = 10_000
_OPEN_RUNS = 16
"""Runs that have begun and not ended; beyond that the oldest is forgotten."""

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".wasm": "application/wasm",
}
_BINARY, _JSON = "application/octet-stream", "application/json"


@dataclass(frozen=True)
class Settings:
    """How browsers are to measure.

    Attributes:
        threads: of WebAssembly.
        runs: least number of rounds.
        seconds: least time each artifact's inferences take together.
        rule: what validity is judged by.
    """

    threads: int
    runs: int
    seconds: float
    rule: Protocol


@dataclass(frozen=True)
class Reply:
    """What goes back: bytes, or a file's content."""

    type: str
    body: bytes | Path


@dataclass
class _Run:
    """A benchmark that a browser has begun."""

    device: Device
    parities: dict[int, ParityReport] = field(default_factory=dict)


@dataclass(frozen=True)
class Route:
    """An address that exists.

    Attributes:
        limit: bytes of the request's body, at most.
        answer: takes the body.
    """

    limit: int
    answer: Callable[[bytes], Reply]


class Desk:
    """Answers the page.

    Args:
        served: the artifacts, at least one.
        samples: pictures that are on offer.
        runtime: folder of onnxruntime-web's files.
        log: takes the results.
        settings: how to measure.
        qr: the address as an SVG picture; None where phones cannot reach it.
        done: told about the whole file whenever results have been added.
        note: told in a line what goes on.
    """

    def __init__(
        self,
        served: Sequence[Served],
        samples: Sequence[Sample],
        runtime: Path,
        log: ResultLog,
        settings: Settings,
        *,
        qr: bytes | None = None,
        done: Callable[[ResultFile], None] = lambda _file: None,
        note: Callable[[str], None] = lambda _line: None,
    ):
        self._served, self._samples = served, samples
        self._log, self._settings = log, settings
        self._done, self._note = done, note
        self._runs: dict[str, _Run] = {}
        self._lock = threading.Lock()  # one comparison or picture at a time
        self._fixed = {
            name: ASSETS / name
            for name in ("page.js", "worker.js", "net.js", "protocol.js", "style.css")
        }
        self._fixed[""] = ASSETS / "index.html"
        self._fixed |= {f"ort/{name}": runtime / name for name in FILES}
        self._made = {
            "plan.json": Reply(_JSON, _json(self._plan(qr is not None))),
            "empty.onnx": Reply(_BINARY, _empty_model()),
        }
        if qr is not None:
            self._made["qr.svg"] = Reply("image/svg+xml", qr)

    def route(self, method: str, path: str) -> Route | None:
        """What answers `path`, which has no leading slash; None if nothing does."""
        return self._get(path) if method == "GET" else self._post(path)

    def _get(self, path: str) -> Route | None:
        if path in self._made:
            return Route(0, lambda _body: self._made[path])
        if path in self._fixed:
            file = self._fixed[path]
            return Route(0, lambda _body: Reply(_TYPES[file.suffix], file))
        match _parts(path):
            case ["models", int(index)] if index < len(self._served):
                return Route(0, lambda _body: Reply(_BINARY, self._served[index].artifact.path))
            case ["inputs", int(index), int(k)] if self._has(index, k):
                tensor = self._served[index].inputs[k]
                return Route(0, lambda _body: Reply(_BINARY, tensor.astype("<f4").tobytes()))
            case ["samples", int(k)] if k < len(self._samples):
                return Route(0, lambda _body: Reply("image/png", self._samples[k].png))
        return None

    def _post(self, path: str) -> Route | None:
        match _parts(path):
            case ["runs"]:
                return Route(_DESCRIPTION_BYTES, self._begin)
            case ["runs", str(run), "outputs", int(index)] if index < len(self._served):
                entry = self._served[index]
                limit = entry.output_bytes * len(self._samples)
                return Route(limit, lambda body: self._outputs(run, index, body))
            case ["runs", str(run), "figures"]:
                return Route(_FIGURES_BYTES, lambda body: self._figures(run, body))
            case ["prepare", int(index)] if index < len(self._served):
                return Route(_PICTURE_BYTES, lambda body: self._prepare(index, body))
            case ["answer", int(index)] if index < len(self._served):
                limit = 4 + _PICTURE_BYTES + self._served[index].output_bytes
                return Route(limit, lambda body: self._answer(index, body))
        return None

    def _has(self, index: int, sample: int) -> bool:
        return index < len(self._served) and sample < len(self._samples)

    def _plan(self, on_lan: bool) -> dict[str, Any]:
        """What the page has to know; the warm-up's rule too, so that it stands in one place."""
        settings = self._settings
        return {
            "runtime": VERSION,
            "threads": settings.threads,
            "runs": settings.runs,
            "seconds": settings.seconds,
            "warmup": {
                "window": warmup.WINDOW,
                "tolerance": warmup.TOLERANCE,
                "least_seconds": warmup.LEAST_SECONDS,
                "most_seconds": warmup.MOST_SECONDS,
            },
            "artifacts": [entry.describe() for entry in self._served],
            "samples": [sample.name for sample in self._samples],
            "qr": on_lan,
        }

    def _begin(self, body: bytes) -> Reply:
        device = parse_device(parse_object(body))
        name = secrets.token_urlsafe(12)
        with self._lock:
            while len(self._runs) >= _OPEN_RUNS:
                del self._runs[next(iter(self._runs))]
            self._runs[name] = _Run(device)
        self._note(f"{device.name} begins, {device.backend}")
        return Reply(_JSON, _json({"run": name}))

    def _run(self, name: str) -> _Run:
        if name not in self._runs:
            raise RefusedError("this run is over, or was never begun; start again")
        return self._runs[name]

    def _outputs(self, name: str, index: int, body: bytes) -> Reply:
        """Compares the outputs of all samples with what was expected."""
        with self._lock:
            report = self._served[index].parity(body)
            self._run(name).parities[index] = report
        return Reply(_JSON, _json(_shown_parity(report, self._served[index].reference)))

    def _figures(self, name: str, body: bytes) -> Reply:
        """Makes results of a run's figures; the run is over then."""
        data = parse_object(body)
        with self._lock:
            run = self._run(name)
            if len(run.parities) != len(self._served):
                raise RefusedError("the outputs of some artifacts are missing")
            made = measurements(
                self._served,
                parse_figures(data, len(self._served)),
                [run.parities[index] for index in range(len(self._served))],
                run.device,
                threads=self._settings.threads,
                rule=self._settings.rule,
                hidden=bool(data.get("hidden")),
            )
            added, whole = self._log.add(made)
            del self._runs[name]
            self._done(whole)
        return Reply(_JSON, _json(_shown_results(added)))

    def _prepare(self, index: int, body: bytes) -> Reply:
        """The network's input for a picture file."""
        with self._lock:
            tensor = self._served[index].artifact.preprocessing(read_picture(body))
        return Reply(_BINARY, tensor.astype("<f4").tobytes())

    def _answer(self, index: int, body: bytes) -> Reply:
        """What outputs say of a picture; body: its length in 4 bytes, the file, the outputs."""
        length = int.from_bytes(body[:4], "little")
        entry = self._served[index]
        with self._lock:
            picture = read_picture(body[4 : 4 + length])
            outputs = entry.read_outputs(memoryview(body)[4 + length :])
            return Reply(_JSON, _json(entry.answer(picture, outputs)))


def _parts(path: str) -> list[str | int]:
    """Segments of a path; short decimal numbers as such."""
    return [int(part) if re.fullmatch(r"\d{1,4}", part) else part for part in path.split("/")]


def _json(data: Any) -> bytes:
    return json.dumps(data).encode()


def _empty_model() -> bytes:
    """A graph that does nothing, whose loading starts the runtime: that is no model's load time."""
    value = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1]) for name in "xy"]
    node = onnx.helper.make_node("Identity", ["x"], ["y"])
    graph = onnx.helper.make_graph([node], "empty", value[:1], value[1:])
    opset = onnx.helper.make_opsetid("", 20)
    model = onnx.helper.make_model(graph, ir_version=10, opset_imports=[opset])
    return bytes(model.SerializeToString())


def _shown_parity(report: ParityReport, reference: str) -> dict[str, Any]:
    """A comparison as the page shows it."""
    outputs = [
        f"{o.name}: max error {o.max_abs_error:.2g} of {o.range:.3g}, SQNR {o.sqnr_db:.1f} dB"
        for o in report.outputs
    ]
    if report.agreement is not None:
        outputs.append(f"same {report.agreement_measure}: {report.agreement:.3%}")
    return {
        "passed": report.passed,
        "reference": reference,
        "lines": report.failures or outputs,
    }


def _shown_results(file: ResultFile) -> list[dict[str, Any]]:
    """One browser's results as the page shows them."""
    return [
        {
            "name": result.artifact,
            "median": f"{with_interval(result.latency.median, decimals(result))} ms",
            "facts": [
                ["p90", f"{with_interval(result.latency.p90, decimals(result))} ms"],
                ["inferences/s", f"{result.latency.per_second:.1f}"],
                ["runs", str(result.latency.runs)],
                ["load, first", f"{result.load_ms:.0f} ms, {result.first_ms:.0f} ms"],
                *([["speed-up", with_interval(result.speedup, 2)]] if result.speedup else []),
                *_placement(result),
            ],
            "reasons": list(result.reasons),
        }
        for result in file.results
    ]


def _placement(result: Result) -> list[list[str]]:
    """Where operators ran, if on a GPU."""
    falls_back = (result.device or {}).get("falls_back")
    if falls_back is None:
        return []
    return [["operators", "some in WebAssembly" if falls_back else "all on the GPU"]]

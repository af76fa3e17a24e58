"""What a browser measured: checked, and made into measurements like this machine's own.

A browser keeps the clock and sends every sample. Whether it warmed up long enough, medians,
intervals and validity are decided here, by the code that judges this machine's runs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from device_bench.devices.browser.artifact import RefusedError, Served
from device_bench.devices.browser.runtime import VERSION
from device_bench.measure.backends import BenchTarget
from device_bench.measure.cold_start import ColdStart
from device_bench.measure.host import Measurement
from device_bench.measure.preset import Protocol, complaints
from device_bench.measure.statistics import Samples, finite, speedup, summarise
from device_bench.measure.warmup import WarmUp, warm_up
from export.parity.compare import ParityReport

PROVIDERS = {"wasm": "WebAssembly", "webgpu": "WebGPU"}
"""onnxruntime-web's execution providers on offer, and what people call them."""

_MOST_SAMPLES = 500_000
_COARSE = 0.05
"""Share of the median that one step of the clock may be."""

_BROWSERS = (
    (r"Edg(?:A|iOS)?/(\d+)", "Edge"),
    (r"SamsungBrowser/(\d+)", "Samsung Internet"),
    (r"(?:Firefox|FxiOS)/(\d+)", "Firefox"),
    (r"(?:HeadlessChrome|Chrome|CriOS)/(\d+)", "Chrome"),
    (r"Version/(\d+)\S* .*Safari/", "Safari"),
)
_SYSTEMS = (
    (r"(?:iPhone )OS (\d+)", "iOS"),
    (r"iPad.* OS (\d+)", "iPadOS"),
    (r"Android (\d+)", "Android"),
    (r"Windows NT", "Windows"),
    (r"Mac OS X", "macOS"),
    (r"Linux", "Linux"),
)


@dataclass(frozen=True)
class Device:
    """A browser, as it describes itself.

    Attributes:
        provider: one of `PROVIDERS`.
        user_agent: its own name.
        model: the phone's, where the browser tells it; else "".
        cores: logical, as it tells.
        threads: that inferences used.
        isolated: whether the page could share memory between threads.
        gpu: vendor and architecture, for WebGPU.
        clock_ms: the smallest step of its clock.
    """

    provider: str
    user_agent: str
    model: str
    cores: int
    threads: int
    isolated: bool
    gpu: str
    clock_ms: float

    @property
    def name(self) -> str:
        """`Pixel 8, Chrome 141 on Android 16`."""
        browser = _first(_BROWSERS, self.user_agent) or "unknown browser"
        system = _first(_SYSTEMS, self.user_agent)
        text = f"{browser} on {system}" if system else browser
        return f"{self.model}, {text}" if self.model else text

    @property
    def backend(self) -> str:
        """As it stands in result files."""
        return f"onnxruntime-web {self.provider}"

    def to_dict(self) -> dict[str, Any]:
        """As it stands in result files; named like the fields of this machine's environment."""
        return {
            "processor": self.name,
            "cores": self.cores,
            "threads": self.threads,
            "gpu": self.gpu or None,
            "system": self.user_agent,
            "cross_origin_isolated": self.isolated,
            "clock_ms": self.clock_ms,
            "packages": {"onnxruntime-web": VERSION},
        }


def _first(patterns: Sequence[tuple[str, str]], text: str) -> str | None:
    for pattern, name in patterns:
        found = re.search(pattern, text)
        if found:
            return " ".join([name, *found.groups()])
    return None


def parse_object(body: bytes) -> dict[str, Any]:
    """A JSON object.

    Raises:
        RefusedError: it is something else.
    """
    try:
        data = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise RefusedError("this is no JSON") from error
    if not isinstance(data, dict):
        raise RefusedError("this is no JSON object")
    return data


def parse_device(data: Mapping[str, Any]) -> Device:
    """What a browser says of itself.

    Raises:
        RefusedError: incomplete, or out of bounds.
    """
    try:
        device = Device(
            provider=str(data["provider"]),
            user_agent=_plain(data["user_agent"]),
            model=_plain(data["model"]),
            cores=int(data["cores"]),
            threads=int(data["threads"]),
            isolated=bool(data["isolated"]),
            gpu=_plain(data["gpu"]),
            clock_ms=finite(data["clock_ms"]),
        )
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise RefusedError(
            f"the description of the browser is not understood: {error!r}"
        ) from error
    if device.provider not in PROVIDERS:
        raise RefusedError(f"unknown execution provider; choose one of {', '.join(PROVIDERS)}")
    if not (1 <= device.cores <= 1024 and 1 <= device.threads <= 1024 and device.clock_ms >= 0):
        raise RefusedError("the description of the browser has impossible numbers")
    return device


def _plain(text: Any) -> str:
    """Text of a stranger, fit for terminals and files: printable, one line, not long."""
    return "".join(c for c in str(text)[:300] if c.isprintable())


@dataclass(frozen=True, eq=False)
class Figures:
    """What was timed of one artifact in a browser.

    Attributes:
        falls_back: whether operators ran in WebAssembly beside the GPU; None without a GPU.
    """

    load_ms: float
    first_ms: float
    falls_back: bool | None
    warmup: WarmUp
    samples_ms: Samples


def parse_figures(data: Mapping[str, Any], artifacts: int) -> list[Figures]:
    """The figures of every artifact, in order.

    Raises:
        RefusedError: incomplete, damaged, or a warm-up that ended before latency had settled.
    """
    try:
        figures = [
            Figures(
                load_ms=finite(entry["load_ms"]),
                first_ms=finite(entry["first_ms"]),
                falls_back=None if entry["falls_back"] is None else bool(entry["falls_back"]),
                warmup=_replayed(_series(entry["warmup_ms"])),
                samples_ms=_series(entry["samples_ms"]),
            )
            for entry in data["artifacts"]
        ]
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise RefusedError(f"the figures are not understood: {error!r}") from error
    if len(figures) != artifacts or len({len(f.samples_ms) for f in figures}) != 1:
        raise RefusedError("the figures are not of interleaved rounds of all artifacts")
    return figures


def _series(values: Any) -> Samples:
    samples = np.array(values, np.float64)
    if samples.ndim != 1 or not 0 < len(samples) <= _MOST_SAMPLES:
        raise ValueError("no series of latencies")
    if not (np.isfinite(samples) & (samples > 0)).all():
        raise ValueError("latencies of 0: an inference takes less than a step of this clock")
    return samples


def _replayed(warmup_ms: Samples) -> WarmUp:
    """The warm-up as this machine's rule sees it, which has to end where the browser ended it."""
    series = iter(warmup_ms / 1e3)
    try:
        found = warm_up(lambda: float(next(series)))
    except StopIteration:
        raise ValueError("the warm-up ended before latency had settled") from None
    if found.runs != len(warmup_ms):
        raise ValueError("the warm-up went on after latency had settled")
    return found


def measurements(
    served: Sequence[Served],
    figures: Sequence[Figures],
    parities: Sequence[ParityReport],
    device: Device,
    *,
    threads: int,
    rule: Protocol,
    hidden: bool,
) -> list[Measurement]:
    """Figures of one browser as measurements.

    Args:
        served: the artifacts.
        figures: of each, from interleaved rounds.
        parities: of each, in that browser.
        device: the browser.
        threads: that were asked for.
        rule: what validity is judged by.
        hidden: whether the page was in the background for a while.
    """
    made = []
    for index, (entry, found, parity) in enumerate(zip(served, figures, parities, strict=True)):
        samples = found.samples_ms
        summary = summarise(samples)
        reasons = complaints(
            samples,
            rule,
            warmup=found.warmup,
            load_before=None,
            busy_threads=device.threads,
            cores=device.cores,
        )
        if device.provider == "wasm" and device.threads != threads:
            why = "has fewer cores" if device.isolated else "cannot share memory (no https)"
            reasons.append(f"{device.threads} of {threads} threads: the page {why}")
        if device.clock_ms > _COARSE * summary.median.value:
            reasons.append(f"the browser's clock moves in steps of {device.clock_ms:.3g} ms")
        if hidden:
            reasons.append("the page was in the background for a while")
        reasons += [f"parity failed in the browser: {failure}" for failure in parity.failures]
        made.append(
            Measurement(
                contestant=BenchTarget(entry.artifact, device.backend, where=device.name),
                cold=ColdStart(found.load_ms, found.first_ms, memory_bytes=None),
                arena_bytes=None,
                warmup=found.warmup,
                samples_ms=samples,
                summary=summary,
                ratio=speedup(figures[0].samples_ms, samples) if index else None,
                preprocess_ms=None,
                postprocess_ms=None,
                joules=None,
                conditions=(),
                answer=None,
                reasons=tuple(reasons),
                device=device.to_dict() | {"falls_back": found.falls_back},
                parity={"reference": entry.reference, **parity.to_dict()},
            )
        )
    return made

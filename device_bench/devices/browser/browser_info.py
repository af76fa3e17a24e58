"""Description of a browser, as its page sends it. Untrusted input."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from device_bench.devices.browser.errors import RequestError
from device_bench.devices.browser.runtime import VERSION
from device_bench.measure.statistics import finite_number

PROVIDERS = {"wasm": "WebAssembly", "webgpu": "WebGPU"}
"""onnxruntime-web's execution providers on the page, with their names."""

_MAX_COUNT = 1024
"""Most cores or threads that a browser may report."""
_MAX_TEXT = 300

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
class BrowserInfo:
    """A browser and its device.

    Attributes:
        provider: one of `PROVIDERS`.
        user_agent: the browser's identification.
        model: of the phone; empty where the browser does not report it.
        cores: logical cores.
        threads: used by the inferences.
        isolated: whether the page can share memory between threads.
        gpu: vendor and architecture, for WebGPU.
        clock_ms: smallest step of the clock.
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
        """For example `Pixel 8, Chrome 141 on Android 16`."""
        browser = _first_match(_BROWSERS, self.user_agent) or "unknown browser"
        system = _first_match(_SYSTEMS, self.user_agent)
        text = f"{browser} on {system}" if system else browser
        return f"{self.model}, {text}" if self.model else text

    @property
    def backend(self) -> str:
        """The backend in result files."""
        return f"onnxruntime-web {self.provider}"

    def to_dict(self) -> dict[str, Any]:
        """The form stored in result files; names as in `host_environment` where possible."""
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


def parse_browser_info(data: Mapping[str, Any]) -> BrowserInfo:
    """Check and convert the description that a page sent.

    Raises:
        RequestError: it is incomplete, or a value is out of range.
    """
    try:
        info = BrowserInfo(
            provider=str(data["provider"]),
            user_agent=_printable(data["user_agent"]),
            model=_printable(data["model"]),
            cores=int(data["cores"]),
            threads=int(data["threads"]),
            isolated=bool(data["isolated"]),
            gpu=_printable(data["gpu"]),
            clock_ms=finite_number(data["clock_ms"]),
        )
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise RequestError(f"the description of the browser is invalid: {error!r}") from error
    if info.provider not in PROVIDERS:
        raise RequestError(f"unknown execution provider; choose one of {', '.join(PROVIDERS)}")
    counts_valid = 1 <= info.cores <= _MAX_COUNT and 1 <= info.threads <= _MAX_COUNT
    if not counts_valid or info.clock_ms < 0:
        raise RequestError("the description of the browser has impossible numbers")
    return info


def _printable(text: Any) -> str:
    """Untrusted text, made safe for terminals and files: printable, one line, short."""
    return "".join(char for char in str(text)[:_MAX_TEXT] if char.isprintable())


def _first_match(patterns: Sequence[tuple[str, str]], text: str) -> str | None:
    for pattern, name in patterns:
        match = re.search(pattern, text)
        if match:
            return " ".join([name, *match.groups()])
    return None

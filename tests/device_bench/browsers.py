"""A real Chromium, and a served page for it; tests skip where one of its parts is missing."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from device_bench.devices.browser.api import Desk, Settings
from device_bench.devices.browser.app import qr_code, svg
from device_bench.devices.browser.artifact import Sample, serve_artifact
from device_bench.devices.browser.result_store import ResultLog
from device_bench.devices.browser.runtime import check_runtime
from device_bench.devices.browser.server import Server
from device_bench.measure.preset import Protocol
from export.session import Session
from lvt.errors import UserError

if TYPE_CHECKING:
    from playwright.sync_api import Browser

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_ARGUMENTS = (
    "--no-sandbox",  # containers run as root
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--enable-unsafe-webgpu",
    "--use-webgpu-adapter=swiftshader",
)

SHORT = Settings(threads=1, runs=6, seconds=0.0, rule=Protocol("short", 6, 0.0))


@contextmanager
def chromium() -> Iterator[Browser]:
    """This machine's Chromium without a window."""
    playwright = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
    found = next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None:
        pytest.skip("Chromium is not installed (Debian: apt-get install chromium)")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=found, args=[*_ARGUMENTS])
        try:
            yield browser
        finally:
            browser.close()


def runtime() -> Path:
    """onnxruntime-web's files."""
    try:
        return check_runtime()
    except UserError as error:
        pytest.skip(str(error))


@contextmanager
def serving(
    artifacts: Sequence[Path],
    samples: Sequence[Sample],
    runtime_folder: Path,
    *,
    json_file: Path | None = None,
    reference: Session | None = None,
    settings: Settings = SHORT,
    lan: bool = False,
    tls: tuple[Path, Path] | None = None,
) -> Iterator[str]:
    """A server in a thread of this process; gives its address."""
    bugs: list[BaseException] = []
    log = ResultLog(json_file, threads=settings.threads, rule=settings.rule)
    with Server(lan=lan, tls=tls, unexpected=bugs.append) as server:
        served = [serve_artifact(path, samples, reference) for path in artifacts]
        qr = svg(qr_code(server.url)) if lan else None
        server.desk = Desk(served, samples, runtime_folder, log, settings, qr=qr)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server.url
        finally:
            server.shutdown()
            thread.join()
    assert not bugs, bugs

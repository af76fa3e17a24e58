"""A real Chromium and a server for it; tests are skipped where a part is missing."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from device_bench.devices.browser.api import BenchApi
from device_bench.devices.browser.app import qr_code, qr_svg
from device_bench.devices.browser.artifact import SamplePicture, prepare_artifact
from device_bench.devices.browser.result_store import ResultStore
from device_bench.devices.browser.runtime import check_runtime
from device_bench.devices.browser.server import Server
from device_bench.measure.config import BenchConfig
from device_bench.measure.preset import BenchmarkPreset
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

SHORT = BenchConfig(BenchmarkPreset("short", 6, 0.0), threads=1, min_runs=6, min_seconds=0.0)


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
    samples: Sequence[SamplePicture],
    runtime_folder: Path,
    *,
    json_file: Path | None = None,
    reference: Session | None = None,
    config: BenchConfig = SHORT,
    lan: bool = False,
    tls: tuple[Path, Path] | None = None,
) -> Iterator[str]:
    """Run a server in a thread of this process; yield its address."""
    bugs: list[BaseException] = []
    store = ResultStore(json_file, config)
    with Server(lan=lan, tls=tls, on_unexpected=bugs.append) as server:
        served = [prepare_artifact(path, samples, reference) for path in artifacts]
        qr = qr_svg(qr_code(server.url)) if lan else None
        server.api = BenchApi(served, samples, runtime_folder, store, config, qr=qr)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server.url
        finally:
            server.shutdown()
            thread.join()
    assert not bugs, bugs

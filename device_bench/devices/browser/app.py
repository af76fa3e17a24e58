"""Runs the server of `lvt-bench serve`, from opening the artifacts to the last result."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from device_bench.devices.browser.api import BenchApi
from device_bench.devices.browser.artifact import (
    SamplePicture,
    ServedArtifact,
    prepare_artifact,
    sample_pictures,
)
from device_bench.devices.browser.result_store import ResultStore
from device_bench.devices.browser.runtime import check_runtime
from device_bench.devices.browser.server import Server
from device_bench.measure.config import BenchConfig
from device_bench.report.tables import print_report
from device_bench.results.bench_report import BenchReport
from lvt.support.extras import missing_extra

if TYPE_CHECKING:
    import segno

    from lvt.support.terminal import Terminal


@dataclass(frozen=True)
class ServerAddress:
    """Where to listen.

    Attributes:
        lan: on all interfaces instead of on the loopback interface.
        port: 0 for any free port.
        tls: certificate and key files; None for plain HTTP.
    """

    lan: bool
    port: int
    tls: tuple[Path, Path] | None


def run_server(
    terminal: Terminal,
    artifacts: Sequence[Path],
    address: ServerAddress,
    config: BenchConfig,
    json_file: Path | None,
) -> None:
    """Serve artifacts until Ctrl-C, and print the tables whenever a browser has finished.

    Raises:
        UserError: onnxruntime-web or an extra is not installed; an artifact, the result file, the
            port or the certificate cannot be used.
    """
    runtime = check_runtime()
    store = ResultStore(json_file, config)

    def on_results(report: BenchReport) -> None:
        print_report(report, terminal)
        if json_file is not None:
            terminal.note(f"written to {json_file}")

    def on_unexpected(error: BaseException) -> None:
        terminal.note(f"a request failed: {error!r} (--verbose shows more)", cause=error)

    with Server(
        lan=address.lan, port=address.port, tls=address.tls, on_unexpected=on_unexpected
    ) as server:
        code = qr_code(server.url) if address.lan else None
        samples, served = _prepare(terminal, artifacts)
        server.api = BenchApi(
            served,
            samples,
            runtime,
            store,
            config,
            qr=None if code is None else qr_svg(code),
            on_results=on_results,
            on_event=terminal.note,
        )
        if code is not None and sys.stdout.isatty():
            text = io.StringIO()
            code.terminal(text, compact=True)
            typer.echo(text.getvalue())
        typer.echo(f"open {server.url}")
        _print_hints(terminal, address)
        server.serve_forever()


def _prepare(
    terminal: Terminal, artifacts: Sequence[Path]
) -> tuple[tuple[SamplePicture, ...], list[ServedArtifact]]:
    """Make the sample pictures, and the expected outputs of all artifacts for them."""
    with terminal.steps() as progress:
        progress("drawing sample pictures")
        samples = sample_pictures()
        served = []
        for path in artifacts:
            progress(f"{path.name}: computing the expected outputs")
            served.append(prepare_artifact(path, samples))
    for entry in served:
        terminal.notes(entry.artifact.notes)
    return samples, served


def _print_hints(terminal: Terminal, address: ServerAddress) -> None:
    if not address.lan:
        terminal.note("only this machine can open it; --lan lets phones in")
    elif address.tls is None:
        terminal.note(
            "over http, browsers give a page one thread, no WebGPU and no live camera: "
            "--cert and --key make it https"
        )
    terminal.note("stop with Ctrl-C")


def qr_code(url: str) -> segno.QRCode:
    """The QR code of an address.

    Raises:
        UserError: the extra is not installed.
    """
    try:
        import segno
    except ImportError as error:
        raise missing_extra("--lan", ["serve"]) from error
    return segno.make_qr(url, error="m")


def qr_svg(code: segno.QRCode) -> bytes:
    """A QR code as an SVG picture, black on white in light and dark pages."""
    buffer = io.BytesIO()
    code.save(buffer, kind="svg", scale=4, light="white")
    return buffer.getvalue()

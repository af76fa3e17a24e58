"""`lvt-bench serve` from its options to the last result."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import segno
import typer

from device_bench.devices.browser.api import Desk, Settings
from device_bench.devices.browser.artifact import samples, serve_artifact
from device_bench.devices.browser.result_store import ResultLog
from device_bench.devices.browser.runtime import check_runtime
from device_bench.devices.browser.server import Server
from device_bench.report.tables import print_results
from device_bench.results.read import ResultFile

if TYPE_CHECKING:
    from lvt.support.terminal import Terminal


@dataclass(frozen=True)
class Address:
    """Where to listen.

    Attributes:
        lan: on every interface instead of on this machine's own.
        port: 0 for any that is free.
        tls: certificate and key files; None for plain HTTP.
    """

    lan: bool
    port: int
    tls: tuple[Path, Path] | None


def serve(
    terminal: Terminal,
    artifacts: Sequence[Path],
    address: Address,
    settings: Settings,
    json_file: Path | None,
) -> None:
    """Serves artifacts until Ctrl-C, and prints the tables whenever a browser is done.

    Raises:
        UserError: onnxruntime-web has not been fetched; an artifact, the result file, the port or
            the certificate cannot be used.
    """
    runtime = check_runtime()
    log = ResultLog(json_file, threads=settings.threads, rule=settings.rule)

    def done(file: ResultFile) -> None:
        print_results(file, terminal)
        if json_file is not None:
            terminal.note(f"written to {json_file}")

    def unexpected(error: BaseException) -> None:
        terminal.note(f"a request failed: {error!r} (--verbose shows more)", cause=error)

    with Server(
        lan=address.lan, port=address.port, tls=address.tls, unexpected=unexpected
    ) as server:
        with terminal.steps() as progress:
            progress("drawing samples")
            pictures = samples()
            served = []
            for path in artifacts:
                progress(f"{path.name}: outputs to compare with")
                served.append(serve_artifact(path, pictures))
        for entry in served:
            terminal.notes(entry.artifact.notes)
        code = qr_code(server.url) if address.lan else None
        server.desk = Desk(
            served,
            pictures,
            runtime,
            log,
            settings,
            qr=None if code is None else svg(code),
            done=done,
            note=terminal.note,
        )
        if code is not None and sys.stdout.isatty():
            text = io.StringIO()
            code.terminal(text, compact=True)
            typer.echo(text.getvalue())
        typer.echo(f"open {server.url}")
        if not address.lan:
            terminal.note("only this machine can: --lan lets phones in")
        elif address.tls is None:
            terminal.note(
                "over http, browsers give a page one thread, no WebGPU and no live camera: "
                "--cert and --key make it https"
            )
        terminal.note("Ctrl-C stops it")
        server.serve_forever()


def qr_code(url: str) -> segno.QRCode:
    """What a phone's camera takes to a page."""
    return segno.make_qr(url, error="m")


def svg(code: segno.QRCode) -> bytes:
    """A code as a picture, black on white whatever the page's colours."""
    buffer = io.BytesIO()
    code.save(buffer, kind="svg", scale=4, light="white")
    return buffer.getvalue()

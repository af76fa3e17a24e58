"""`lvt-bench serve`: artifacts in the browsers of phones."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from device_bench.cli.options import (
    MinSeconds,
    PresetName,
    Runs,
    chosen_protocol,
    least_of,
    made_default,
)
from lvt.errors import UserError
from lvt.support.command import command
from lvt.support.files import ensure_writable
from lvt.support.options import Verbose


def serve(
    artifacts: Annotated[
        list[Path] | None,
        typer.Argument(help="ONNX files written by lvt-export. Without: a default model."),
    ] = None,
    lan: Annotated[
        bool, typer.Option("--lan", help="Let phones in this network in, by QR code.")
    ] = False,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any that is free.")] = 8765,
    cert: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A certificate for https (PEM), with --key."),
    ] = None,
    key: Annotated[Path | None, typer.Option(metavar="FILE", help="Its key (PEM).")] = None,
    threads: Annotated[int, typer.Option(min=1, help="Threads of WebAssembly.")] = 1,
    preset: PresetName = "quick",
    runs: Runs = None,
    min_seconds: MinSeconds = None,
    json_file: Annotated[
        Path | None,
        typer.Option("--json", metavar="FILE", help="Add the results to this file, or make it."),
    ] = None,
    setup: Annotated[
        bool, typer.Option("--setup", help="Fetch onnxruntime-web with npm, once, and stop.")
    ] = False,
    verbose: Verbose = False,
) -> None:
    """Time artifacts in the browser of a phone, or of this machine.

    Serves a page that runs them in onnxruntime-web (WebAssembly or WebGPU), compares their outputs
    with ONNX Runtime's here, and sends every sample back. Only this machine can open it unless
    --lan is given; the address holds a token that is new every time.
    """
    with command(verbose) as terminal:
        rule = chosen_protocol(preset)
        if (cert is None) != (key is None):
            raise UserError("--cert and --key belong together: give both, or neither")
        if json_file is not None:
            ensure_writable(json_file)
        if setup:
            from device_bench.devices.browser.runtime import fetch_runtime

            with terminal.steps() as progress:
                progress("fetching onnxruntime-web with npm")
                folder = fetch_runtime()
            typer.echo(f"onnxruntime-web is in {folder}")
            return
        from device_bench.devices.browser.api import Settings
        from device_bench.devices.browser.app import Address
        from device_bench.devices.browser.app import serve as serve_artifacts
        from device_bench.devices.browser.runtime import check_runtime
        from export.artifact.reader import open_artifact

        for path in artifacts or []:
            open_artifact(path)
        check_runtime()  # before a default model is made
        least_runs, least_seconds = least_of(rule, runs, min_seconds)
        serve_artifacts(
            terminal,
            artifacts or [made_default(terminal, "onnx")],
            Address(lan, port, None if cert is None or key is None else (cert, key)),
            Settings(threads=threads, runs=least_runs, seconds=least_seconds, rule=rule),
            json_file,
        )

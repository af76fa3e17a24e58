"""`lvt-bench serve`: measure artifacts in browsers."""

from __future__ import annotations

import typer

from device_bench.cli import options as opt
from lvt.errors import UserError
from lvt.support.command import command
from lvt.support.files import ensure_writable
from lvt.support.options import Verbose
from lvt.support.terminal import Terminal


def serve(
    artifacts: opt.ServedArtifacts = None,
    lan: opt.Lan = False,
    port: opt.Port = 8765,
    cert: opt.Certificate = None,
    key: opt.CertificateKey = None,
    threads: opt.WasmThreads = 1,
    preset: opt.Preset = "quick",
    runs: opt.Runs = None,
    min_seconds: opt.MinSeconds = None,
    json_file: opt.AppendedJsonFile = None,
    setup: opt.Setup = False,
    verbose: Verbose = False,
) -> None:
    """Measure artifacts in the browser of a phone or of this machine.

    Serves a page that runs them in onnxruntime-web (WebAssembly or WebGPU), compares their outputs
    with ONNX Runtime's on this machine, and sends all samples back. Without --lan only this machine
    can open the page. The address contains a token that is new at every start.
    """
    with command(verbose) as terminal:
        from device_bench.measure.config import BenchConfig

        config = BenchConfig.from_preset(
            preset, threads=threads, runs=runs, min_seconds=min_seconds
        )
        if (cert is None) != (key is None):
            raise UserError("--cert and --key belong together: give both, or neither")
        if json_file is not None:
            ensure_writable(json_file)
        if setup:
            _install_runtime(terminal)
            return
        from device_bench.devices.browser.app import ServerAddress, run_server
        from device_bench.devices.browser.runtime import check_runtime
        from device_bench.measure.default_model import default_model_path
        from export.artifact.reader import open_artifact

        for path in artifacts or []:
            open_artifact(path)
        check_runtime()  # before a default model is exported
        if not artifacts:
            with terminal.steps() as progress:
                artifacts = [default_model_path("onnx", progress)]
        tls = None if cert is None or key is None else (cert, key)
        run_server(terminal, artifacts, ServerAddress(lan, port, tls), config, json_file)


def _install_runtime(terminal: Terminal) -> None:
    from device_bench.devices.browser.runtime import fetch_runtime

    with terminal.steps() as progress:
        progress("fetching onnxruntime-web with npm")
        folder = fetch_runtime()
    typer.echo(f"onnxruntime-web is in {folder}")

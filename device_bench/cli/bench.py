"""`lvt-bench`: measure artifacts, show stored results and compare them."""

from __future__ import annotations

import typer

from device_bench.cli import options as opt
from device_bench.cli.arm import arm
from device_bench.cli.serve import serve
from device_bench.cli.studies import baselines, rewrites
from device_bench.cli.suite import suite
from lvt.support.app import DefaultCommand, new_app
from lvt.support.command import FAILED, MISUSED, command
from lvt.support.files import ensure_writable, write_text
from lvt.support.options import Verbose, Version

app = new_app(
    "Measure the latency of artifacts on this machine and on Android devices.\n\n"
    "Several artifacts (or backends) run in interleaved rounds and are compared with the first, "
    "so that speed-ups stay reliable under background load. Pre- and post-processing are measured "
    "separately, on a real photo. The method is described in docs/benchmarking.md.",
    group=DefaultCommand,
)


@app.command("run", hidden=True)
def bench(
    artifacts: opt.BenchArtifacts = None,
    backend: opt.Backends = None,
    threads: opt.Threads = 1,
    preset: opt.Preset = "quick",
    runs: opt.Runs = None,
    min_seconds: opt.MinSeconds = None,
    json_file: opt.JsonFile = None,
    html_file: opt.HtmlFile = None,
    picture: opt.SampleFile = None,
    profile: opt.Profile = False,
    profile_chart: opt.ProfileChart = None,
    serial: opt.Serial = None,
    runtime: opt.AndroidRuntimes = None,
    binary: opt.ToolBinary = None,
    cool_to: opt.CoolTo = 35.0,
    cool_seconds: opt.CoolSeconds = 300.0,
    verbose: Verbose = False,
    version: Version = False,
) -> None:
    """Measure artifacts on this machine or on devices. The default command."""
    with command(verbose) as terminal:
        from device_bench.cli.android import AndroidOptions
        from device_bench.cli.bench_run import BenchRequest, OutputFiles, run_bench
        from device_bench.measure.config import BenchConfig

        request = BenchRequest(
            artifacts=tuple(artifacts or ()),
            backends=tuple(backend or ()),
            config=BenchConfig.from_preset(
                preset, threads=threads, runs=runs, min_seconds=min_seconds
            ),
            sample=picture,
            profile=profile or profile_chart is not None,
            android=AndroidOptions(serial, tuple(runtime or ()), binary, cool_to, cool_seconds),
        )
        files = OutputFiles(json_file, html_file, profile_chart)
        files.check(request.artifacts, picture)
        outcome = run_bench(request, terminal)
        files.write(outcome.report, terminal)
        for error in outcome.device_outcome.errors:  # other devices have results
            terminal.note(f"error: {error}")
        if outcome.device_outcome.errors:
            raise typer.Exit(MISUSED)


@app.command()
def report(file: opt.ResultFile, html_file: opt.HtmlFile = None, verbose: Verbose = False) -> None:
    """Show a result file as tables, and write it as an HTML page."""
    with command(verbose) as terminal:
        from device_bench.report.html_page import render
        from device_bench.report.tables import print_report
        from device_bench.results.bench_report import read_report

        if html_file is not None:
            ensure_writable(html_file, [file])
        stored = read_report(file)
        print_report(stored, terminal)
        if html_file is not None:
            write_text(html_file, render(stored))


@app.command()
def compare(
    before: opt.ResultFile,
    after: opt.ResultFile,
    fail_above: opt.FailAbove = None,
    verbose: Verbose = False,
) -> None:
    """Compare the latencies of two result files.

    A ratio above 1 means that the second file is slower. Results are paired by file name and
    backend. With --fail-above 1.10 the exit code is 1 if the whole 95% interval of a ratio of
    medians lies above 1.10.
    """
    with command(verbose) as terminal:
        from device_bench.report.comparison_table import comparison_table
        from device_bench.results.bench_report import read_report
        from device_bench.results.compare import compare_reports

        comparison = compare_reports(read_report(before), read_report(after))
        terminal.out.print(comparison_table(comparison, limit=fail_above))
        terminal.notes(comparison.notes)
        if fail_above is None:
            return
        slower = [pair for pair in comparison.pairs if pair.exceeds(fail_above)]
        for pair in slower:
            terminal.note(
                f"failed: {pair.after.label} takes {pair.ratio.value:.2f} times as long, at least "
                f"{pair.ratio.low:.3f}; the limit is {fail_above:g}"
            )
        if slower:
            raise typer.Exit(FAILED)


for subcommand in (baselines, serve, rewrites, suite, arm):
    app.command()(subcommand)

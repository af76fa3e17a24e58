"""`lvt-bench`: how fast is it, on what, and how sure are we."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from device_bench.cli.arm import arm
from device_bench.cli.options import (
    JsonFile,
    MinSeconds,
    PresetName,
    Runs,
    Threads,
    chosen_protocol,
    least_of,
    made_default,
)
from device_bench.cli.serve import serve
from device_bench.cli.studies import baselines, rewrites
from lvt.support.app import DefaultCommand, new_app
from lvt.support.command import FAILED, MISUSED, command
from lvt.support.files import ensure_writable, write_text
from lvt.support.options import Verbose, Version
from lvt.support.terminal import Terminal

if TYPE_CHECKING:
    from device_bench.measure.backends import BenchTarget
    from device_bench.measure.host import Measurement
    from device_bench.measure.preset import Protocol
    from device_bench.profile.summary import Profile
    from device_bench.results.read import ResultFile

app = new_app(
    "Time artifacts on this machine and on Android devices.\n\n"
    "Several artifacts (or backends) are timed in turn, one inference each, and compared with the "
    "first: the ratio holds even where the machine is noisy. Pre- and post-processing are timed "
    "apart, on a real photo. What is measured and how: docs/benchmarking.md.",
    group=DefaultCommand,
)
HtmlFile = Annotated[
    Path | None, typer.Option("--html", metavar="FILE", help="Write a report to look at.")
]
ResultsFile = Annotated[Path, typer.Argument(help="Written by lvt-bench --json.")]


@app.command("run", hidden=True)
def bench(
    artifacts: Annotated[
        list[Path] | None,
        typer.Argument(help="Files written by lvt-export. Without: a default model."),
    ] = None,
    backend: Annotated[
        list[str] | None,
        typer.Option(
            help="onnxruntime, executorch, tflite, coreml (on a Mac) or torch on this machine, "
            "android for devices on adb; may be repeated. [default: each artifact's own]"
        ),
    ] = None,
    threads: Threads = 1,
    preset: PresetName = "quick",
    runs: Runs = None,
    min_seconds: MinSeconds = None,
    json_file: JsonFile = None,
    html_file: HtmlFile = None,
    picture: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Whose answers the report shows; else a packaged photo."),
    ] = None,
    profile: Annotated[
        bool,
        typer.Option("--profile", help="Afterwards, tell what each operator takes."),
    ] = False,
    profile_chart: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Draw the profiles as a PNG picture; profiles too."),
    ] = None,
    serial: Annotated[
        str | None,
        typer.Option(help="android: which device, as adb devices names it, or all."),
    ] = None,
    runtime: Annotated[
        list[str] | None,
        typer.Option(
            help="android: onnxruntime (or -xnnpack, -nnapi), tflite (or -gpu, -nnapi) or "
            "executorch; may be repeated. [default: each artifact's own]"
        ),
    ] = None,
    binary: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="android: the runtime's own benchmark_model, onnxruntime_perf_test or "
            "executor_runner, in place of the demo app.",
        ),
    ] = None,
    cool_to: Annotated[
        float,
        typer.Option(metavar="CELSIUS", help="android: begin when the battery is no warmer."),
    ] = 35.0,
    cool_seconds: Annotated[
        float, typer.Option(min=0, metavar="SECONDS", help="android: wait no longer for that.")
    ] = 300.0,
    verbose: Verbose = False,
    version: Version = False,
) -> None:
    """Time artifacts on this machine or on devices; this command is meant where none is named."""
    with command(verbose) as terminal:
        from device_bench.cli.android import (
            AndroidOptions,
            prepare_devices,
            print_devices,
            run_on_devices,
        )
        from device_bench.devices.adb.runner import ANDROID, Outcome
        from device_bench.measure.backends import default_target
        from device_bench.profile.chart import check_name, draw_chart
        from device_bench.profile.run import check_profilable
        from device_bench.report.tables import print_results
        from device_bench.results.read import parse_results
        from device_bench.results.write import to_json, write_results
        from export.artifact.files import manifest_path
        from lvt.visualisation import save_picture

        rule = chosen_protocol(preset)
        if profile_chart is not None:
            check_name(profile_chart)
        models = artifacts or []
        read = [*models, *map(manifest_path, models), *([] if picture is None else [picture])]
        for file in (json_file, html_file, profile_chart):
            if file is not None:
                ensure_writable(file, read)  # better told now than after minutes of measuring
        android = AndroidOptions(serial, tuple(runtime or ()), binary, cool_to, cool_seconds)
        android.check(backend or [])
        least_runs, least_seconds = least_of(rule, runs, min_seconds)
        host = [name for name in backend or [] if name != ANDROID]
        named = host or [name.partition("-")[0] for name in runtime or ()]
        paths = artifacts or [made_default(terminal, default_target(named))]
        phones = None
        if ANDROID in (backend or []):
            phones = prepare_devices(
                android, paths, threads=threads, runs=least_runs, seconds=least_seconds, rule=rule
            )
        contestants = _contestants(paths, host) if host or phones is None else []
        opened = [contestant.artifact for contestant in contestants]
        if phones is not None:
            opened += [artifact for artifact, _runtime in phones.contest.entries]
        terminal.notes(dict.fromkeys(note for artifact in opened for note in artifact.notes))
        profiling = profile or profile_chart is not None
        if profiling:
            check_profilable(contestants)
        measurements = _measure(
            terminal,
            contestants,
            threads=threads,
            runs=least_runs,
            seconds=least_seconds,
            rule=rule,
            sample=picture,
        )
        outcome = Outcome() if phones is None else run_on_devices(terminal, phones)
        data = to_json(measurements, threads=threads, rule=rule, phone_runs=outcome.runs)
        if data["results"]:
            print_results(parse_results(data, "the measurement"), terminal)
        print_devices(outcome, terminal, threads=threads)
        profiles = _profile(terminal, measurements, threads) if profiling else {}
        for number, found in profiles.items():
            data["results"][number - 1]["profile"] = found.to_dict()
        if profile_chart is not None:
            bars = [(measurements[n - 1].contestant.label, p) for n, p in profiles.items()]
            save_picture(draw_chart(bars), profile_chart)
        if json_file is not None:
            write_results(json_file, data)
        if html_file is not None:
            if data["results"]:
                _write_html(html_file, parse_results(data, "the measurement"))
            else:
                terminal.note("no page: the tool tells no single inference, which it is made of")
        for error in outcome.errors:  # the other devices' results are not lost
            terminal.note(f"error: {error}")
        if outcome.errors:
            raise typer.Exit(MISUSED)


@app.command()
def report(file: ResultsFile, html_file: HtmlFile = None, verbose: Verbose = False) -> None:
    """Show a result file again, on the terminal and as a page."""
    with command(verbose) as terminal:
        from device_bench.report.tables import print_results
        from device_bench.results.read import read_results

        if html_file is not None:
            ensure_writable(html_file, [file])
        results = read_results(file)
        print_results(results, terminal)
        if html_file is not None:
            _write_html(html_file, results)


@app.command()
def compare(
    before: ResultsFile,
    after: ResultsFile,
    fail_above: Annotated[
        float | None,
        typer.Option(min=0, help="Exit with 1 if a ratio is above this, noise allowed for."),
    ] = None,
    verbose: Verbose = False,
) -> None:
    """Compare two result files: how much longer the second takes than the first.

    Results are paired by file name and backend. With --fail-above 1.10 the exit code is 1 if the
    whole 95% interval of a ratio of medians lies above 1.10.
    """
    with command(verbose) as terminal:
        from device_bench.results.compare import compare_files, comparison_table
        from device_bench.results.read import read_results

        comparison = compare_files(read_results(before), read_results(after))
        terminal.out.print(comparison_table(comparison, limit=fail_above))
        terminal.notes(comparison.notes)
        if fail_above is not None:
            slower = [pair for pair in comparison.pairs if pair.above(fail_above)]
            for pair in slower:
                terminal.note(
                    f"failed: {pair.label} takes {pair.ratio.value:.2f} times as long, at least "
                    f"{pair.ratio.low:.3f}; the limit is {fail_above:g}"
                )
            if slower:
                raise typer.Exit(FAILED)


for subcommand in (baselines, serve, rewrites, arm):
    app.command()(subcommand)


def _write_html(file: Path, results: ResultFile) -> None:
    from device_bench.report.html_page import render

    write_text(file, render(results))


def _contestants(paths: list[Path], backends: list[str]) -> list[BenchTarget]:
    """Every artifact under every backend."""
    from device_bench.measure.backends import contestant

    names: list[str | None] = [*backends] or [None]
    return [contestant(path, name) for path in paths for name in names]


def _profile(
    terminal: Terminal, measurements: list[Measurement], threads: int
) -> dict[int, Profile]:
    """Profiles what can be profiled and prints it; keys are the numbers in the tables."""
    from device_bench.profile.report import family_table, notes, type_table
    from device_bench.profile.run import profile, refusal

    profiles = {}
    with terminal.steps() as progress:
        for number, m in enumerate(measurements, start=1):
            progress(f"profiling {m.contestant.label}")
            if refusal(m.contestant) is None:
                profiles[number] = profile(m.contestant, m.samples_ms, threads)
    terminal.out.print(family_table(profiles))
    for number, found in profiles.items():
        terminal.out.print(type_table(number, found))
        for line in notes(found):
            typer.echo(f"{number}: {line}")
    for m in measurements:
        reason = refusal(m.contestant)
        if reason is not None:
            terminal.note(f"not profiled: {m.contestant.label}: {reason}")
    return profiles


def _measure(
    terminal: Terminal,
    contestants: list[BenchTarget],
    *,
    threads: int,
    runs: int,
    seconds: float,
    rule: Protocol,
    sample: Path | None,
) -> list[Measurement]:
    from device_bench.measure.host import run_benchmark

    if not contestants:
        return []
    with terminal.progress() as bar:
        task = bar.add_task("starting", total=1.0, detail="")
        return run_benchmark(
            contestants,
            threads=threads,
            runs=runs,
            seconds=seconds,
            rule=rule,
            sample=sample,
            tick=lambda step, share: bar.update(task, description=step, completed=share),
        )

"""`lvt-bench`: how fast is it, on what, and how sure are we."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from device_bench.arm.command import arm
from lvt.config import TASKS
from lvt.console import (
    FAILED,
    MISUSED,
    DefaultCommand,
    Terminal,
    Verbose,
    choice,
    command,
    new_app,
    parse_size,
)
from lvt.errors import UserError

if TYPE_CHECKING:
    from device_bench.backends import Contestant
    from device_bench.host import Measurement
    from device_bench.profile.summary import Profile
    from device_bench.protocol import Protocol
    from device_bench.stored import ResultFile

M = TypeVar("M")

app = new_app(
    "Time artifacts on this machine and on Android devices.\n\n"
    "Several artifacts (or backends) are timed in turn, one inference each, and compared with the "
    "first: the ratio holds even where the machine is noisy. Pre- and post-processing are timed "
    "apart, on a real photo. What is measured and how: docs/benchmarking.md.",
    group=DefaultCommand,
)
Threads = Annotated[int, typer.Option(min=1, help="Threads of the runtime.")]
PresetName = Annotated[
    str, typer.Option(help="quick: 128 runs and 10 s; submission: 1024 runs and 60 s.")
]
Runs = Annotated[int | None, typer.Option(min=1, help="Instead of the preset's.")]
MinSeconds = Annotated[float | None, typer.Option(min=0, help="Instead of the preset's.")]
JsonFile = Annotated[
    Path | None, typer.Option("--json", metavar="FILE", help="Write results, raw samples too.")
]
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
) -> None:
    """Time artifacts on this machine or on devices; this command is meant where none is named."""
    with command(verbose) as terminal:
        from device_bench.adb.command import (
            AndroidOptions,
            prepare_devices,
            print_devices,
            run_on_devices,
        )
        from device_bench.adb.phones import ANDROID, Outcome
        from device_bench.backends import default_target
        from device_bench.profile.chart import check_name, draw_chart
        from device_bench.profile.run import check_profilable
        from device_bench.results import to_json
        from device_bench.stored import parse_results
        from device_bench.tables import print_results
        from lvt.files import write_text
        from lvt.visualisation import save_picture

        rule = _protocol(preset)
        if profile_chart is not None:
            check_name(profile_chart)
        for file in (json_file, html_file, profile_chart):
            if file is not None:
                _check_writable(file)  # better told now than after minutes of measuring
        android = AndroidOptions(serial, tuple(runtime or ()), binary, cool_to, cool_seconds)
        android.check(backend or [])
        least_runs, least_seconds = _least(rule, runs, min_seconds)
        host = [name for name in backend or [] if name != ANDROID]
        named = host or [name.partition("-")[0] for name in runtime or ()]
        paths = artifacts or [_default_artifact(terminal, default_target(named))]
        phones = None
        if ANDROID in (backend or []):
            phones = prepare_devices(
                android, paths, threads=threads, runs=least_runs, seconds=least_seconds, rule=rule
            )
        contestants = _contestants(paths, host) if host or phones is None else []
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
            write_text(json_file, json.dumps(data, indent=1) + "\n")
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
        from device_bench.stored import read_results
        from device_bench.tables import print_results

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
        from device_bench.compare import compare_files, comparison_table
        from device_bench.stored import read_results

        comparison = compare_files(read_results(before), read_results(after))
        terminal.out.print(comparison_table(comparison, limit=fail_above))
        for note in comparison.notes:
            terminal.note(f"note: {note}")
        if fail_above is not None:
            slower = [pair for pair in comparison.pairs if pair.above(fail_above)]
            for pair in slower:
                terminal.note(
                    f"failed: {pair.label} takes {pair.ratio.value:.2f} times as long, at least "
                    f"{pair.ratio.low:.3f}; the limit is {fail_above:g}"
                )
            if slower:
                raise typer.Exit(FAILED)


@app.command()
def baselines(
    task: Annotated[
        list[str] | None,
        typer.Option(help="backbone, semantic or panoptic; may be repeated. [default: all]"),
    ] = None,
    threads: Threads = 1,
    preset: PresetName = "quick",
    runs: Runs = None,
    min_seconds: MinSeconds = None,
    json_file: JsonFile = None,
    verbose: Verbose = False,
) -> None:
    """Time LVT beside MobileNetV2, PVTv2-B0, MiT-B0 and what segments with them.

    All have random weights and run in ONNX Runtime. LVT is rewritten for it, as every export is;
    the others are as transformers has them. Panoptic models take seconds an inference, at the
    paper's 800x1216. Figures in brackets are the paper's, whose images a second are a GPU's.
    """
    with command(verbose) as terminal:
        rule = _protocol(preset)
        if json_file is not None:
            _check_writable(json_file)
        with terminal.steps() as progress:
            progress("loading transformers")
            from device_bench.baseline_run import baseline_tables, baselines_json, run_baselines
            from device_bench.baselines import BASELINES, SIZES, check_transformers
            from lvt.files import write_text

            known = tuple(SIZES)
            chosen = {choice(name, known, "task") for name in task or known}
            check_transformers()
        entries = [entry for entry in BASELINES if entry.task in chosen]
        results = _measured(
            terminal,
            partial(run_baselines, entries),
            threads=threads,
            rule=rule,
            least=_least(rule, runs, min_seconds),
        )
        for table in baseline_tables(results, threads=threads):
            terminal.out.print(table)
        for result in results:
            if result.baseline.remark:
                typer.echo(f"* {result.baseline.name}: {result.baseline.remark}")
            if result.timing.reasons:
                reasons = "; ".join(result.timing.reasons)
                terminal.note(f"not valid: {result.baseline.name}: {reasons}")
        if json_file is not None:
            data = baselines_json(results, threads=threads, rule=rule)
            write_text(json_file, json.dumps(data, indent=1) + "\n")


@app.command()
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
        rule = _protocol(preset)
        if (cert is None) != (key is None):
            raise UserError("--cert and --key belong together: give both, or neither")
        if json_file is not None:
            _check_writable(json_file)
        if setup:
            from device_bench.browser.runtime import fetch_runtime

            with terminal.steps() as progress:
                progress("fetching onnxruntime-web with npm")
                folder = fetch_runtime()
            typer.echo(f"onnxruntime-web is in {folder}")
            return
        from device_bench.browser.desk import Settings
        from device_bench.browser.runtime import check_runtime
        from device_bench.browser.serving import Address
        from device_bench.browser.serving import serve as serve_artifacts

        check_runtime()  # before a default model is made
        least_runs, least_seconds = _least(rule, runs, min_seconds)
        serve_artifacts(
            terminal,
            artifacts or [_default_artifact(terminal, "onnx")],
            Address(lan, port, None if cert is None or key is None else (cert, key)),
            Settings(threads=threads, runs=least_runs, seconds=least_seconds, rule=rule),
            json_file,
        )


@app.command()
def rewrites(
    ckpt: Annotated[
        Path | None, typer.Option(help="Checkpoint, or `demo`. Without: random weights.")
    ] = None,
    task: Annotated[str, typer.Option(help="Of a model with random weights.")] = "backbone",
    size: Annotated[str, typer.Option(help="Input, HEIGHTxWIDTH.")] = "512x512",
    threads: Threads = 1,
    preset: PresetName = "quick",
    runs: Runs = None,
    min_seconds: MinSeconds = None,
    json_file: JsonFile = None,
    verbose: Verbose = False,
) -> None:
    """Time what each rewrite is worth in ONNX Runtime.

    The first file is the reference as it is (--no-rewrite); at each further step one more kind of
    module is rewritten. Every file proves its parity before it is timed.
    """
    with command(verbose) as terminal:
        rule = _protocol(preset)
        if json_file is not None:
            _check_writable(json_file)
        with terminal.steps() as progress:
            progress("loading the model")
            from device_bench.rewrites import measure_rewrites, rewrites_json, rewrites_table
            from export.request import ExportRequest, prepare
            from lvt.files import write_text

            job = prepare(
                ExportRequest(
                    "onnx",
                    checkpoint=ckpt,
                    task=None if ckpt else choice(task, TASKS, "task"),
                    size=parse_size(size),
                )
            )
        steps = _measured(
            terminal,
            partial(measure_rewrites, job),
            threads=threads,
            rule=rule,
            least=_least(rule, runs, min_seconds),
        )
        terminal.out.print(rewrites_table(steps, job, threads=threads))
        for step in steps:
            if step.timing.reasons:
                terminal.note(f"not valid: {step.name}: {'; '.join(step.timing.reasons)}")
        if json_file is not None:
            data = rewrites_json(steps, threads=threads, rule=rule)
            write_text(json_file, json.dumps(data, indent=1) + "\n")


app.command()(arm)


def _measured(
    terminal: Terminal,
    measure: Callable[..., list[M]],
    *,
    threads: int,
    rule: Protocol,
    least: tuple[int, float],
) -> list[M]:
    """What `measure` finds with a scratch folder, the figures given and a progress bar.

    Ends the command if an export fails.
    """
    from export.exporter import ExportError

    try:
        with terminal.progress() as bar, tempfile.TemporaryDirectory() as folder:
            shown = bar.add_task("starting", total=1.0, detail="")
            return measure(
                Path(folder),
                threads=threads,
                runs=least[0],
                seconds=least[1],
                rule=rule,
                tick=lambda step, share: bar.update(shown, description=step, completed=share),
            )
    except ExportError as error:
        terminal.note(f"error: {error}", cause=error.__cause__)
        raise typer.Exit(FAILED) from error


def _protocol(preset: str) -> Protocol:
    """The preset of this name.

    Raises:
        UserError: there is none.
    """
    from device_bench.protocol import PRESETS

    if preset not in PRESETS:
        raise UserError(f"unknown preset {preset!r}; choose one of {', '.join(PRESETS)}")
    return PRESETS[preset]


def _least(rule: Protocol, runs: int | None, seconds: float | None) -> tuple[int, float]:
    """How many runs and how many seconds are asked for; where nothing is, the preset's."""
    return rule.runs if runs is None else runs, rule.seconds if seconds is None else seconds


def _check_writable(file: Path) -> None:
    from lvt.files import atomic_folder

    with atomic_folder(file.parent):
        pass
    if file.is_dir():
        raise UserError(f"{file} is a folder; give a file name")


def _write_html(file: Path, results: ResultFile) -> None:
    from device_bench.html_report import render
    from lvt.files import write_text

    write_text(file, render(results))


def _contestants(paths: list[Path], backends: list[str]) -> list[Contestant]:
    """Every artifact under every backend."""
    from device_bench.backends import contestant

    names: list[str | None] = [*backends] or [None]
    return [contestant(path, name) for path in paths for name in names]


def _default_artifact(terminal: Terminal, target: str) -> Path:
    from device_bench.default_model import default_artifact

    with terminal.steps() as progress:
        return default_artifact(target, progress)


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
    contestants: list[Contestant],
    *,
    threads: int,
    runs: int,
    seconds: float,
    rule: Protocol,
    sample: Path | None,
) -> list[Measurement]:
    from device_bench.host import run_benchmark

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

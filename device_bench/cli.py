"""`lvt-bench`: how fast is it, on what, and how sure are we."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lvt.console import Terminal, Verbose, command, new_app
from lvt.errors import UserError

if TYPE_CHECKING:
    from device_bench.backends import Contestant
    from device_bench.host import Measurement
    from device_bench.profile.summary import Profile

app = new_app()


@app.command()
def bench(
    artifacts: Annotated[
        list[Path] | None,
        typer.Argument(help="Files written by lvt-export. Without: a default model."),
    ] = None,
    backend: Annotated[
        list[str] | None,
        typer.Option(
            help="onnxruntime, executorch, tflite, coreml (on a Mac) or torch; may be repeated. "
            "[default: each artifact's own]"
        ),
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="Threads of the runtime.")] = 1,
    preset: Annotated[
        str, typer.Option(help="quick: 128 runs and 10 s; submission: 1024 runs and 60 s.")
    ] = "quick",
    runs: Annotated[int | None, typer.Option(min=1, help="Instead of the preset's.")] = None,
    min_seconds: Annotated[
        float | None, typer.Option(min=0, help="Instead of the preset's.")
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write results, raw samples too.")
    ] = None,
    profile: Annotated[
        bool,
        typer.Option("--profile", help="Afterwards, tell what each operator takes."),
    ] = False,
    profile_chart: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Draw the profiles as a PNG picture; profiles too."),
    ] = None,
    verbose: Verbose = False,
) -> None:
    """Time artifacts on this machine.

    Several artifacts (or backends) are timed in turn, one inference each, and compared with the
    first: the ratio holds even where the machine is noisy. Pre- and post-processing are timed
    apart, on a real photo.
    """
    with command(verbose) as terminal:
        from device_bench.profile.chart import check_name, draw_chart
        from device_bench.profile.run import check_profilable
        from device_bench.protocol import PRESETS
        from device_bench.results import cost_table, latency_table, to_json
        from lvt.files import atomic_folder, write_text
        from lvt.visualisation import save_picture

        if preset not in PRESETS:
            raise UserError(f"unknown preset {preset!r}; choose one of {', '.join(PRESETS)}")
        if profile_chart is not None:
            check_name(profile_chart)
        for file in (json_file, profile_chart):
            if file is not None:
                with atomic_folder(file.parent):
                    pass  # better told now than after minutes of measuring
        rule = PRESETS[preset]
        contestants = _contestants(terminal, artifacts or [], backend or [])
        profiling = profile or profile_chart is not None
        if profiling:
            check_profilable(contestants)
        measurements = _measure(
            terminal,
            contestants,
            threads=threads,
            runs=rule.runs if runs is None else runs,
            seconds=rule.seconds if min_seconds is None else min_seconds,
            preset=preset,
        )
        for number, m in enumerate(measurements, start=1):
            typer.echo(f"{number}  {m.contestant.label}")
        terminal.out.print(latency_table(measurements, threads=threads))
        terminal.out.print(cost_table(measurements))
        for m in measurements:
            for reason in m.reasons:
                terminal.note(f"not valid: {m.contestant.label}: {reason}")
        profiles = _profile(terminal, measurements, threads) if profiling else {}
        if profile_chart is not None:
            bars = [(measurements[n - 1].contestant.label, p) for n, p in profiles.items()]
            save_picture(draw_chart(bars), profile_chart)
        if json_file is not None:
            result = to_json(measurements, profiles, threads=threads, rule=rule)
            write_text(json_file, json.dumps(result, indent=1) + "\n")


def _contestants(terminal: Terminal, paths: list[Path], backends: list[str]) -> list[Contestant]:
    """Every artifact under every backend; a default model where no artifact is named."""
    from device_bench.backends import contestant, default_target
    from device_bench.default_model import default_artifact

    if not paths:
        target = default_target(backends)
        with terminal.steps() as progress:
            paths = [default_artifact(target, progress)]
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
    contestants: list[Contestant],
    *,
    threads: int,
    runs: int,
    seconds: float,
    preset: str,
) -> list[Measurement]:
    from device_bench.host import run_benchmark
    from device_bench.protocol import PRESETS

    with terminal.progress() as bar:
        task = bar.add_task("starting", total=1.0, detail="")
        return run_benchmark(
            contestants,
            threads=threads,
            runs=runs,
            seconds=seconds,
            rule=PRESETS[preset],
            tick=lambda step, share: bar.update(task, description=step, completed=share),
        )

"""`lvt-bench`: how fast is it, on what, and how sure are we."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lvt.console import Terminal, Verbose, command, new_app
from lvt.errors import UserError

if TYPE_CHECKING:
    from device_bench.host import Measurement

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
    verbose: Verbose = False,
) -> None:
    """Time artifacts on this machine.

    Several artifacts (or backends) are timed in turn, one inference each, and compared with the
    first: the ratio holds even where the machine is noisy. Pre- and post-processing are timed
    apart, on a real photo.
    """
    with command(verbose) as terminal:
        from device_bench.protocol import PRESETS
        from device_bench.results import cost_table, latency_table, to_json
        from lvt.files import atomic_folder, write_text

        if preset not in PRESETS:
            raise UserError(f"unknown preset {preset!r}; choose one of {', '.join(PRESETS)}")
        if json_file is not None:
            with atomic_folder(json_file.parent):
                pass  # better told now than after minutes of measuring
        rule = PRESETS[preset]
        measurements = _measure(
            terminal,
            artifacts or [],
            backend or [],
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
        if json_file is not None:
            content = json.dumps(to_json(measurements, threads=threads, rule=rule), indent=1)
            write_text(json_file, content + "\n")


def _measure(
    terminal: Terminal,
    paths: list[Path],
    backends: list[str],
    *,
    threads: int,
    runs: int,
    seconds: float,
    preset: str,
) -> list[Measurement]:
    from device_bench.backends import contestant, default_target
    from device_bench.default_model import default_artifact
    from device_bench.host import run_benchmark
    from device_bench.protocol import PRESETS

    if not paths:
        target = default_target(backends)
        with terminal.steps() as progress:
            paths = [default_artifact(target, progress)]
    names: list[str | None] = [*backends] or [None]
    contestants = [contestant(path, name) for path in paths for name in names]
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

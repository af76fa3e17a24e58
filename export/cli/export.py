"""`lvt-export`: a checkpoint in, proven artifacts out."""

# Without postponed annotations: the options of a command are made in a function.
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from export.capabilities import (
    PRECISIONS,
    TARGETS,
    TargetInfo,
    check_installed,
)
from export.cli.options import (
    ALL,
    AndroidApp,
    Detections,
    Ema,
    FileOrFolder,
    Folder,
    InputSize,
    NamesFile,
    PresetName,
    Proposals,
    TaskName,
    android_models,
    each_target,
    print_manifests,
    put_into_app,
)
from lvt.config import TASKS, Task
from lvt.errors import UserError
from lvt.support.app import new_app
from lvt.support.command import command
from lvt.support.options import AsJson, Verbose, choice, parse_size
from lvt.support.terminal import Terminal

if TYPE_CHECKING:
    from rich.table import Table

    from export.paper_models import Measured
    from export.pipeline import ExportResult
    from export.plan import ExportRequest

app = new_app(
    "Export a Lite Vision Transformer checkpoint to a file that runs on a phone.\n\n"
    "Every file is compared with the PyTorch reference before it appears, in the runtime that will "
    "run it (Core ML: on a Mac; elsewhere in our evaluator). Exit codes: 0 done, 1 conversion, "
    "parity or placement failed, 2 something to put right."
)


def _add_command(name: str, targets: tuple[TargetInfo, ...], summary: str) -> None:
    takes_pixels = any(info.pixels for info in targets) and len(targets) == 1
    precisions = sorted(
        {p for info in targets for known in info.precisions.values() for p in known}
    )

    def export(
        ckpt: Annotated[
            Path | None,
            typer.Option(
                help="Checkpoint (.pth, .pth.tar, .safetensors) or `demo`. Without: random weights."
            ),
        ] = None,
        task: TaskName = None,
        size: InputSize = None,
        out: Folder if name == "all" else FileOrFolder = None,  # type: ignore[valid-type]
        precision: Annotated[
            str | None,
            typer.Option(help=" or ".join(precisions) + ".", hidden=len(precisions) == 1),
        ] = None,
        strict: Annotated[
            bool, typer.Option("--strict", help="Fail if anything runs off the fast path.")
        ] = False,
        pixels: Annotated[
            bool,
            typer.Option(
                "--pixels",
                help="Take an image of 8-bit pixels; normalisation is built in.",
                hidden=not takes_pixels,
            ),
        ] = False,
        images: Annotated[
            Path | None, typer.Option(help="Folder of further pictures to check parity on.")
        ] = None,
        proposals: Proposals = None,
        detections: Detections = None,
        preset: PresetName = None,
        ema: Ema = False,
        names: NamesFile = None,
        rewrite: Annotated[
            bool,
            typer.Option(
                "--rewrite/--no-rewrite",
                help="Export the reference as it is.",
                hidden=not all(info.unrewritten for info in targets),
            ),
        ] = True,
        android: AndroidApp = None,
        as_json: AsJson = False,
        verbose: Verbose = False,
    ) -> None:
        with command(verbose) as terminal:
            models = android_models(android, targets)
            from export.plan import ExportRequest

            if pixels and not takes_pixels:
                takers = ", ".join(info.name for info in TARGETS.values() if info.pixels)
                raise UserError(f"--pixels is for {takers} only")
            request = ExportRequest(
                target=targets[0].name,
                out=out,
                checkpoint=ckpt,
                task=choice(task, TASKS, "task"),
                size=parse_size(size) if size else None,
                precision=choice(precision, PRECISIONS, "precision"),
                strict=strict,
                pixels=pixels,
                preset=preset,
                ema=ema,
                names=names,
                rewrite=rewrite,
                images=images,
                proposals=proposals,
                detections=detections,
            )
            check_installed(targets)
            results, code = _export_all(request, targets, terminal)
            terminal.notes(dict.fromkeys(note for result in results for note in result.notes))
            put_into_app(models, [(result.path, result.manifest) for result in results], terminal)
            if as_json:
                print_manifests([result.manifest for result in results], targets)
            elif name == "all" and results:
                terminal.out.print(summary_table(results))
            else:
                for result in results:
                    typer.echo(_headline(result))
                    terminal.out.print(parity_table(result))
            if code:
                raise typer.Exit(code)

    notes = [note for info in targets for note in info.notes]
    export.__doc__ = "\n\n".join([summary, *(notes if len(targets) == 1 else [])])
    app.command(name)(export)


def _export_all(
    request: "ExportRequest", targets: tuple[TargetInfo, ...], terminal: Terminal
) -> tuple[list["ExportResult"], int]:
    from export.pipeline import check_request, export_artifact
    from export.plan import prepare

    with terminal.steps() as progress:
        progress("reading the checkpoint" if request.checkpoint else "making a random model")
        job = prepare(request)
        requests = {
            info.name: _for_target(request, job.spec.task, info, targets) for info in targets
        }
        for info in targets:
            # All of them before the first takes its minutes.
            check_request(requests[info.name], job, info)
        return each_target(
            targets, lambda info: export_artifact(requests[info.name], progress, job), terminal
        )


def _for_target(
    request: "ExportRequest", task: Task, info: TargetInfo, targets: tuple[TargetInfo, ...]
) -> "ExportRequest":
    """The request as one of several targets takes it."""
    own = replace(request, target=info.name)
    if len(targets) == 1:
        return own
    if request.out is not None and request.out.suffix in {other.suffix for other in targets}:
        raise UserError(f"--out {request.out}: give a folder; every target writes a file")
    if request.precision not in info.precisions.get(task, ()):
        own = replace(own, precision=None)  # a target without it writes its default
    return own


for _info in TARGETS.values():
    _add_command(_info.name, (_info,), _info.summary)
_add_command("all", ALL, f"Every target in one run: {', '.join(info.name for info in ALL)}.")


@app.command()
def models(as_json: AsJson = False, verbose: Verbose = False) -> None:
    """The paper's systems, for --preset: parameters and multiply-accumulates beside its tables."""
    with command(verbose) as terminal:
        from export.paper_models import PAPER_MODELS, measure, to_dict

        with terminal.steps() as progress:
            measured = []
            for system in PAPER_MODELS:
                progress(f"counting {system.preset}, {system.task}")
                measured.append(measure(system))
        if as_json:
            typer.echo(json.dumps([to_dict(m) for m in measured], indent=2))
        else:
            terminal.out.print(systems_table(measured))


_SHOWN_OPERATORS = 8
"""Kinds of operators named on the terminal; the manifest has them all."""


def _headline(result: "ExportResult") -> str:
    placement = result.placement
    count = placement.partitions
    partitions = "" if count is None else f" in {count} partition{'s'[: count != 1]}"
    megabytes = result.manifest["file"]["bytes"] / 1e6
    gmacs = result.manifest["macs"]["artifact"] / 1e9
    lines = [
        f"{result.path}  {result.manifest['precision']}, {megabytes:.1f} MB, {gmacs:.2f} GMAC",
        f"{placement.accelerator}: {sum(placement.delegated.values())} operators{partitions}, "
        f"{sum(placement.outside.values())} outside (fallback: {placement.fallback})",
    ]
    if placement.outside:
        often = sorted(placement.outside.items(), key=lambda entry: -entry[1])
        shown = [f"{count} {operator}" for operator, count in often[:_SHOWN_OPERATORS]]
        more = [f"{len(often) - len(shown)} more kinds"] if len(often) > len(shown) else []
        lines.append("outside: " + ", ".join(shown + more))
    return "\n".join([*lines, *placement.remarks])


def parity_table(result: "ExportResult") -> "Table":
    """How well the written file agrees with the reference."""
    from rich.table import Table

    parity = result.parity
    agreement = "" if parity.agreement is None else f"{parity.agreement:.4%}"
    title = f"parity with the PyTorch reference on {parity.images} images"
    table = Table(title=title, title_justify="left")
    table.add_column("output")
    table.add_column("max error", justify="right")
    table.add_column("of range", justify="right")
    table.add_column("SQNR", justify="right")
    if agreement:
        table.add_column(f"same {parity.agreement_measure}", justify="right")
    for output in parity.outputs:
        row = [
            output.name,
            f"{output.max_abs_error:.2e}",
            f"{output.relative_error:.1e}",
            f"{output.sqnr_db:.1f} dB",
        ]
        table.add_row(*row, *([agreement] if agreement else []))
    for name in parity.not_measured:
        table.add_row(name, "no detections", "", "", *([""] if agreement else []))
    return table


def summary_table(results: "list[ExportResult]") -> "Table":
    """One row a target; of several outputs the worst figures."""
    from rich.table import Table

    table = Table(title="written, each compared with the PyTorch reference", title_justify="left")
    table.add_column("file", overflow="fold")
    table.add_column("precision")
    for heading in ("MB", "error of range", "SQNR", "agreement", "partitions", "outside", "time"):
        table.add_column(heading, justify="right")
    for result in results:
        parity, placement = result.parity, result.placement
        table.add_row(
            result.path.name,
            result.manifest["precision"],
            f"{result.manifest['file']['bytes'] / 1e6:.1f}",
            f"{max(output.relative_error for output in parity.outputs):.1e}",
            f"{min(output.sqnr_db for output in parity.outputs):.1f} dB",
            "" if parity.agreement is None else f"{parity.agreement:.3%}",
            "-" if placement.partitions is None else str(placement.partitions),
            f"{sum(placement.outside.values())}",
            f"{result.seconds:.0f} s",
        )
    return table


def systems_table(measured: "list[Measured]") -> "Table":
    """One row a system; the paper's figures are as it prints them."""
    from rich.table import Table

    from export.paper_models import COLUMNS, row

    table = Table(title="systems of the paper; its figures in brackets", title_justify="left")
    for column, justify in COLUMNS.items():
        table.add_column(column, justify=justify)
    for entry in measured:
        table.add_row(*row(entry))
    return table

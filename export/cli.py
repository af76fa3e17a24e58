"""`lvt-export`: a checkpoint in, a proven artifact out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lvt.config import PRESETS, TASKS, Task
from lvt.console import FAILED, Verbose, command, new_app, parse_size
from lvt.errors import UserError

if TYPE_CHECKING:
    from rich.table import Table

    from export.exporter import ExportResult

app = new_app(
    "Export a Lite Vision Transformer checkpoint to a file that runs on a phone.\n\n"
    "Every file is compared with the PyTorch reference, in the runtime that will run it, before "
    "it appears. Exit codes: 0 done, 1 parity failed, 2 something to put right."
)


@app.callback()
def main() -> None:
    """Keeps `onnx` a subcommand while it is the only one."""


@app.command()
def onnx(
    ckpt: Annotated[
        Path | None,
        typer.Option(
            help="Checkpoint (.pth, .pth.tar, .safetensors) or `demo`. Without: random weights."
        ),
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(help=f"{', '.join(TASKS)}; told by the checkpoint."),
    ] = None,
    size: Annotated[
        str | None, typer.Option(metavar="HxW", help="Input size; if the checkpoint has none.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="File or folder to write to.")] = None,
    images: Annotated[
        Path | None, typer.Option(help="Folder of further pictures to check parity on.")
    ] = None,
    proposals: Annotated[
        int | None, typer.Option(help="Panoptic: most boxes looked at; fewer is faster.")
    ] = None,
    detections: Annotated[
        int | None, typer.Option(help="Panoptic: most instances; fewer is faster.")
    ] = None,
    preset: Annotated[
        str | None, typer.Option(help=f"For recursion depth: {', '.join(PRESETS)}.")
    ] = None,
    ema: Annotated[bool, typer.Option("--ema", help="Use the checkpoint's EMA weights.")] = False,
    rewrite: Annotated[
        bool, typer.Option("--rewrite/--no-rewrite", help="Export the reference as it is.")
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print the manifest.")] = False,
    verbose: Verbose = False,
) -> None:
    """ONNX, checked in ONNX Runtime."""
    with command(verbose) as terminal:
        from export.exporter import ExportRequest, ParityError, export_artifact

        request = ExportRequest(
            target="onnx",
            out=out,
            checkpoint=ckpt,
            task=_task(task),
            size=parse_size(size) if size else None,
            preset=preset,
            ema=ema,
            rewrite=rewrite,
            images=images,
            proposals=proposals,
            detections=detections,
        )
        try:
            with terminal.steps() as progress:
                result = export_artifact(request, progress)
        except ParityError as error:
            terminal.note(f"error: {error}")
            raise typer.Exit(FAILED) from None
        for note in result.notes:
            terminal.note(f"note: {note}")
        if as_json:
            import json

            typer.echo(json.dumps(result.manifest, indent=2, ensure_ascii=False))
        else:
            megabytes = result.manifest["file"]["bytes"] / 1e6
            gmacs = result.manifest["macs"]["artifact"] / 1e9
            typer.echo(f"{result.path}  {megabytes:.1f} MB, {gmacs:.2f} GMAC")
            terminal.out.print(parity_table(result))


def _task(text: str | None) -> Task | None:
    for task in TASKS:
        if text == task:
            return task
    if text is None:
        return None
    raise UserError(f"unknown task {text!r}; choose one of {', '.join(TASKS)}")


def parity_table(result: ExportResult) -> Table:
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

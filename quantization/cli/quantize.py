"""The command `lvt-quantize`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from export.capabilities import QUANTIZED, TARGETS, TargetInfo, check_installed
from export.cli.options import (
    ALL_TARGETS,
    AndroidApp,
    DataSplit,
    DemoScenes,
    Detections,
    Ema,
    InParts,
    InputSize,
    NamesFile,
    OutputPath,
    PresetName,
    Proposals,
    SocNames,
    TaskName,
    app_models_folder,
    chosen_form,
    copy_to_app_assets,
    named_targets,
    print_manifests,
    run_for_targets,
)
from lvt.config import TASKS
from lvt.errors import UserError
from lvt.support.app import new_app
from lvt.support.command import command
from lvt.support.options import AsJson, Verbose, choice, parse_size
from lvt.support.terminal import Terminal
from quantization.methods import METHODS

if TYPE_CHECKING:
    from quantization.accuracy import Budget
    from quantization.pipeline import QuantizeResult
    from quantization.request import QuantizeRequest

app = new_app(
    "Quantize a Lite Vision Transformer checkpoint to int8 for phones.\n\n"
    "Every file is measured before it is published, in the runtime that will run it: against the "
    "simulation it was written from, and against the float model. Exit codes: 0 success; 1 "
    "conversion failed or the budget cannot be met; 2 invalid input."
)


def quantize(
    context: typer.Context,
    ckpt: Annotated[
        Path, typer.Option(help="Checkpoint (.pth, .pth.tar, .safetensors) or `demo`.")
    ],
    calib: Annotated[
        Path,
        typer.Option(
            help="Folder of calibration pictures, like those of the camera; no labels needed. "
            "`demo`: generated scenes."
        ),
    ],
    out: OutputPath = None,
    data: Annotated[
        Path | None,
        typer.Option(help="Labelled pictures, as for lvt-eval; the budget is measured on them."),
    ] = None,
    split: DataSplit = None,
    demo_scenes: DemoScenes = None,
    budget: Annotated[
        str | None,
        typer.Option(
            metavar="POINTS|dB",
            help="With labelled pictures: maximum drop in points of mIoU, PQ or top-1 [0.5]. "
            "Without: minimum SQNR [20dB].",
        ),
    ] = None,
    method: Annotated[
        str | None,
        typer.Option(help=f"Range method: {', '.join(METHODS)}. [default: the most accurate]"),
    ] = None,
    keep_float: Annotated[
        list[str] | None,
        typer.Option(
            "--float", metavar="BLOCK", help="Block to keep in float (w8a8: 16 bits); repeatable."
        ),
    ] = None,
    weights_only: Annotated[
        bool, typer.Option("--weights-only", help="int8 weights, float arithmetic.")
    ] = False,
    precision: Annotated[
        str | None,
        typer.Option(
            help="QNN: w8a8 (8 bits; blocks that need more get 16) or w8a16 (16-bit activations). "
            "TFLite: w8a8 for a file without float operators. [default: w8a8; TFLite: int8]"
        ),
    ] = None,
    integer_io: Annotated[
        bool,
        typer.Option(
            "--integer-io", help="TFLite in w8a8: the file takes and gives int8, not float."
        ),
    ] = False,
    soc: SocNames = None,
    qat_steps: Annotated[
        int,
        typer.Option(
            min=0,
            max=100_000,
            help="Fine-tuning steps, used only if blocks would have to stay in float.",
        ),
    ] = 0,
    task: TaskName = None,
    size: InputSize = None,
    proposals: Proposals = None,
    detections: Detections = None,
    parts: InParts = None,
    preset: PresetName = None,
    ema: Ema = False,
    names: NamesFile = None,
    plot: Annotated[
        Path | None, typer.Option(help="Write a chart of the blocks' sensitivities (.png).")
    ] = None,
    android: AndroidApp = None,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    with command(verbose) as terminal:
        targets = named_targets(context.info_name)
        app_models = app_models_folder(android, targets)
        check_installed(targets)
        if plot is not None and plot.suffix != ".png":
            raise UserError(f"--plot {plot}: the name must end in .png")
        chosen = choice(precision, QUANTIZED, "precision")
        if weights_only:
            if chosen:
                raise UserError("--weights-only is a precision of its own: leave out --precision")
            _check_weights_only(targets)
            chosen = "int8-weights"
        from export.evaluation.labelled_data import LabelledData
        from export.plan import ExportRequest
        from quantization.request import QuantizeRequest

        labelled = None
        if data is not None or demo_scenes is not None or split is not None:
            labelled = LabelledData(data, demo_scenes, split)
        request = QuantizeRequest(
            export=ExportRequest(
                target=targets[0].name,
                out=out,
                checkpoint=ckpt,
                task=choice(task, TASKS, "task"),
                size=parse_size(size) if size else None,
                preset=preset,
                ema=ema,
                names=names,
                proposals=proposals,
                detections=detections,
                form=chosen_form(parts),
                soc=tuple(soc or ()),
            ),
            calib=calib,
            method=choice(method, METHODS, "method"),
            budget=_budget(budget, labelled=labelled is not None),
            data=labelled,
            keep_float=tuple(keep_float or ()),
            precision=chosen,
            qat_steps=qat_steps,
            integer_io=integer_io,
        )
        results, code = _quantize_targets(request, targets, terminal)
        if plot is not None and results:
            _write_plot(results[0], plot, terminal)
        copy_to_app_assets(
            app_models, [(result.path, result.manifest) for result in results], terminal
        )
        if as_json:
            print_manifests([result.manifest for result in results], targets)
        elif results:
            _print_results(results, terminal)
        if code:
            raise typer.Exit(code)


for _info in TARGETS.values():
    if _info.integers:
        app.command(_info.name, help=f"int8 for {_info.summary}")(quantize)
app.command(ALL_TARGETS, help="Every target, one after the other.")(quantize)


def parse_budget(text: str | None) -> tuple[float | None, float | None]:
    """`0.5` as percentage points, `25dB` as an SQNR.

    Raises:
        UserError: anything else.
    """
    if text is None:
        return None, None
    number = text.strip().lower()
    decibels = number.endswith("db")
    try:
        value = float(number.removesuffix("db"))
    except ValueError:
        value = -1.0
    if not 0 <= value <= 200:
        raise UserError(
            f"--budget {text!r}: write percentage points of the task's figure, such as 0.5, or the "
            "minimum SQNR of the outputs, such as 25dB"
        )
    return (None, value) if decibels else (value, None)


def _budget(text: str | None, *, labelled: bool) -> Budget:
    """The budget of `--budget`, or the default.

    Raises:
        UserError: points without labelled pictures, or an SQNR with them.
    """
    from quantization.accuracy import Budget

    points, decibels = parse_budget(text)
    if (points is not None and not labelled) or (decibels is not None and labelled):
        raise UserError(
            f"--budget {text}: use points with --data or --demo-scenes, and dB without them, such "
            "as --budget 20dB"
        )
    default = Budget()
    return Budget(
        default.points if points is None else points,
        default.sqnr_db if decibels is None else decibels,
    )


def _check_weights_only(targets: tuple[TargetInfo, ...]) -> None:
    unsupported = [info.name for info in targets if "int8-weights" not in info.integers]
    if unsupported:
        supported = [info.name for info in TARGETS.values() if "int8-weights" in info.integers]
        raise UserError(f"--weights-only is for {', '.join(supported)}, not {unsupported[0]}")


def _quantize_targets(
    request: QuantizeRequest, targets: tuple[TargetInfo, ...], terminal: Terminal
) -> tuple[list[QuantizeResult], int]:
    from quantization.pipeline import Quantizer

    with terminal.steps() as progress:
        quantizer = Quantizer(request, progress)
        terminal.notes(quantizer.notes)
        for info in targets:
            quantizer.plan(info.name)  # refuse before the first target takes minutes
        return run_for_targets(targets, lambda info: quantizer.quantize(info.name), terminal)


def _write_plot(result: QuantizeResult, path: Path, terminal: Terminal) -> None:
    from lvt.visualisation import save_picture
    from quantization.report import sensitivity_plot

    save_picture(sensitivity_plot(result), path)
    terminal.note(f"wrote {path}")


def _print_results(results: list[QuantizeResult], terminal: Terminal) -> None:
    from quantization.report import accuracy_table, sensitivity_table, summary_table

    for result in results:
        typer.echo(f"wrote {result.path}")
    if results[0].sensitivities:
        terminal.out.print(sensitivity_table(results))
    terminal.out.print(summary_table(results))
    if results[0].manifest["accuracy"] is not None:
        terminal.out.print(accuracy_table(results))

"""`lvt-quantize`: a checkpoint and some pictures in, proven int8 artifacts out."""

# Without postponed annotations: the options of a command are made in a function.
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from export.capabilities import TargetInfo, check_installed
from export.cli.options import (
    ALL,
    AndroidApp,
    DataSplit,
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
from lvt.config import TASKS
from lvt.errors import UserError
from lvt.support.app import new_app
from lvt.support.command import command
from lvt.support.options import AsJson, Verbose, choice, parse_size
from lvt.support.terminal import Terminal
from quantization.methods import METHODS

if TYPE_CHECKING:
    from quantization.pipeline import QuantizeRequest, QuantizeResult

app = new_app(
    "Quantize a Lite Vision Transformer checkpoint to int8 for phones.\n\n"
    "Every file is measured before it appears, in the runtime that will run it: against the "
    "program it was written from, and against the float model. Exit codes: 0 done, 1 conversion "
    "failed or the budget cannot be met, 2 something to put right."
)


def parse_budget(text: str | None) -> tuple[float | None, float | None]:
    """`0.5` as percent points, `25dB` as an SQNR.

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
            f"--budget {text!r}: write percent points of the task's figure, such as 0.5, or the "
            "least SQNR of the outputs, such as 25dB"
        )
    return (None, value) if decibels else (value, None)


def _add_command(name: str, targets: tuple[TargetInfo, ...], summary: str) -> None:
    def quantize(
        ckpt: Annotated[
            Path, typer.Option(help="Checkpoint (.pth, .pth.tar, .safetensors) or `demo`.")
        ],
        calib: Annotated[
            Path,
            typer.Option(
                help="Folder of pictures like those the camera will see; no labels needed. "
                "`demo`: generated scenes."
            ),
        ],
        out: Folder if name == "all" else FileOrFolder = None,  # type: ignore[valid-type]
        data: Annotated[
            Path | None,
            typer.Option(help="Labelled pictures, as of lvt-eval; the budget is measured on them."),
        ] = None,
        split: DataSplit = None,
        demo_scenes: Annotated[
            int | None,
            typer.Option(min=1, max=10_000, help="Instead of --data: so many held-out scenes."),
        ] = None,
        budget: Annotated[
            str | None,
            typer.Option(
                metavar="POINTS|dB",
                help="What int8 may cost: points of mIoU, PQ or top-1 [0.5] with labelled "
                "pictures, else the least SQNR [20dB].",
            ),
        ] = None,
        method: Annotated[
            str | None,
            typer.Option(help=f"{', '.join(METHODS)}. Without: whatever does best."),
        ] = None,
        keep_float: Annotated[
            list[str] | None,
            typer.Option("--float", metavar="BLOCK", help="A block to keep in float; repeatable."),
        ] = None,
        weights_only: Annotated[
            bool, typer.Option("--weights-only", help="int8 weights, float arithmetic.")
        ] = False,
        qat_steps: Annotated[
            int,
            typer.Option(
                min=0,
                max=100_000,
                help="Fine-tune the weights for so many steps, if the budget is not met without.",
            ),
        ] = 0,
        task: TaskName = None,
        size: InputSize = None,
        proposals: Proposals = None,
        detections: Detections = None,
        preset: PresetName = None,
        ema: Ema = False,
        names: NamesFile = None,
        plot: Annotated[
            Path | None, typer.Option(help="Write the blocks' sensitivities as a picture (.png).")
        ] = None,
        android: AndroidApp = None,
        as_json: AsJson = False,
        verbose: Verbose = False,
    ) -> None:
        with command(verbose) as terminal:
            models = android_models(android, targets)
            check_installed(targets)
            if plot is not None and plot.suffix != ".png":
                raise UserError(f"--plot {plot}: the name of a picture ends in .png")
            if weights_only:
                _check_weights_only(targets)
            from export.plan import ExportRequest
            from export.predict.evaluation import LabelledData
            from quantization.accuracy import Budget
            from quantization.pipeline import QuantizeRequest

            points, decibels = parse_budget(budget)
            given = data is not None or demo_scenes is not None
            labelled = LabelledData(data, demo_scenes, split) if given else None
            if (points is not None and not labelled) or (decibels is not None and labelled):
                raise UserError(
                    f"--budget {budget}: points need --data or --demo-scenes, dB is for without"
                )
            defaults = Budget()
            export = ExportRequest(
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
            )
            request = QuantizeRequest(
                export=export,
                calib=calib,
                method=choice(method, METHODS, "method"),
                budget=Budget(
                    defaults.points if points is None else points,
                    defaults.sqnr_db if decibels is None else decibels,
                ),
                data=labelled,
                keep_float=tuple(keep_float or ()),
                weights_only=weights_only,
                qat_steps=qat_steps,
            )
            results, code = _quantize_all(request, targets, terminal)
            if plot is not None and results:
                _write_plot(results[0], plot, terminal)
            put_into_app(models, [(result.path, result.manifest) for result in results], terminal)
            if as_json:
                print_manifests([result.manifest for result in results], targets)
            elif results:
                _show(results, terminal)
            if code:
                raise typer.Exit(code)

    quantize.__doc__ = summary
    app.command(name)(quantize)


def _check_weights_only(targets: tuple[TargetInfo, ...]) -> None:
    from quantization.backend_config import WEIGHTS_ONLY

    unable = [info.name for info in targets if info.name not in WEIGHTS_ONLY]
    if unable:
        raise UserError(f"--weights-only is for {', '.join(WEIGHTS_ONLY)}, not {unable[0]}")


def _quantize_all(
    request: "QuantizeRequest", targets: tuple[TargetInfo, ...], terminal: Terminal
) -> tuple[list["QuantizeResult"], int]:
    from quantization.pipeline import Quantizer

    with terminal.steps() as progress:
        quantizer = Quantizer(request, progress)
        terminal.notes(quantizer.notes)
        for info in targets:
            quantizer.check(info.name)  # all of them before the first takes its minutes
        return each_target(targets, lambda info: quantizer.quantize(info.name), terminal)


def _write_plot(result: "QuantizeResult", path: Path, terminal: Terminal) -> None:
    from lvt.visualisation import save_picture
    from quantization.report import sensitivity_plot

    save_picture(sensitivity_plot(result), path)
    terminal.note(f"wrote {path}")


def _show(results: list["QuantizeResult"], terminal: Terminal) -> None:
    from quantization.report import accuracy_table, sensitivity_table, summary_table

    for result in results:
        typer.echo(f"wrote {result.path}")
    if results[0].sensitivities:
        terminal.out.print(sensitivity_table(results))
    terminal.out.print(summary_table(results))
    if results[0].manifest["accuracy"] is not None:
        terminal.out.print(accuracy_table(results))


for _info in ALL:
    _add_command(_info.name, (_info,), f"int8 for {_info.summary}")
_add_command("all", ALL, "Every target, one after the other.")

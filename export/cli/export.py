"""The command `lvt-export`."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from export.capabilities import (
    DEFAULT_TARGETS,
    FORMS,
    PRECISIONS,
    QUANTIZED,
    TARGETS,
    Precision,
    TargetInfo,
    check_installed,
)
from export.cli.options import (
    ALL_TARGETS,
    AndroidApp,
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
from lvt.config import TASKS, Task
from lvt.errors import UserError
from lvt.support.app import new_app
from lvt.support.command import command
from lvt.support.options import AsJson, Verbose, choice, parse_size
from lvt.support.terminal import Terminal

if TYPE_CHECKING:
    from export.pipeline import ExportResult
    from export.plan import ExportRequest

app = new_app(
    "Export a Lite Vision Transformer checkpoint to a file that runs on a phone.\n\n"
    "Every file is compared with the PyTorch reference before it is published, in the runtime that "
    "will run it (Core ML: on a Mac; elsewhere in our evaluator). Exit codes: 0 success; 1 "
    "conversion, parity or placement failed; 2 invalid input."
)


def export(
    context: typer.Context,
    ckpt: Annotated[
        Path | None,
        typer.Option(
            help="Checkpoint (.pth, .pth.tar, .safetensors) or `demo`. [default: random weights]"
        ),
    ] = None,
    task: TaskName = None,
    size: InputSize = None,
    out: OutputPath = None,
    precision: Annotated[
        str | None,
        typer.Option(help=f"{' or '.join(PRECISIONS)}. [default: depends on the target]"),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Fail if any operator runs outside the accelerator.")
    ] = False,
    gpu: Annotated[
        bool,
        typer.Option(
            "--gpu",
            help="TFLite: check that the GPU accelerator takes the file (--strict: fail if not).",
        ),
    ] = False,
    pixels: Annotated[
        bool,
        typer.Option(
            "--pixels", help="Core ML: the file takes 8-bit pixels, normalisation is built in."
        ),
    ] = False,
    images: Annotated[
        Path | None, typer.Option(help="Folder of additional pictures for the parity check.")
    ] = None,
    proposals: Proposals = None,
    detections: Detections = None,
    parts: InParts = None,
    soc: SocNames = None,
    preset: PresetName = None,
    ema: Ema = False,
    names: NamesFile = None,
    rewrite: Annotated[
        bool,
        typer.Option("--rewrite/--no-rewrite", help="ONNX: export the reference without rewrites."),
    ] = True,
    android: AndroidApp = None,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    with command(verbose) as terminal:
        targets = named_targets(context.info_name)
        app_models = app_models_folder(android, targets)
        from export.plan import ExportRequest

        request = ExportRequest(
            target=targets[0].name,
            out=out,
            checkpoint=ckpt,
            task=choice(task, TASKS, "task"),
            size=parse_size(size) if size else None,
            precision=_precision(precision),
            strict=strict,
            pixels=pixels,
            preset=preset,
            ema=ema,
            names=names,
            rewrite=rewrite,
            images=images,
            proposals=proposals,
            detections=detections,
            form=chosen_form(parts),
            soc=tuple(soc or ()),
            gpu=gpu,
        )
        check_installed(targets)
        results, code = _export_targets(request, targets, terminal)
        terminal.notes(dict.fromkeys(note for result in results for note in result.notes))
        copy_to_app_assets(
            app_models, [(result.path, result.manifest) for result in results], terminal
        )
        if as_json:
            print_manifests([result.manifest for result in results], targets)
        else:
            _print_results(results, context.info_name, terminal)
        if code:
            raise typer.Exit(code)


def _precision(text: str | None) -> Precision | None:
    """A float precision.

    Raises:
        UserError: `lvt-quantize` writes it, or nothing does.
    """
    if text in QUANTIZED:
        raise UserError(f"--precision {text}: lvt-quantize writes it, not lvt-export")
    return choice(text, PRECISIONS, "precision")


def _export_targets(
    request: ExportRequest, targets: tuple[TargetInfo, ...], terminal: Terminal
) -> tuple[list[ExportResult], int]:
    from export.pipeline import export_artifact, loading_step
    from export.plan import plan_export, resolve_model

    with terminal.steps() as progress:
        progress(loading_step(request))
        model = resolve_model(request)
        task = model.spec.task
        requests = {info.name: _for_target(request, task, info, targets) for info in targets}
        for info in targets:
            plan_export(requests[info.name], model)  # refuse before the first target takes minutes
        return run_for_targets(
            targets, lambda info: export_artifact(requests[info.name], progress, model), terminal
        )


def _for_target(
    request: ExportRequest, task: Task, info: TargetInfo, targets: tuple[TargetInfo, ...]
) -> ExportRequest:
    """The request for one of several targets; a missing precision becomes the target's default."""
    request = replace(request, target=info.name)
    if len(targets) == 1:
        return request
    suffixes = {target.form_suffix(form) for target in targets for form in FORMS}
    if request.out is not None and Path(request.out).suffix in suffixes:
        raise UserError(f"--out {request.out}: give a folder; every target writes a file")
    if request.precision not in info.precisions.get(task, ()):
        return replace(request, precision=None)
    return request


def _print_results(results: list[ExportResult], name: str | None, terminal: Terminal) -> None:
    from export.cli.tables import headline, parity_table, summary_table

    if name == ALL_TARGETS:
        if results:
            terminal.out.print(summary_table(results))
        return
    for result in results:
        typer.echo(headline(result))
        terminal.out.print(parity_table(result))


for _info in TARGETS.values():
    app.command(_info.name, help="\n\n".join([_info.summary, *_info.notes]))(export)
_names = ", ".join(info.name for info in DEFAULT_TARGETS)
app.command(ALL_TARGETS, help=f"Every target in one run: {_names}.")(export)


@app.command()
def models(as_json: AsJson = False, verbose: Verbose = False) -> None:
    """List the paper's models for --preset: parameters and multiply-accumulates."""
    with command(verbose) as terminal:
        from export.cli.tables import paper_models_table
        from export.paper_models import PAPER_MODELS, count, to_dict

        with terminal.steps() as progress:
            counted = []
            for model in PAPER_MODELS:
                progress(f"counting {model.preset}, {model.task}")
                counted.append(count(model))
        if as_json:
            typer.echo(json.dumps([to_dict(entry) for entry in counted], indent=2))
        else:
            terminal.out.print(paper_models_table(counted))

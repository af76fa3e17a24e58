"""Options that several commands share, and the loop over targets of those that write artifacts."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from export.capabilities import DEFAULT_TARGETS, TARGETS, Form, TargetInfo
from export.chips import chip_list
from export.errors import ExportError
from lvt.config import PRESETS, TASKS
from lvt.errors import UserError
from lvt.support.command import FAILED, MISUSED
from lvt.support.terminal import Terminal
from lvt.support.validation import json_text

ALL_TARGETS = "all"
"""Name of the subcommand that writes every default target."""

TaskName = Annotated[
    str | None,
    typer.Option("--task", help=f"{', '.join(TASKS)}. [default: the checkpoint's]"),
]
InputSize = Annotated[
    str | None,
    typer.Option("--size", metavar="HxW", help="Input size. [default: the checkpoint's]"),
]
Proposals = Annotated[
    int | None,
    typer.Option("--proposals", help="Panoptic: maximum number of proposals; fewer is faster."),
]
Detections = Annotated[
    int | None,
    typer.Option("--detections", help="Panoptic: maximum number of instances; fewer is faster."),
]
InParts = Annotated[
    bool | None,
    typer.Option(
        "--parts/--whole",
        help="Panoptic: entry points with steps on the host between them, or one graph. "
        "[default: the faster one on the target]",
    ),
]
SocNames = Annotated[
    list[str] | None,
    typer.Option(
        "--soc", metavar="NAME", help=f"QNN: chip to compile for, repeatable: {chip_list()}."
    ),
]
PresetName = Annotated[
    str | None,
    typer.Option(
        "--preset",
        help="Recursion depth (not stored in the checkpoint); without a checkpoint, the model: "
        f"{', '.join(PRESETS)}. See `lvt-export models`.",
    ),
]
NamesFile = Annotated[
    Path | None,
    typer.Option(
        "--names",
        metavar="FILE",
        help="Class names, one per line, or JSON with colours. [default: the checkpoint's]",
    ),
]
DataSplit = Annotated[
    str | None,
    typer.Option("--split", metavar="NAME", help="Subfolder of --data to use, such as val."),
]
DemoScenes = Annotated[
    int | None,
    typer.Option(
        "--demo-scenes", min=1, max=10_000, help="Instead of --data: number of generated scenes."
    ),
]
Ema = Annotated[bool, typer.Option("--ema", help="Use the checkpoint's EMA weights.")]
OutputPath = Annotated[
    Path | None,
    typer.Option("--out", help="File or folder to write to; `all` takes a folder."),
]
AndroidApp = Annotated[
    Path | None,
    typer.Option(
        "--android",
        metavar="FOLDER",
        help="Also copy file and manifest to the assets of this app, such as android_demo.",
    ),
]

Result = TypeVar("Result")


def named_targets(name: str | None) -> tuple[TargetInfo, ...]:
    """The targets of a subcommand: one, or every default target for `all`."""
    if name is None or name == ALL_TARGETS:
        return DEFAULT_TARGETS
    return (TARGETS[name],)


def chosen_form(parts: bool | None) -> Form | None:
    """The form that `--parts` or `--whole` chooses; None if neither is given."""
    return None if parts is None else "parts" if parts else "whole"


def run_for_targets(
    targets: tuple[TargetInfo, ...], write: Callable[[TargetInfo], Result], terminal: Terminal
) -> tuple[list[Result], int]:
    """Writes one target after the other. A failure does not stop the remaining targets.

    Returns:
        The results of the targets that succeeded, and the exit code.

    Raises:
        UserError: there is only one target, and the user can fix the problem.
    """
    results: list[Result] = []
    code = 0
    for target in targets:
        try:
            results.append(write(target))
        except ExportError as error:
            terminal.note(f"error: {error}", cause=error.__cause__)
            code = code or FAILED
        except UserError as error:
            if len(targets) == 1:
                raise
            terminal.note(f"error: {error}")
            code = MISUSED
    return results, code


def app_models_folder(app: Path | None, targets: tuple[TargetInfo, ...]) -> Path | None:
    """The folder for artifacts in the assets of `--android`; None without that option.

    Raises:
        UserError: the folder is not an app, or the app cannot run any of the targets.
    """
    if app is None:
        return None
    if not any(target.android for target in targets):
        supported = ", ".join(target.name for target in TARGETS.values() if target.android)
        raise UserError(
            f"--android supports {supported}: the app does not run {targets[0].name} files"
        )
    from export.artifact.android_assets import models_folder

    return models_folder(app)


def copy_to_app_assets(
    models: Path | None, artifacts: Iterable[tuple[Path, dict[str, Any]]], terminal: Terminal
) -> None:
    """Copies the artifacts that the app can run to its assets, and reports each copy.

    Args:
        models: `app_models_folder(...)`; None copies nothing.
        artifacts: model files with their manifests.
        terminal: for the reports.

    Raises:
        UserError: the folder cannot be written to.
    """
    if models is None:
        return
    from export.artifact.android_assets import copy_artifact

    for path, manifest in artifacts:
        if TARGETS[manifest["target"]].android:
            terminal.note(f"copied to the app: {copy_artifact(models, path)}")


def print_manifests(manifests: list[dict[str, Any]], targets: tuple[TargetInfo, ...]) -> None:
    """Prints JSON: one manifest for one target, a list for several."""
    if manifests:
        typer.echo(json_text(manifests if len(targets) > 1 else manifests[0]))

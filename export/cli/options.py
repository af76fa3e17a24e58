"""What the commands that write artifacts share: options, and one target after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from export.capabilities import TARGETS, TargetInfo
from lvt.config import PRESETS, TASKS
from lvt.errors import UserError
from lvt.support.command import FAILED, MISUSED
from lvt.support.terminal import Terminal
from lvt.support.validation import json_text

ALL = tuple(info for info in TARGETS.values() if info.in_all)
"""The targets of the subcommand `all`."""

TaskName = Annotated[str | None, typer.Option(help=f"{', '.join(TASKS)}; told by the checkpoint.")]
InputSize = Annotated[
    str | None, typer.Option(metavar="HxW", help="Input size; if the checkpoint has none.")
]
Proposals = Annotated[
    int | None, typer.Option(help="Panoptic: most boxes looked at; fewer is faster.")
]
Detections = Annotated[int | None, typer.Option(help="Panoptic: most instances; fewer is faster.")]
PresetName = Annotated[
    str | None,
    typer.Option(
        help="Model for random weights, or another recursion depth than a checkpoint's: "
        f"{', '.join(PRESETS)}. See `lvt-export models`."
    ),
]
NamesFile = Annotated[
    Path | None,
    typer.Option(
        "--names",
        metavar="FILE",
        help="Names of the classes, one a line or JSON with colours; else the checkpoint's.",
    ),
]
DataSplit = Annotated[
    str | None,
    typer.Option(
        "--split", metavar="NAME", help="Subfolder of --data, such as val, if it has several."
    ),
]
Ema = Annotated[bool, typer.Option("--ema", help="Use the checkpoint's EMA weights.")]
Folder = Annotated[Path | None, typer.Option(help="Folder to write to.")]
FileOrFolder = Annotated[Path | None, typer.Option(help="File or folder.")]
AndroidApp = Annotated[
    Path | None,
    typer.Option(
        "--android",
        metavar="FOLDER",
        help="Copy file and manifest into this app's assets too, such as android_demo.",
    ),
]

Result = TypeVar("Result")


def each_target(
    targets: tuple[TargetInfo, ...], write: Callable[[TargetInfo], Result], terminal: Terminal
) -> tuple[list[Result], int]:
    """Writes for one target after the other; one that fails does not stop the others.

    Returns:
        What has been written, and the exit code.

    Raises:
        UserError: there is one target only, and the user can put it right.
    """
    from export.pipeline import ExportError

    results: list[Result] = []
    code = 0
    for info in targets:
        try:
            results.append(write(info))
        except ExportError as error:
            terminal.note(f"error: {error}", cause=error.__cause__)
            code = code or FAILED
        except UserError as error:
            if len(targets) == 1:
                raise
            terminal.note(f"error: {error}")
            code = MISUSED
    return results, code


def android_models(app: Path | None, targets: tuple[TargetInfo, ...]) -> Path | None:
    """The folder for artifacts in an app's assets; None if no app was given.

    Raises:
        UserError: it is no app, or has no runtime for any of the targets.
    """
    if app is None:
        return None
    if not any(info.android for info in targets):
        takes = ", ".join(info.name for info in TARGETS.values() if info.android)
        raise UserError(f"--android is for {takes}: the app does not run {targets[0].name} files")
    from export.artifact.android_assets import models_folder

    return models_folder(app)


def put_into_app(
    models: Path | None, manifests_of: Iterable[tuple[Path, dict[str, Any]]], terminal: Terminal
) -> None:
    """Copies the artifacts that the app runs into its assets, and says so.

    Raises:
        UserError: they cannot be written.
    """
    if models is None:
        return
    from export.artifact.android_assets import put_into

    for path, manifest in manifests_of:
        if TARGETS[manifest["target"]].android:
            terminal.note(f"in the app: {put_into(models, path)}")


def print_manifests(manifests: list[dict[str, Any]], targets: tuple[TargetInfo, ...]) -> None:
    """As JSON: a list, or where there is one target only its own."""
    if manifests:
        shown = manifests if len(targets) > 1 else manifests[0]
        typer.echo(json_text(shown))

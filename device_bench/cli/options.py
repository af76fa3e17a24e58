"""What several commands of `lvt-bench` ask for, and how it is understood."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lvt.errors import UserError
from lvt.support.terminal import Terminal

if TYPE_CHECKING:
    from device_bench.measure.preset import Protocol

Threads = Annotated[int, typer.Option(min=1, help="Threads of the runtime.")]
PresetName = Annotated[
    str, typer.Option(help="quick: 128 runs and 10 s; submission: 1024 runs and 60 s.")
]
Runs = Annotated[int | None, typer.Option(min=1, help="Instead of the preset's.")]
MinSeconds = Annotated[float | None, typer.Option(min=0, help="Instead of the preset's.")]
JsonFile = Annotated[
    Path | None, typer.Option("--json", metavar="FILE", help="Write results, raw samples too.")
]


def chosen_protocol(preset: str) -> Protocol:
    """The preset of this name.

    Raises:
        UserError: there is none.
    """
    from device_bench.measure.preset import PRESETS

    if preset not in PRESETS:
        raise UserError(f"unknown preset {preset!r}; choose one of {', '.join(PRESETS)}")
    return PRESETS[preset]


def least_of(rule: Protocol, runs: int | None, seconds: float | None) -> tuple[int, float]:
    """How many runs and how many seconds are asked for; where nothing is, the preset's."""
    return rule.runs if runs is None else runs, rule.seconds if seconds is None else seconds


def made_default(terminal: Terminal, target: str) -> Path:
    """The classifier that is timed where no file is given, exported once.

    Raises:
        UserError: see `default_artifact`.
    """
    from device_bench.measure.default_model import default_artifact

    with terminal.steps() as progress:
        return default_artifact(target, progress)

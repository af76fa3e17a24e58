"""Options that several commands have, and parsers of option values.

Imports nothing heavy, so that `--help` takes little time.
"""

from __future__ import annotations

import re
from typing import Annotated, TypeVar

import typer

from lvt.errors import UserError

MAX_PIXELS = 4096 * 4096
"""Largest input size that `--size` accepts."""

T = TypeVar("T", bound=str)


def _print_version(requested: bool) -> None:
    if requested:
        from importlib.metadata import version

        typer.echo(f"lvt-mobile {version('lvt-mobile')}")
        raise typer.Exit


Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", help="Show the messages of other libraries.")
]
Version = Annotated[
    bool,
    typer.Option(
        "--version", is_eager=True, callback=_print_version, help="Print the version and exit."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
RuntimeThreads = Annotated[
    int, typer.Option(min=0, help="Threads of the runtime; 0 for the runtime's default.")
]


def parse_size(text: str) -> tuple[int, int]:
    """Height and width of a size written as `HxW`, or as one number for a square.

    Raises:
        UserError: the text is not a size, or has more than `MAX_PIXELS` pixels.
    """
    match = re.fullmatch(r"(\d{1,5})(?:[xX](\d{1,5}))?", text.strip())
    if not match or int(match[1]) < 1 or (match[2] and int(match[2]) < 1):
        raise UserError(f"--size {text!r} is not a size: write HxW in pixels, such as 352x480")
    height, width = int(match[1]), int(match[2] or match[1])
    if height * width > MAX_PIXELS:
        raise UserError(f"--size {text}: at most {MAX_PIXELS} pixels, such as 4096x4096")
    return height, width


def choice(value: str | None, known: tuple[T, ...], what: str) -> T | None:
    """The entry of `known` that equals `value`; None if `value` is None.

    Raises:
        UserError: `value` is not in `known`; `what` names the option in the message.
    """
    if value is None:
        return None
    for entry in known:
        if entry == value:
            return entry
    raise UserError(f"unknown {what} {value!r}; choose one of {', '.join(known)}")

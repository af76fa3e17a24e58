"""How every command line of ours behaves: errors, noise, progress, numbers and sizes.

Imports nothing heavy, so that `--help` answers at once.
"""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import re
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from typer.core import TyperGroup

from lvt.errors import UserError
from lvt.support import signals

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

FAILED = 1
"""Exit code: the command ran, and the answer is no (parity, a regression gate)."""
MISUSED = 2
"""Exit code: something the user can put right."""
INTERRUPTED = 130
MOST_PIXELS = 4096 * 4096
WIDTH_OF_FILES = 120
"""Columns of tables that go to a file or a pipe."""


Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Show what other libraries say.")]


def _tell_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(f"lvt-mobile {version('lvt-mobile')}")
        raise typer.Exit


Version = Annotated[
    bool,
    typer.Option(
        "--version", is_eager=True, callback=_tell_version, help="Tell the version and stop."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
RuntimeThreads = Annotated[int, typer.Option(min=0, help="0: the runtime's choice.")]


T = TypeVar("T", bound=str)


class DefaultCommand(TyperGroup):
    """Several subcommands, of which the first is meant where none is named."""

    @property
    def _default(self) -> str:
        return next(iter(self.commands))

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Names the default command where `args` begins with anything but a command."""
        if not args or args[0] not in (*self.commands, *ctx.help_option_names):
            args = [self._default, *args]
        return super().parse_args(ctx, args)

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """The default command's usage, then that there are others."""
        return [*self.commands[self._default].collect_usage_pieces(ctx), "| COMMAND ..."]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """The default command's arguments and options, then the other commands."""
        self.commands[self._default].format_options(ctx, formatter)
        self.format_commands(ctx, formatter)


def new_app(help_text: str | None = None, *, group: type[TyperGroup] | None = None) -> typer.Typer:
    """A Typer application in the house style; a help text is for several subcommands."""
    app = typer.Typer(
        cls=group,
        help=help_text,
        no_args_is_help=help_text is not None,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )
    if help_text is not None and group is None:

        @app.callback()
        def of_all(version: Version = False) -> None:
            pass

    return app


def parse_size(text: str) -> tuple[int, int]:
    """`HxW`, or one number for a square.

    Raises:
        UserError: anything else, or more pixels than any model here could be exported for.
    """
    match = re.fullmatch(r"(\d{1,5})(?:[xX](\d{1,5}))?", text.strip())
    if not match or int(match[1]) < 1 or (match[2] and int(match[2]) < 1):
        raise UserError(f"--size {text!r} is not a size: write HxW in pixels, such as 352x480")
    height, width = int(match[1]), int(match[2] or match[1])
    if height * width > MOST_PIXELS:
        raise UserError(f"--size {text}: at most {MOST_PIXELS} pixels, such as 4096x4096")
    return height, width


def choice(value: str | None, known: tuple[T, ...], what: str) -> T | None:
    """An option's value as one of those it can have; None if it was not given.

    Raises:
        UserError: it is none of them.
    """
    if value is None:
        return None
    for entry in known:
        if entry == value:
            return entry
    raise UserError(f"unknown {what} {value!r}; choose one of {', '.join(known)}")


class Terminal:
    """Where a command talks to its user: results on stdout, everything else on stderr."""

    def __init__(self, errors: IO[str], *, verbose: bool = False):
        self._errors = errors
        self._verbose = verbose

    @property
    def out(self) -> Console:
        """For results."""
        from rich.console import Console

        # A file or a pipe has no width of its own; 80 columns would break most tables.
        width = None if sys.stdout.isatty() else WIDTH_OF_FILES
        # Names of classes and files are printed as they are, brackets and colons too.
        return Console(highlight=False, width=width, markup=False, emoji=False)

    def note(self, text: str, cause: BaseException | None = None) -> None:
        """One line on stderr; where everything is shown, what caused it too."""
        if cause is not None and self._verbose:
            self._errors.writelines(traceback.format_exception(cause))
        self._errors.write(text + "\n")
        self._errors.flush()

    def notes(self, lines: Iterable[str]) -> None:
        """What the user has to know, a line each."""
        for line in lines:
            self.note(f"note: {line}")

    def progress(self) -> Progress:
        """A progress bar on stderr, silent where that is no terminal."""
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        console = Console(file=self._errors)
        return Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[detail]}", markup=False),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )

    @contextmanager
    def steps(self) -> Iterator[Callable[[str], None]]:
        """Shows one moving line that names the current step of a job of unknown length."""
        with self.progress() as bar:
            task = bar.add_task("starting", total=None, detail="")

            def show(step: str) -> None:
                signals.check()  # a library may have swallowed a Ctrl-C in the step before
                bar.update(task, description=step)

            yield show


@contextmanager
def command(verbose: bool) -> Iterator[Terminal]:
    """Runs the body of a command under the house rules.

    `UserError` becomes one line and exit code 2; Ctrl-C becomes one line and exit code 130. What
    other libraries write to stderr is held back, unless `verbose`, and shown if we crash.
    """
    _escape_what_cannot_be_encoded()
    if verbose:
        with _outcome(sys.stderr):
            yield Terminal(sys.stderr, verbose=True)
        return
    sys.stderr.flush()
    with (
        tempfile.TemporaryFile() as noise,
        os.fdopen(os.dup(2), "w", errors=_ESCAPED) as errors,
        os.fdopen(os.dup(noise.fileno()), "w", buffering=1) as python_noise,
        contextlib.redirect_stderr(python_noise),
    ):
        os.dup2(noise.fileno(), 2)  # native code writes to the descriptor, not to sys.stderr
        try:
            with _outcome(errors):
                yield Terminal(errors)
        except typer.Exit:
            raise  # the user has been told; the noise is not for them
        except Exception:
            noise.seek(0)
            errors.write(noise.read().decode(errors="replace"))
            raise
        finally:
            errors.flush()
            os.dup2(errors.fileno(), 2)


_ESCAPED = "lvt-escaped"


def _escape(error: UnicodeError) -> tuple[str, int]:
    """Characters that a stream's encoding lacks, as JSON writes them: that stays valid JSON."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    units = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass")
    pairs = zip(units[::2], units[1::2], strict=True)
    return "".join(f"\\u{high:02x}{low:02x}" for high, low in pairs), error.end


def _escape_what_cannot_be_encoded() -> None:
    """Pipes and old terminals have encodings without the characters of many names."""
    codecs.register_error(_ESCAPED, _escape)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_ESCAPED)


def _one_line(text: str) -> str:
    """Without line breaks, and without characters that a terminal acts on or cannot encode."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode()
        for char in " ".join(text.split())
    )


@contextmanager
def _outcome(errors: IO[str]) -> Iterator[None]:
    try:
        with signals.convert_interrupts():
            yield
    except UserError as error:
        errors.write(f"error: {_one_line(str(error))}\n")
        raise typer.Exit(MISUSED) from None
    except OSError as error:
        if error.filename is None or error.strerror is None:
            raise
        # A file that can be named, and what the system says of it: no fault of the program.
        errors.write(f"error: {_one_line(f'{error.filename}: {error.strerror}')}\n")
        raise typer.Exit(MISUSED) from None
    except KeyboardInterrupt:
        errors.write("interrupted\n")
        raise typer.Exit(INTERRUPTED) from None

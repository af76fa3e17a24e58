"""Output of a command: results on stdout; notes and progress on stderr."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

from lvt.support import signals
from lvt.support.progress import Progress

if TYPE_CHECKING:
    import rich.console
    import rich.progress

PIPE_COLUMNS = 120
"""Width of tables that are written to a file or a pipe."""


class Terminal:
    """The terminal, or the files and pipes, that a command writes to.

    Args:
        errors: stream for notes and progress.
        verbose: print the tracebacks of causes as well.
    """

    def __init__(self, errors: IO[str], *, verbose: bool = False):
        self._errors = errors
        self._verbose = verbose

    @property
    def out(self) -> rich.console.Console:
        """The console for results, on stdout."""
        from rich.console import Console

        # A file or a pipe has no width. Rich's default of 80 columns would wrap most tables.
        width = None if sys.stdout.isatty() else PIPE_COLUMNS
        # Class and file names may contain brackets and colons, which Rich takes for markup.
        return Console(highlight=False, width=width, markup=False, emoji=False)

    def note(self, text: str, cause: BaseException | None = None) -> None:
        """Writes one line to stderr, after the traceback of `cause` if the command is verbose."""
        if cause is not None and self._verbose:
            self._errors.writelines(traceback.format_exception(cause))
        self._errors.write(text + "\n")
        self._errors.flush()

    def notes(self, lines: Iterable[str]) -> None:
        """Writes each line to stderr as a note."""
        for line in lines:
            self.note(f"note: {line}")

    def progress(self) -> rich.progress.Progress:
        """A progress bar on stderr; it shows nothing if stderr is not a terminal."""
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as ProgressBar

        console = Console(file=self._errors)
        return ProgressBar(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[detail]}", markup=False),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )

    @contextmanager
    def steps(self) -> Iterator[Progress]:
        """Shows the name of the current step of an operation of unknown length."""
        with self.progress() as bar:
            task = bar.add_task("starting", total=None, detail="")

            def show(step: str) -> None:
                signals.check()  # a library may have swallowed a Ctrl-C in the step before
                bar.update(task, description=step)

            yield show

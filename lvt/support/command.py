"""Runs the body of a command: error lines, exit codes, interrupts, output of other libraries.

Imports nothing heavy, so that `--help` takes little time.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

import typer

from lvt.errors import UserError
from lvt.support import signals
from lvt.support.encoding import ESCAPE_UNENCODABLE, escape_unencodable_output, printable_line
from lvt.support.terminal import Terminal
from lvt.support.threads import limit_spinning

FAILED = 1
"""Exit code: the command ran, and its check failed (parity, a regression gate)."""
MISUSED = 2
"""Exit code: the user can correct the cause."""
INTERRUPTED = 130
"""Exit code: Ctrl-C, SIGTERM."""


@contextmanager
def command(verbose: bool) -> Iterator[Terminal]:
    """Runs the body of a command and yields the terminal that it writes to.

    `UserError` becomes one line and exit code 2; Ctrl-C becomes one line and exit code 130. Unless
    `verbose`, the output of other libraries on stderr is hidden; it is shown after a crash.
    """
    escape_unencodable_output()
    limit_spinning()
    if verbose:
        with _exit_codes(sys.stderr):
            yield Terminal(sys.stderr, verbose=True)
        return
    sys.stderr.flush()
    with (
        tempfile.TemporaryFile() as hidden,
        os.fdopen(os.dup(2), "w", errors=ESCAPE_UNENCODABLE) as errors,
        os.fdopen(os.dup(hidden.fileno()), "w", buffering=1) as hidden_text,
        contextlib.redirect_stderr(hidden_text),
    ):
        os.dup2(hidden.fileno(), 2)  # native code writes to the descriptor, not to sys.stderr
        try:
            with _exit_codes(errors):
                yield Terminal(errors)
        except typer.Exit:
            raise  # the error line is written; the hidden output does not help the user
        except Exception:
            hidden.seek(0)
            errors.write(hidden.read().decode(errors="replace"))
            raise
        finally:
            errors.flush()
            os.dup2(errors.fileno(), 2)


@contextmanager
def _exit_codes(errors: IO[str]) -> Iterator[None]:
    """Turns the errors of the body into one line on `errors` and an exit code."""
    try:
        with signals.convert_interrupts():
            yield
    except UserError as error:
        errors.write(f"error: {printable_line(str(error))}\n")
        raise typer.Exit(MISUSED) from None
    except OSError as error:
        if error.filename is None or error.strerror is None:
            raise
        # The system names a file and a reason, such as a full disk: not a bug of the program.
        errors.write(f"error: {printable_line(f'{error.filename}: {error.strerror}')}\n")
        raise typer.Exit(MISUSED) from None
    except KeyboardInterrupt:
        errors.write("interrupted\n")
        raise typer.Exit(INTERRUPTED) from None

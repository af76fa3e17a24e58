"""Writing of files and folders, so that each appears complete or not at all."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lvt.errors import UserError
from lvt.support import signals

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, as hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextmanager
def atomic_folder(parent: Path) -> Iterator[Path]:
    """Yields a scratch folder in `parent` and removes it afterwards, also after an error.

    Write files into it, then `publish` each: a rename within one file system is atomic.

    Raises:
        UserError: `parent` cannot be created or written to.
    """
    try:
        parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(dir=parent, prefix=".lvt-partial-"))
    except OSError as error:
        raise UserError(f"cannot write to {parent}: {error.strerror}") from error
    try:
        yield scratch
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        raise UserError(f"cannot write to {parent}: {error.strerror or error}{where}") from error
    finally:
        with signals.defer_interrupts():  # of users who press Ctrl-C twice
            shutil.rmtree(scratch, ignore_errors=True)


def publish(source: Path, destination: Path) -> None:
    """Moves a complete file to its final name and replaces an existing file.

    Raises:
        UserError: the destination is a folder.
    """
    if destination.is_dir():
        raise UserError(f"{destination} is a folder; give a file name")
    umask = os.umask(0)
    os.umask(umask)
    source.chmod(0o666 & ~umask)  # scratch files are private; results have the usual permissions
    source.replace(destination)


@contextmanager
def directory_lock(folder: Path) -> Iterator[None]:
    """Locks `folder` for several renames that belong together.

    Other processes of lvt-mobile wait for the lock, and Ctrl-C waits for the end of the body. The
    lock is on the folder itself and leaves no file behind. There is no lock on Windows.

    Raises:
        KeyboardInterrupt: after the body, if Ctrl-C was pressed.
    """
    with signals.defer_interrupts():
        if fcntl is None:
            yield
            return
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            with suppress(OSError):  # some network file systems have no locks
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def publish_folder(source: Path, destination: Path) -> None:
    """Moves a complete folder to its final name and replaces a folder with the same suffix.

    The replaced folder moves to the scratch folder that contains `source`, and is removed with it.

    Raises:
        UserError: the destination is a file, or a folder with another suffix.
    """
    replaced = source.with_name(f"replaced-{source.name}")
    if destination.is_dir() and destination.suffix == source.suffix:
        destination.replace(replaced)
    elif destination.exists():
        raise UserError(f"{destination} already exists; choose another name")
    try:
        source.replace(destination)
    except OSError:
        if replaced.exists():
            replaced.replace(destination)
        raise


def ensure_writable(file: Path, inputs: Iterable[Path] = ()) -> None:
    """Checks, before any work is done, that a command can write `file`.

    Args:
        file: the file to write.
        inputs: the files that the command reads; it must not overwrite them.

    Raises:
        UserError: `file` is a folder, is in a folder that is not writable, or is one of the inputs.
    """
    if file.is_dir():
        raise UserError(f"{file} is a folder; give a file name")
    if file.resolve() in {path.resolve() for path in inputs}:
        raise UserError(f"{file} is read by this command; choose another name to write to")
    with atomic_folder(file.parent):
        pass


def write_text(path: Path, text: str) -> None:
    """Writes a UTF-8 text file, complete or not at all.

    Raises:
        UserError: see `atomic_folder` and `publish`.
    """
    with atomic_folder(path.parent) as scratch:
        (scratch / path.name).write_text(text, "utf-8")
        publish(scratch / path.name, path)


def cache_folder() -> Path:
    """`lvt-mobile` in the user's cache folder (XDG_CACHE_HOME, else ~/.cache)."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lvt-mobile"


def new_folder(path: Path) -> None:
    """Makes an empty folder, in place of one that is there."""
    if path.exists():
        shutil.rmtree(path)
    path.mkdir()

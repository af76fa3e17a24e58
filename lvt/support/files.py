"""Files and folders that appear whole or not at all."""

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
    """Hex digest of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextmanager
def atomic_folder(parent: Path) -> Iterator[Path]:
    """A scratch folder beside the final place of its files; gone afterwards, come what may.

    Write into it, then `publish` each file: on the same file system a rename is atomic.

    Raises:
        UserError: `parent` cannot be made or written to.
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
        with signals.defer_interrupts():  # the second, from the impatient
            shutil.rmtree(scratch, ignore_errors=True)


def publish(source: Path, destination: Path) -> None:
    """Moves a finished file to its final name, replacing what is there.

    Raises:
        UserError: the destination is a folder.
    """
    if destination.is_dir():
        raise UserError(f"{destination} is a folder; give a file name")
    umask = os.umask(0)
    os.umask(umask)
    source.chmod(0o666 & ~umask)  # scratch files are private, results are ordinary files
    source.replace(destination)


@contextmanager
def directory_lock(folder: Path) -> Iterator[None]:
    """Several renames in `folder` that belong together: no other process of ours comes between
    them, and a Ctrl-C waits until they are done.

    The lock is on the folder itself and leaves nothing behind. Windows has no such lock.

    Raises:
        KeyboardInterrupt: afterwards, if there was one.
    """
    with signals.defer_interrupts():
        if fcntl is None:
            yield
            return
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            with suppress(OSError):  # some network file systems cannot
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def publish_folder(source: Path, destination: Path) -> None:
    """Moves a finished folder to its final name, replacing a folder of the same suffix.

    What is replaced goes to the scratch folder that `source` stands in, and away with it.

    Raises:
        UserError: the destination is a file, or a folder of another kind.
    """
    replaced = source.with_name(f"replaced-{source.name}")
    if destination.is_dir() and destination.suffix == source.suffix:
        destination.replace(replaced)
    elif destination.exists():
        raise UserError(f"{destination} is in the way; give another name")
    try:
        source.replace(destination)
    except OSError:
        if replaced.exists():
            replaced.replace(destination)
        raise


def ensure_writable(file: Path, inputs: Iterable[Path] = ()) -> None:
    """Refuses a place that cannot be written to, or that holds what is read, before any work.

    Args:
        file: to be written.
        inputs: what the command reads.

    Raises:
        UserError: it is a folder, in a folder where nothing can be written, or one of the inputs.
    """
    if file.is_dir():
        raise UserError(f"{file} is a folder; give a file name")
    if file.resolve() in {path.resolve() for path in inputs}:
        raise UserError(f"{file} is read by this command; give another name to write to")
    with atomic_folder(file.parent):
        pass


def write_text(path: Path, text: str) -> None:
    """Writes a UTF-8 text file, whole or not at all.

    Raises:
        UserError: see `atomic_folder` and `publish`.
    """
    with atomic_folder(path.parent) as scratch:
        (scratch / path.name).write_text(text, "utf-8")
        publish(scratch / path.name, path)


def cache_folder() -> Path:
    """`lvt-mobile` in the user's cache folder (XDG_CACHE_HOME, else ~/.cache)."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lvt-mobile"

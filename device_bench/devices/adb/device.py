"""Devices that adb reaches: discovery, shell commands and file transfer.

Knows nothing of benchmarks. Errors of adb are converted to one line that says what to do.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import SubprocessError
from typing import TYPE_CHECKING, Any, BinaryIO

from lvt.errors import UserError
from lvt.support.extras import missing_extra
from lvt.support.files import file_sha256

if TYPE_CHECKING:
    from adbutils import AdbClient

ALL = "all"
"""In place of a serial number: every device that is ready."""
COMMAND_SECONDS = 60.0
"""Timeout of a shell command."""
_READY = "device"
_REMEDIES = {
    "unauthorized": "unlock it and allow USB debugging for this computer",
    "authorizing": "unlock it and allow USB debugging for this computer",
    "offline": "plug it in again, or run adb reconnect",
    "no": "adb may not open it (no permissions): see adb's documentation of udev rules",
}
"""How to make a device in another state ready."""


@dataclass(frozen=True)
class ShellResult:
    """Exit code and output of a shell command."""

    code: int
    out: str
    error: str

    @property
    def text(self) -> str:
        """Everything it printed, in one line."""
        return " ".join(f"{self.error} {self.out}".split())


def connect_server() -> AdbClient:
    """Connect to this machine's adb server (`ANDROID_ADB_SERVER_PORT`); start it if necessary.

    Raises:
        UserError: adb, or the library that speaks its protocol, is not installed.
    """
    try:
        import adbutils
    except ImportError as error:
        raise missing_extra("Android devices", ["android"]) from error
    server = adbutils.AdbClient()
    with _as_user_error("cannot start adb"):
        server.server_version()
    return server


def find_devices(serial: str | None) -> list[AdbDevice]:
    """Find the devices to measure on.

    Args:
        serial: of one device; `ALL`: every device that is ready; None: the only device.

    Raises:
        UserError: no device is ready, the requested one is not, or the choice is ambiguous.
    """
    server = connect_server()
    with _as_user_error("adb does not list devices"):
        states = {info.serial: info.state for info in server.list()}
    if not states:
        raise UserError(
            "no device: connect one with USB debugging switched on, or adb connect HOST:PORT"
        )
    ready = [name for name, state in states.items() if state == _READY]
    if serial not in (None, ALL):
        if serial not in states:
            raise UserError(f"no device {serial}; connected: {_list_states(states)}")
        ready = [serial] if states[serial] == _READY else []
        states = {serial: states[serial]}
    if not ready:
        name, state = next(iter(states.items()))
        raise UserError(f"{name} is not ready ({state}): {_remedy(state)}")
    if serial is None and len(ready) > 1:
        raise UserError(f"{len(ready)} devices: choose with --serial {', '.join(ready)} or all")
    return [AdbDevice(server, name) for name in ready]


class AdbDevice:
    """A device that was ready when it was found."""

    def __init__(self, server: AdbClient, serial: str):
        self._server = server
        self.serial = serial
        self._adb = server.device(serial)

    def run(self, *words: str, seconds: float = COMMAND_SECONDS) -> ShellResult:
        """Run a command; every word is quoted for the device's shell.

        Raises:
            UserError: the device is disconnected, or the command timed out.
        """
        with self._connected():
            done = self._adb.shell2(list(words), timeout=seconds, v2=True)
        return ShellResult(done.returncode, done.stdout, done.stderr)

    def script(self, text: str, *words: str, seconds: float = COMMAND_SECONDS) -> ShellResult:
        """Run a shell script with `words` as "$1" and so on; nothing is pasted into its text.

        Raises:
            UserError: see `run`.
        """
        return self.run("sh", "-c", text, "lvt-bench", *words, seconds=seconds)

    def push(self, local: Path, remote: str, on_progress: Callable[[float], None]) -> bool:
        """Copy a file to the device, unless the same file is there. Never leaves half a file.

        Args:
            local: file on this machine.
            remote: path on the device; its folder exists.
            on_progress: called with the copied share.

        Returns:
            Whether the file was copied.

        Raises:
            UserError: no space, no such folder, or the device is disconnected.
        """
        sha256 = file_sha256(local)
        if self.sha256(remote) == sha256:
            return False
        size = local.stat().st_size
        self._check_space(size, remote)
        part = f"{remote}.part"
        try:
            with self._connected(f"cannot write {remote} on"), local.open("rb") as file:
                reader: Any = _ProgressReader(file, lambda done: on_progress(done / max(size, 1)))
                self._adb.sync.push(reader, part, 0o644)
            if self.sha256(part) != sha256 or self.run("mv", "-f", part, remote).code:
                raise UserError(
                    f"{local.name} was not copied completely to {self.serial}; try again"
                )
        except UserError as error:
            self.remove(part)
            self._check_space(size, remote)
            # Full storage ends the copy, but adb does not pass on the device's message.
            raise UserError(f"{error}; is its storage full?") from error
        return True

    def make_folder(self, remote: str) -> None:
        """Create a folder, unless it exists.

        Raises:
            UserError: it cannot be created, or the device is disconnected.
        """
        if self.run("mkdir", "-p", remote).code:
            raise UserError(f"cannot create {remote} on {self.serial}")

    def pull_text(self, remote: str) -> str:
        """Read a small text file.

        Raises:
            UserError: there is no such file, or the device is disconnected.
        """
        with self._connected(f"cannot read {remote} on"):
            return self._adb.sync.read_text(remote)

    def sha256(self, remote: str) -> str | None:
        """Hash of a file on the device; None if there is no such file.

        Raises:
            UserError: see `run`.
        """
        result = self.run("sha256sum", remote)
        return result.out.split()[0] if result.code == 0 and result.out.strip() else None

    def remove(self, *remote: str) -> None:
        """Delete files that we created. Does nothing if the device is disconnected."""
        try:
            self.run("rm", "-f", *remote)
        except UserError:
            return

    def _check_space(self, size: int, remote: str) -> None:
        """Check that the file system of `remote` has room for `size` bytes.

        Raises:
            UserError: it has not.
        """
        result = self.run("df", "-k", remote.rpartition("/")[0])
        fields = result.out.splitlines()[-1].split() if result.code == 0 and result.out else []
        if len(fields) >= 4 and fields[-3].isdigit() and int(fields[-3]) * 1024 < size:
            free = int(fields[-3]) * 1024
            raise UserError(
                f"the storage of {self.serial} is full: {free / 1e6:.1f} MB free, {size / 1e6:.1f} "
                "MB needed; make room on the device"
            )

    @contextmanager
    def _connected(self, failure: str = "adb failed on") -> Iterator[None]:
        """Convert errors of adb to one line that begins with `failure`.

        Raises:
            UserError: that line.
        """
        try:
            with _as_user_error(f"{failure} {self.serial}"):
                yield
        except UserError as error:
            self._check_connected(error)
            raise

    def _check_connected(self, cause: UserError) -> None:
        """Check whether a lost connection explains an error, which adb's message does not say.

        Raises:
            UserError: the device is no longer ready.
        """
        time.sleep(0.05)  # adb notices the loss a moment later
        with _as_user_error("adb has ended; start again"):
            states = {info.serial: info.state for info in self._server.list()}
        state = states.get(self.serial, "gone")
        if state == _READY:
            return
        reconnect = state in ("gone", "offline")
        remedy = "plug it in and start again" if reconnect else _remedy(state)
        raise UserError(f"lost {self.serial} during the run ({state}): {remedy}") from cause


class _ProgressReader:
    """A file that reports how many bytes have been read."""

    def __init__(self, file: BinaryIO, on_read: Callable[[int], None]):
        self._file, self._on_read, self._done = file, on_read, 0

    def read(self, count: int) -> bytes:
        data = self._file.read(count)
        self._done += len(data)
        self._on_read(self._done)
        return data


@contextmanager
def _as_user_error(failure: str) -> Iterator[None]:
    """Convert errors of adb and of the network to one line that begins with `failure`.

    Raises:
        UserError: that line.
    """
    from adbutils.errors import AdbError

    try:
        yield
    # SubprocessError: the adb server does not start
    except (AdbError, OSError, EOFError, RuntimeError, ValueError, SubprocessError) as error:
        message = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"{failure}: {message}") from error


def _list_states(states: dict[str, str]) -> str:
    return ", ".join(f"{name} ({state})" for name, state in states.items())


def _remedy(state: str) -> str:
    return _REMEDIES.get(state, "start Android on it and switch USB debugging on")

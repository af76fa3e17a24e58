"""Devices that adb reaches: which there are, commands on them, files to and from them.

Knows nothing of benchmarks. adb's own words never reach the user: whatever goes wrong becomes one
line that says what to do.
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
from lvt.support.files import file_sha256

if TYPE_CHECKING:
    from adbutils import AdbClient

ALL = "all"
"""In place of a serial number: every device that is ready."""
COMMAND_SECONDS = 60.0
_READY = "device"
_REMEDIES = {
    "unauthorized": "unlock it and allow USB debugging for this computer",
    "authorizing": "unlock it and allow USB debugging for this computer",
    "offline": "plug it in again, or run adb reconnect",
    "no": "adb may not open it (no permissions): see adb's documentation of udev rules",
}
"""What to do about a device in a state other than ready."""


@dataclass(frozen=True)
class Answer:
    """What a command on the device gave."""

    code: int
    out: str
    error: str

    @property
    def said(self) -> str:
        """Everything it wrote, in one line."""
        return " ".join(f"{self.error} {self.out}".split())


def client() -> AdbClient:
    """adb's server on this machine (`ANDROID_ADB_SERVER_PORT`), started if it does not run.

    Raises:
        UserError: adb, or the library that speaks to it, is not there.
    """
    try:
        import adbutils
    except ImportError as error:
        raise UserError(
            "Android devices need the extra [android]: pip install 'lvt-mobile[android]'"
        ) from error
    found = adbutils.AdbClient()
    with _one_line("cannot start adb"):
        found.server_version()
    return found


def find_devices(serial: str | None) -> list[Device]:
    """The devices to measure on.

    Args:
        serial: of one device; `ALL`: every device that is ready; None: the only one there is.

    Raises:
        UserError: none is ready, the one asked for is not, or there are several and no choice.
    """
    server = client()
    with _one_line("adb does not list devices"):
        states = {info.serial: info.state for info in server.list()}
    if not states:
        raise UserError(
            "no device: connect one with USB debugging switched on, or adb connect HOST:PORT"
        )
    ready = [name for name, state in states.items() if state == _READY]
    if serial not in (None, ALL):
        if serial not in states:
            raise UserError(f"no device {serial}; there is {_listed(states)}")
        ready = [serial] if states[serial] == _READY else []
        states = {serial: states[serial]}
    if not ready:
        name, state = next(iter(states.items()))
        raise UserError(f"{name} is not ready ({state}): {_remedy(state)}")
    if serial is None and len(ready) > 1:
        raise UserError(f"{len(ready)} devices: choose with --serial {', '.join(ready)} or all")
    return [Device(server, name) for name in ready]


def _listed(states: dict[str, str]) -> str:
    return ", ".join(f"{name} ({state})" for name, state in states.items())


def _remedy(state: str) -> str:
    return _REMEDIES.get(state, "start Android on it and switch USB debugging on")


@contextmanager
def _one_line(what: str) -> Iterator[None]:
    """Turns whatever adb and the network say into one line.

    Raises:
        UserError: that line.
    """
    from adbutils.errors import AdbError

    try:
        yield
    # SubprocessError: adb's server does not start
    except (AdbError, OSError, EOFError, RuntimeError, ValueError, SubprocessError) as error:
        raise UserError(
            f"{what}: {' '.join(str(error).split()) or type(error).__name__}"
        ) from error


class Device:
    """One device that was ready when it was found."""

    def __init__(self, server: AdbClient, serial: str):
        self._server = server
        self.serial = serial
        self._adb = server.device(serial)

    def run(self, *words: str, seconds: float = COMMAND_SECONDS) -> Answer:
        """Runs a command; its shell gets every word quoted.

        Raises:
            UserError: the device is gone, or has not answered in time.
        """
        with self._connected():
            done = self._adb.shell2(list(words), timeout=seconds, v2=True)
        return Answer(done.returncode, done.stdout, done.stderr)

    def script(self, text: str, *words: str, seconds: float = COMMAND_SECONDS) -> Answer:
        """Runs a shell script of ours with `words` as "$1" and so on: nothing is pasted into it.

        Raises:
            UserError: see `run`.
        """
        return self.run("sh", "-c", text, "lvt-bench", *words, seconds=seconds)

    def push(self, local: Path, remote: str, tick: Callable[[float], None]) -> bool:
        """Copies a file to the device, whole or not at all, unless it is there already.

        Args:
            remote: its path there; the folder exists.
            tick: told the share that is done.

        Returns:
            Whether it had to be copied.

        Raises:
            UserError: no room, no such folder, or the device is gone.
        """
        sha256 = file_sha256(local)
        if self.sha256(remote) == sha256:
            return False
        size = local.stat().st_size
        self._check_room(size, remote)
        part = f"{remote}.part"
        try:
            with self._connected(f"cannot write {remote} on"), local.open("rb") as file:
                reader: Any = _Counted(file, lambda done: tick(done / max(size, 1)))
                self._adb.sync.push(reader, part, 0o644)
            if self.sha256(part) != sha256 or self.run("mv", "-f", part, remote).code:
                raise UserError(f"{local.name} did not arrive whole on {self.serial}; try again")
        except UserError as error:
            self.remove(part)
            self._check_room(size, remote)
            # A full storage ends the copy, and what the device says of it is lost on the way.
            raise UserError(f"{error}; is its storage full?") from error
        return True

    def pull_text(self, remote: str) -> str:
        """A small file's content.

        Raises:
            UserError: there is none, or the device is gone.
        """
        with self._connected(f"cannot read {remote} on"):
            return self._adb.sync.read_text(remote)

    def sha256(self, remote: str) -> str | None:
        """Of a file on the device; None if there is no such file.

        Raises:
            UserError: see `run`.
        """
        answer = self.run("sha256sum", remote)
        return answer.out.split()[0] if answer.code == 0 and answer.out.strip() else None

    def remove(self, *remote: str) -> None:
        """Deletes files that we made. A device that is gone keeps them."""
        try:
            self.run("rm", "-f", *remote)
        except UserError:
            return

    def _check_room(self, size: int, remote: str) -> None:
        """Raises:
        UserError: there is less room than `size` bytes where `remote` would stand.
        """
        answer = self.run("df", "-k", remote.rpartition("/")[0])
        fields = answer.out.splitlines()[-1].split() if answer.code == 0 and answer.out else []
        if len(fields) >= 4 and fields[-3].isdigit() and int(fields[-3]) * 1024 < size:
            free = int(fields[-3]) * 1024
            raise UserError(
                f"the storage of {self.serial} is full: {free / 1e6:.1f} MB free, {size / 1e6:.1f} "
                "MB needed; make room on the device"
            )

    @contextmanager
    def _connected(self, what: str = "adb failed on") -> Iterator[None]:
        try:
            with _one_line(f"{what} {self.serial}"):
                yield
        except UserError as error:
            self._check_present(error)
            raise

    def _check_present(self, cause: UserError) -> None:
        """Raises:
        UserError: the device is no longer there, which is more than what adb said.
        """
        time.sleep(0.05)  # adb learns it a moment after us
        with _one_line("adb has ended; start again"):
            states = {info.serial: info.state for info in self._server.list()}
        state = states.get(self.serial, "gone")
        if state != _READY:
            remedy = (
                "plug it in and start again" if state in ("gone", "offline") else _remedy(state)
            )
            raise UserError(f"lost {self.serial} on the way ({state}): {remedy}") from cause


class _Counted:
    """A file that tells how much of it has been read."""

    def __init__(self, file: BinaryIO, tell: Callable[[int], None]):
        self._file, self._tell, self._done = file, tell, 0

    def read(self, count: int) -> bytes:
        data = self._file.read(count)
        self._done += len(data)
        self._tell(self._done)
        return data

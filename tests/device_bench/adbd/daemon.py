"""The device's end of adb's wire protocol, on loopback, for the real adb client and server.

It stores pushed files in a folder and runs commands with this machine's shell. Absolute paths of a
device (`/sdcard/...`) are mapped to that folder. Its `bin` comes first in PATH, with replacements
for Android's own programs.
"""

from __future__ import annotations

import re
import socket
import struct
import subprocess
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

_HEADER = struct.Struct("<6I")
_VERSION = 0x01000001
"""Since this version, checksums of packets are not verified."""
_MAX_DATA = 256 * 1024
_SYNC_CHUNK = 64 * 1024
_TOKEN = 1
_DEVICE_PATHS = re.compile(r"(?<![\w.])/(sdcard|data/local/tmp|sys|proc)(?=[/\s'\";]|$)")


def _code(name: str) -> int:
    return int.from_bytes(name.encode(), "little")


CNXN, AUTH, OPEN, OKAY, WRTE, CLSE = map(_code, ("CNXN", "AUTH", "OPEN", "OKAY", "WRTE", "CLSE"))


class _ClosedError(Exception):
    """The other side has closed the connection."""


class _Stream:
    """One stream of a connection: bytes in both directions."""

    def __init__(self, connection: _Connection, local: int, remote: int):
        self._connection, self.local, self.remote = connection, local, remote
        self._received = bytearray()
        self._may_write = True
        self._open = True
        self._changed = threading.Condition()

    def read(self, count: int) -> bytes:
        with self._changed:
            self._changed.wait_for(lambda: len(self._received) >= count or not self._open)
            if len(self._received) < count:
                raise _ClosedError
            data = bytes(self._received[:count])
            del self._received[:count]
            return data

    def write(self, data: bytes) -> None:
        for start in range(0, len(data), _MAX_DATA):
            with self._changed:
                self._changed.wait_for(lambda: self._may_write or not self._open)
                if not self._open:
                    raise _ClosedError
                self._may_write = False
            self._connection.send(WRTE, self.local, self.remote, data[start : start + _MAX_DATA])

    def drain(self) -> None:
        """Wait until the other side has received everything."""
        with self._changed:
            self._changed.wait_for(lambda: self._may_write or not self._open)

    def take(self, data: bytes) -> None:
        with self._changed:
            self._received += data
            self._changed.notify_all()

    def acknowledge(self) -> None:
        with self._changed:
            self._may_write = True
            self._changed.notify_all()

    def end(self) -> None:
        with self._changed:
            self._open = False
            self._changed.notify_all()


class _Connection:
    """The connection of one adb server."""

    def __init__(self, device: FakeDevice, peer: socket.socket):
        self._device, self._peer = device, peer
        self._lock = threading.Lock()
        self._streams: dict[int, _Stream] = {}

    def send(self, command: int, first: int, second: int, data: bytes = b"") -> None:
        header = _HEADER.pack(command, first, second, len(data), sum(data), command ^ 0xFFFFFFFF)
        try:
            with self._lock:
                self._peer.sendall(header + data)
        except OSError as error:
            raise _ClosedError from error

    def serve(self) -> None:
        with suppress(_ClosedError, OSError):
            while True:
                command, first, second, length, *_ = _HEADER.unpack(self._receive(_HEADER.size))
                self._handle(command, first, second, self._receive(length))
        for stream in list(self._streams.values()):
            stream.end()
        self.close()

    def close(self) -> None:
        with suppress(OSError):
            self._peer.shutdown(socket.SHUT_RDWR)
        self._peer.close()

    def _receive(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            part = self._peer.recv(count - len(data))
            if not part:
                raise _ClosedError
            data += part
        return data

    def _handle(self, command: int, first: int, second: int, data: bytes) -> None:
        if command in (CNXN, AUTH):
            self._greet()
        elif command == OPEN:
            self._open(first, data.rstrip(b"\0").decode())
        elif command == WRTE and second in self._streams:
            self._streams[second].take(data)
            self.send(OKAY, second, first)
        elif command == OKAY and second in self._streams:
            self._streams[second].acknowledge()
        elif command == CLSE and second in self._streams:
            self._streams.pop(second).end()

    def _greet(self) -> None:
        if self._device.greeting == "none":
            return
        if self._device.greeting == "unauthorized":  # no key is ever accepted
            self.send(AUTH, _TOKEN, 0, bytes(20))
            return
        self.send(CNXN, _VERSION, _MAX_DATA, b"device::features=shell_v2,cmd")

    def _open(self, remote: int, service: str) -> None:
        kind, _, rest = service.partition(":")
        name, *options = kind.split(",")
        services: dict[str, Callable[[_Stream], None]] = {
            "shell": lambda stream: self._device.shell(stream, rest, v2="v2" in options),
            "sync": self._device.sync,
        }
        if name not in services:
            self.send(CLSE, 0, remote)
            return
        local = max(self._streams, default=0) + 1
        stream = self._streams[local] = _Stream(self, local, remote)
        self.send(OKAY, local, remote)
        threading.Thread(target=self._serve, args=(stream, services[name]), daemon=True).start()

    def _serve(self, stream: _Stream, service: Callable[[_Stream], None]) -> None:
        with suppress(_ClosedError):
            service(stream)
            stream.drain()
            self.send(CLSE, stream.local, stream.remote)


class FakeDevice:
    """A device that adb can connect to: `adb connect SERIAL`.

    Args:
        root: the device's file system, created by `tests.device_bench.adbd.phone`.
        greeting: "device", "unauthorized", or "none" for one that never replies.
    """

    def __init__(self, root: Path, greeting: str = "device"):
        self.root = root
        self.greeting = greeting
        self.room: int | None = None
        """Remaining bytes that can be pushed; None: no limit."""
        self.pushed: list[str] = []
        """All paths that were pushed."""
        self._connections: list[_Connection] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.serial = f"127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._listen, daemon=True).start()

    def unplug(self) -> None:
        """Disconnect without warning."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._connections:
            connection.close()

    def path(self, text: str) -> Path:
        """The path on this machine of a path on the device."""
        return self.root / text.lstrip("/")

    def _listen(self) -> None:
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            connection = _Connection(self, peer)
            self._connections.append(connection)
            threading.Thread(target=connection.serve, daemon=True).start()

    def shell(self, stream: _Stream, command: str, *, v2: bool) -> None:
        """Run a command line; with `v2`, stdout and stderr are sent separately."""
        run = subprocess.run(
            ["sh", "-c", _DEVICE_PATHS.sub(lambda path: str(self.path(path[0])), command)],
            cwd=self.root,
            env={"PATH": f"{self.root / 'bin'}:/usr/bin:/bin", "DEVICE_ROOT": str(self.root)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
        if not v2:
            stream.write(run.stdout + run.stderr)
            return
        for number, data in ((1, run.stdout), (2, run.stderr), (3, bytes([run.returncode & 255]))):
            if data:
                stream.write(struct.pack("<BI", number, len(data)) + data)

    def sync(self, stream: _Stream) -> None:
        """Serve file transfers."""
        while True:
            command, length = struct.unpack("<4sI", stream.read(8))
            if command == b"QUIT":
                return
            name = stream.read(length).decode()
            {b"STAT": self._stat, b"SEND": self._receive_file, b"RECV": self._send_file}[command](
                stream, name
            )

    def _stat(self, stream: _Stream, name: str) -> None:
        try:
            status = self.path(name).stat()
        except OSError:
            stream.write(struct.pack("<4s3I", b"STAT", 0, 0, 0))
            return
        size, changed = status.st_size, int(status.st_mtime)
        stream.write(struct.pack("<4s3I", b"STAT", status.st_mode, size, changed))

    def _receive_file(self, stream: _Stream, name: str) -> None:
        path, mode = name.rsplit(",", 1)
        self.pushed.append(path)
        failure = None
        try:
            with self.path(path).open("wb") as file:
                while True:
                    command, length = struct.unpack("<4sI", stream.read(8))
                    if command == b"DONE":
                        break
                    data = stream.read(length)
                    if self.room is not None:
                        self.room -= length
                        if self.room < 0:
                            failure = failure or "couldn't write to file: No space left on device"
                    if failure is None:
                        file.write(data)
            self.path(path).chmod(int(mode) & 0o777)
        except OSError as error:
            failure = f"couldn't create file: {error.strerror}"
        if failure is None:
            stream.write(struct.pack("<4sI", b"OKAY", 0))
        else:
            stream.write(struct.pack("<4sI", b"FAIL", len(failure)) + failure.encode())

    def _send_file(self, stream: _Stream, name: str) -> None:
        try:
            data = self.path(name).read_bytes()
        except OSError as error:
            message = str(error.strerror).encode()
            stream.write(struct.pack("<4sI", b"FAIL", len(message)) + message)
            return
        for start in range(0, len(data), _SYNC_CHUNK):
            part = data[start : start + _SYNC_CHUNK]
            stream.write(struct.pack("<4sI", b"DATA", len(part)) + part)
        stream.write(struct.pack("<4sI", b"DONE", 0))

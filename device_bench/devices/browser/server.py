"""The desk behind a socket: HTTP, the token, limits, headers, TLS. Knows nothing of models."""

from __future__ import annotations

import contextlib
import hmac
import secrets
import shutil
import socket
import socketserver
import ssl
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, cast

from device_bench.devices.browser.api import Desk, Reply
from device_bench.devices.browser.artifact import RefusedError
from lvt.errors import UserError

LOOPBACK = "127.0.0.1"
_EVERYWHERE = "0.0.0.0"
_CONNECTIONS = 64
_IDLE_SECONDS = 60
_HEADERS = {
    # The first three together let a page share memory between threads.
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; script-src 'self' 'wasm-unsafe-eval' blob:; "
    "worker-src 'self' blob:; connect-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "media-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",  # the address holds the token
    "Cache-Control": "no-store",
}


class Server(socketserver.ThreadingTCPServer):
    """Serves a desk below `/TOKEN/` and nothing else; the token is new every time.

    Args:
        lan: listen on every interface instead of on this machine's own.
        port: 0 for any that is free.
        tls: certificate and key files; None for plain HTTP.
        unexpected: told about errors that are bugs.

    Raises:
        UserError: the port is taken, or the certificate cannot be used.
    """

    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    request_queue_size = _CONNECTIONS

    def __init__(
        self,
        *,
        lan: bool = False,
        port: int = 0,
        tls: tuple[Path, Path] | None = None,
        unexpected: Callable[[BaseException], None] = lambda _error: None,
    ):
        self.desk: Desk | None = None
        self.token = secrets.token_urlsafe(16)
        self.unexpected = unexpected
        self._free = threading.BoundedSemaphore(_CONNECTIONS)
        context = None if tls is None else _context(*tls)
        try:
            super().__init__((_EVERYWHERE if lan else LOOPBACK, port), Handler)
        except OSError as error:
            raise UserError(
                f"cannot listen on port {port}: {error.strerror}; give another --port"
            ) from error
        if context is not None:
            # The handshake is left to the connection's own thread, where it may take its time.
            self.socket = context.wrap_socket(
                self.socket, server_side=True, do_handshake_on_connect=False
            )
        scheme = "http" if context is None else "https"
        host = _lan_address() if lan else LOOPBACK
        self.url = f"{scheme}://{host}:{self.server_address[1]}/{self.token}/"

    def process_request(self, request: Any, client_address: Any) -> None:
        """Starts a thread for a connection; hangs up where there are too many."""
        if not self._free.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """One connection, in its thread."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Connections that break off are no one's business."""


def _context(certificate: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(certificate, key, password=lambda: b"")
    except (OSError, ssl.SSLError) as error:
        raise UserError(
            f"cannot use --cert {certificate} with --key {key}: {error.strerror or error}; both "
            "are PEM files, the key without a password"
        ) from error
    return context


def _lan_address() -> str:
    """This machine's address as its neighbours see it; nothing is sent to find out."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))
        return str(probe.getsockname()[0])
    raise UserError("this machine is in no network: leave --lan out, or connect it")


class _HttpError(Exception):
    """A request that gets an error instead of an answer."""

    def __init__(self, status: HTTPStatus, message: str):
        super().__init__(message)
        self.status = status


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server_version = "lvt-bench"
    sys_version = ""
    timeout = _IDLE_SECONDS

    def do_GET(self) -> None:
        """See `_respond`."""
        self._respond("GET")

    def do_POST(self) -> None:
        """See `_respond`."""
        self._respond("POST")

    def _respond(self, method: str) -> None:
        try:
            reply = self._reply(method)
        except _HttpError as failed:
            self._fail(failed.status, str(failed))
        except (RefusedError, UserError) as error:
            self._fail(HTTPStatus.UNPROCESSABLE_ENTITY, str(error))
        except OSError:
            raise  # the connection broke off
        except Exception as error:
            cast(Server, self.server).unexpected(error)
            self._fail(HTTPStatus.INTERNAL_SERVER_ERROR, "lvt-bench failed; its terminal says how")
        else:
            self._send(HTTPStatus.OK, reply)

    def _reply(self, method: str) -> Reply:
        server = cast(Server, self.server)
        _, token, *rest = [*self.path.partition("?")[0].split("/", 2), "", ""]
        if not hmac.compare_digest(token.encode(), server.token.encode()):
            raise _HttpError(HTTPStatus.FORBIDDEN, "open the address that lvt-bench serve shows")
        assert server.desk is not None
        route = server.desk.route(method, rest[0])
        if route is None:
            raise _HttpError(HTTPStatus.NOT_FOUND, "there is nothing here")
        return route.answer(self._body(route.limit) if method == "POST" else b"")

    def _body(self, limit: int) -> bytes:
        length = self.headers.get("Content-Length", "")
        if "Transfer-Encoding" in self.headers or not (length.isascii() and length.isdigit()):
            raise _HttpError(HTTPStatus.LENGTH_REQUIRED, "say how long the body is")
        if len(length) > 12 or int(length) > limit:
            raise _HttpError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"at most {limit} bytes here")
        body = self.rfile.read(int(length))
        if len(body) != int(length):
            raise ConnectionError("the body broke off")
        return body

    def _fail(self, status: HTTPStatus, message: str) -> None:
        self.close_connection = True  # what is left of the request is not read
        self._send(status, Reply("text/plain; charset=utf-8", message.encode()))

    def _send(self, status: HTTPStatus, reply: Reply) -> None:
        body = reply.body
        length = len(body) if isinstance(body, bytes) else body.stat().st_size
        self.send_response(status)
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Type", reply.type)
        self.send_header("Content-Length", str(length))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if isinstance(body, bytes):
            self.wfile.write(body)
            return
        with body.open("rb") as stream:
            shutil.copyfileobj(stream, self.wfile)

    def log_message(self, format: str, *args: Any) -> None:
        """Requests are not logged: their addresses hold the token."""

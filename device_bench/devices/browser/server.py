"""The HTTP server: token, size limits, headers and TLS. Knows nothing of models."""

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

from device_bench.devices.browser.api import BenchApi, Response
from device_bench.devices.browser.errors import RequestError
from lvt.errors import UserError

LOOPBACK = "127.0.0.1"
_ALL_INTERFACES = "0.0.0.0"
_MAX_CONNECTIONS = 64
_IDLE_SECONDS = 60
_HEADERS = {
    # Together, the first three let a page share memory between threads.
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; script-src 'self' 'wasm-unsafe-eval' blob:; "
    "worker-src 'self' blob:; connect-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "media-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",  # the address contains the token
    "Cache-Control": "no-store",
}


class Server(socketserver.ThreadingTCPServer):
    """Serves an API below `/TOKEN/` and nothing else. The token is new at every start.

    Args:
        lan: listen on all interfaces instead of on the loopback interface.
        port: 0 for any free port.
        tls: certificate and key files; None for plain HTTP.
        on_unexpected: called with errors that are bugs.

    Raises:
        UserError: the port is taken, or the certificate cannot be used.
    """

    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    request_queue_size = _MAX_CONNECTIONS

    def __init__(
        self,
        *,
        lan: bool = False,
        port: int = 0,
        tls: tuple[Path, Path] | None = None,
        on_unexpected: Callable[[BaseException], None] = lambda _error: None,
    ):
        self.api: BenchApi | None = None
        self.token = secrets.token_urlsafe(16)
        self.on_unexpected = on_unexpected
        self._free_connections = threading.BoundedSemaphore(_MAX_CONNECTIONS)
        context = None if tls is None else _tls_context(*tls)
        try:
            super().__init__((_ALL_INTERFACES if lan else LOOPBACK, port), Handler)
        except OSError as error:
            raise UserError(
                f"cannot listen on port {port}: {error.strerror}; give another --port"
            ) from error
        if context is not None:
            # The handshake runs in the thread of the connection, so that it cannot block others.
            self.socket = context.wrap_socket(
                self.socket, server_side=True, do_handshake_on_connect=False
            )
        scheme = "http" if context is None else "https"
        host = _lan_address() if lan else LOOPBACK
        self.url = f"{scheme}://{host}:{self.server_address[1]}/{self.token}/"

    def process_request(self, request: Any, client_address: Any) -> None:
        """Start a thread for a connection, or close it if there are too many."""
        if not self._free_connections.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Handle one connection in its thread."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free_connections.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore connections that break off."""


def _tls_context(certificate: Path, key: Path) -> ssl.SSLContext:
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
    """This machine's address in its network. Connecting a datagram socket sends nothing."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))
        return str(probe.getsockname()[0])
    raise UserError("this machine is in no network: leave --lan out, or connect it")


class _HttpError(Exception):
    """A request that gets an error response."""

    def __init__(self, status: HTTPStatus, message: str):
        super().__init__(message)
        self.status = status


class Handler(BaseHTTPRequestHandler):
    """Handles the requests of one connection."""

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
            response = self._handle(method)
        except _HttpError as error:
            self._send_error(error.status, str(error))
        except (RequestError, UserError) as error:
            self._send_error(HTTPStatus.UNPROCESSABLE_ENTITY, str(error))
        except OSError:
            raise  # the connection broke off
        except Exception as error:
            cast(Server, self.server).on_unexpected(error)
            self._send_error(
                HTTPStatus.INTERNAL_SERVER_ERROR, "lvt-bench failed; its terminal shows the error"
            )
        else:
            self._send(HTTPStatus.OK, response)

    def _handle(self, method: str) -> Response:
        server = cast(Server, self.server)
        _, token, *rest = [*self.path.partition("?")[0].split("/", 2), "", ""]
        if not hmac.compare_digest(token.encode(), server.token.encode()):
            raise _HttpError(HTTPStatus.FORBIDDEN, "open the address that lvt-bench serve shows")
        assert server.api is not None
        route = server.api.route(method, rest[0])
        if route is None:
            raise _HttpError(HTTPStatus.NOT_FOUND, "unknown address")
        return route.handle(self._read_body(route.max_bytes) if method == "POST" else b"")

    def _read_body(self, max_bytes: int) -> bytes:
        length = self.headers.get("Content-Length", "")
        if "Transfer-Encoding" in self.headers or not (length.isascii() and length.isdigit()):
            raise _HttpError(HTTPStatus.LENGTH_REQUIRED, "Content-Length is missing")
        if len(length) > 12 or int(length) > max_bytes:
            raise _HttpError(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"at most {max_bytes} bytes are allowed"
            )
        body = self.rfile.read(int(length))
        if len(body) != int(length):
            raise ConnectionError("the body is incomplete")
        return body

    def _send_error(self, status: HTTPStatus, message: str) -> None:
        self.close_connection = True  # the rest of the request is not read
        self._send(status, Response("text/plain; charset=utf-8", message.encode()))

    def _send(self, status: HTTPStatus, response: Response) -> None:
        body = response.body
        length = len(body) if isinstance(body, bytes) else body.stat().st_size
        self.send_response(status)
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Type", response.content_type)
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
        """Do not log requests: their addresses contain the token."""

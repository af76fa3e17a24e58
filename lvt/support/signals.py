"""Handling of Ctrl-C (SIGINT) and SIGTERM, which `kill` and `timeout` send.

Python raises KeyboardInterrupt wherever the program is. Some libraries turn it into an error of
their own, and some operations must not stop half-way. Only the main thread receives signals; in
other threads these functions do nothing.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_INTERRUPTS = (signal.SIGINT, signal.SIGTERM)
_received: list[int] = []


@contextmanager
def convert_interrupts() -> Iterator[None]:
    """Raises KeyboardInterrupt in place of any error that follows a Ctrl-C.

    Such an error usually is a consequence of the Ctrl-C: a converter that is interrupted while it
    imports a native module reports a broken module.

    Raises:
        KeyboardInterrupt: a signal arrived, and the body raised it or any other error.
    """
    if not _interrupts_raise():
        yield
        return

    def interrupt(number: int, frame: object) -> None:
        _received.append(number)
        raise KeyboardInterrupt

    previous = {number: signal.signal(number, interrupt) for number in _INTERRUPTS}
    try:
        yield
    except Exception:
        check()
        raise
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
        _received.clear()


def check() -> None:
    """Raises a Ctrl-C again that the code since `convert_interrupts` may have swallowed.

    Call it in code that catches every exception.

    Raises:
        KeyboardInterrupt: a signal has arrived since `convert_interrupts` began.
    """
    if _received:
        raise KeyboardInterrupt


@contextmanager
def defer_interrupts() -> Iterator[None]:
    """Delays Ctrl-C until the body has finished.

    Raises:
        KeyboardInterrupt: after the body, if a signal arrived.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    deferred: list[int] = []

    def defer(number: int, frame: object) -> None:
        deferred.append(number)

    previous = {number: signal.signal(number, defer) for number in _INTERRUPTS}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
        if deferred:
            signal.raise_signal(deferred[0])  # for the previous handler, which may also ignore it


def _interrupts_raise() -> bool:
    """Whether Ctrl-C raises KeyboardInterrupt here; background jobs of a shell ignore it."""
    main = threading.current_thread() is threading.main_thread()
    return main and signal.getsignal(signal.SIGINT) is signal.default_int_handler

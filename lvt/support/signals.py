"""Ctrl-C where Python's way with it is not enough; `kill` and `timeout` are treated alike.

Other libraries take it for an error of theirs, and some work must not be cut in two. Signals are
the main thread's; in any other there is nothing to do.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_STOPS = (signal.SIGINT, signal.SIGTERM)
_seen: list[int] = []


@contextmanager
def convert_interrupts() -> Iterator[None]:
    """Lets no error of the body stand that comes after a Ctrl-C: most often it comes of it.

    A converter that is interrupted while it imports a native module tells of a broken module.

    Raises:
        KeyboardInterrupt: there was a Ctrl-C, and the body failed with whatever it was.
    """
    if not _raises():
        yield
        return

    def note(number: int, frame: object) -> None:
        _seen.append(number)
        raise KeyboardInterrupt

    before = {number: signal.signal(number, note) for number in _STOPS}
    try:
        yield
    except Exception:
        check()
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        _seen.clear()


def check() -> None:
    """For whoever turns every exception into one of their own.

    Raises:
        KeyboardInterrupt: there was a Ctrl-C since `convert_interrupts` began.
    """
    if _seen:
        raise KeyboardInterrupt


@contextmanager
def defer_interrupts() -> Iterator[None]:
    """A Ctrl-C waits until the body is done.

    Raises:
        KeyboardInterrupt: afterwards, if there was one.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    held: list[int] = []

    def hold(number: int, frame: object) -> None:
        held.append(number)

    before = {number: signal.signal(number, hold) for number in _STOPS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if held:
        signal.raise_signal(held[0])  # whoever ignores it or handles it otherwise still does


def _raises() -> bool:
    """Whether a Ctrl-C is a KeyboardInterrupt here: a shell's background jobs ignore it."""
    main = threading.current_thread() is threading.main_thread()
    return main and signal.getsignal(signal.SIGINT) is signal.default_int_handler

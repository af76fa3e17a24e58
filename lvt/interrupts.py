"""Ctrl-C where Python's way with it is not enough.

Other libraries take it for an error of theirs, and some work must not be cut in two. Signals are
the main thread's; in any other there is nothing to do.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_seen: list[int] = []


@contextmanager
def noted() -> Iterator[None]:
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

    signal.signal(signal.SIGINT, note)
    try:
        yield
    except Exception:
        check()
        raise
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        _seen.clear()


def check() -> None:
    """For whoever turns every exception into one of their own.

    Raises:
        KeyboardInterrupt: there was a Ctrl-C since `noted` began.
    """
    if _seen:
        raise KeyboardInterrupt


@contextmanager
def held_back() -> Iterator[None]:
    """A Ctrl-C waits until the body is done.

    Raises:
        KeyboardInterrupt: afterwards, if there was one.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    held: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _frame: held.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if held:
        signal.raise_signal(signal.SIGINT)  # whoever ignores it or handles it otherwise still does


def _raises() -> bool:
    """Whether a Ctrl-C is a KeyboardInterrupt here: a shell's background jobs ignore it."""
    main = threading.current_thread() is threading.main_thread()
    return main and signal.getsignal(signal.SIGINT) is signal.default_int_handler

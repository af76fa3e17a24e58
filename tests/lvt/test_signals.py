"""Ctrl-C and SIGTERM: conversion of errors, deferral, cleanup."""

from __future__ import annotations

import io
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from lvt.errors import UserError
from lvt.support import signals
from lvt.support.command import INTERRUPTED, command
from lvt.support.files import atomic_folder
from lvt.support.terminal import Terminal


@pytest.fixture(autouse=True)
def _ctrl_c_raises() -> Iterator[None]:
    """Restores the handler if a shell started the tests in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    after = signal.signal(signal.SIGINT, before)
    assert after is signal.default_int_handler


def swallowed() -> None:
    """Ctrl-C in a library that swallows it in a bare `except`."""
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("error", [ImportError("half a module"), UserError("does not run")])
def test_an_error_after_a_ctrl_c_is_an_interrupt(
    error: Exception, capfd: pytest.CaptureFixture[str]
) -> None:
    """The user must not see `conversion failed` after a Ctrl-C."""

    def work() -> None:
        with command(verbose=False):
            swallowed()
            raise error

    with pytest.raises(typer.Exit) as caught:
        work()
    assert caught.value.exit_code == INTERRUPTED
    assert capfd.readouterr().err == "interrupted\n"
    with pytest.raises(type(error)), signals.convert_interrupts():
        raise error  # the Ctrl-C before is forgotten


TERMINATED = """
import sys, time
from pathlib import Path
from lvt.support.command import command
from lvt.support.files import atomic_folder

with command(verbose=False), atomic_folder(Path(sys.argv[1])):
    print("working", flush=True)
    time.sleep(60)
"""


def test_kill_and_timeout_leave_nothing_behind(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", TERMINATED, tmp_path],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "working\n"
        assert list(tmp_path.iterdir())
        process.terminate()
        _, errors = process.communicate(timeout=30)
    assert errors.startswith("interrupted\n")
    assert list(tmp_path.iterdir()) == []


def test_kill_waits_for_the_deferred_part() -> None:
    done = []

    def work() -> None:
        with signals.convert_interrupts(), signals.defer_interrupts():
            signal.raise_signal(signal.SIGTERM)
            done.append("both renames")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert done == ["both renames"]
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_swallowed_ctrl_c_interrupts_the_next_step() -> None:
    with signals.convert_interrupts(), Terminal(io.StringIO()).steps() as progress:
        progress("converting")
        swallowed()
        with pytest.raises(KeyboardInterrupt):
            progress("comparing")


def test_ignored_signals_stay_ignored() -> None:
    """`nohup` and background jobs of shells."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with signals.convert_interrupts(), signals.defer_interrupts():
        signal.raise_signal(signal.SIGINT)
    assert signal.signal(signal.SIGINT, signal.default_int_handler) is signal.SIG_IGN


def test_ctrl_c_is_deferred_to_the_end() -> None:
    done = []

    def work() -> None:
        with signals.defer_interrupts():
            signal.raise_signal(signal.SIGINT)
            done.append(1)

    with pytest.raises(KeyboardInterrupt):
        work()
    assert done


def test_other_threads_are_unaffected() -> None:
    """`signal.signal` raises there, and worker threads publish files too."""
    done = []

    def work() -> None:
        with signals.convert_interrupts(), signals.defer_interrupts():
            done.append(1)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done


def test_a_second_ctrl_c_during_cleanup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The scratch folder is removed even if Ctrl-C is pressed again."""
    remove = shutil.rmtree

    def again(*arguments: Any, **options: Any) -> None:
        signal.raise_signal(signal.SIGINT)
        remove(*arguments, **options)

    def work() -> None:
        with atomic_folder(tmp_path) as scratch:
            (scratch / "half").touch()
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(shutil, "rmtree", again)
    with pytest.raises(KeyboardInterrupt):
        work()
    assert list(tmp_path.iterdir()) == []


def test_a_deferred_interrupt_is_not_lost_when_the_body_fails() -> None:
    """Else `lvt-export all` would go on with the next target."""

    def fail() -> None:
        signal.raise_signal(signal.SIGINT)
        raise ValueError("the body fails")

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt), signals.defer_interrupts():
            fail()
    finally:
        signal.signal(signal.SIGINT, before)

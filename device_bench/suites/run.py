"""Runs the steps of a suite, each in a process of its own, and makes the record."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from device_bench.measure.environment import host_environment
from device_bench.suites.kept import keep, kept_paths
from device_bench.suites.machine import Machine
from device_bench.suites.quiet import timed_threads, wait_until_quiet
from device_bench.suites.record import Record, Status, StepRecord
from device_bench.suites.source_hash import source_sha256
from device_bench.suites.stale import stale_reason
from device_bench.suites.suite import ROOT, Needs, Step, Suite
from lvt.errors import UserError
from lvt.support.files import new_folder
from lvt.support.validation import parse_json

SuiteProgress = Callable[[Step, StepRecord | None], None]
"""Called before a step without a record, and after it with its record."""

_REASON_LENGTH = 300


def run_suite(
    suite: Suite, machine: Machine, progress: SuiteProgress, *, root: Path = ROOT
) -> Record:
    """Run all steps. A step that fails does not stop the others.

    Args:
        suite: what to run.
        machine: this machine.
        progress: see `SuiteProgress`.
        root: the checkout.

    Raises:
        UserError: the suite names code that does not exist, or its folder cannot be emptied.
    """
    load_before = os.getloadavg()[0]
    commit, dirty = git_state(root)
    try:
        code_sha256 = source_sha256(root, suite.code)
    except FileNotFoundError as error:
        raise UserError(f"suite {suite.name}: no code at {error}") from error
    work = root / suite.work_folder
    work.parent.mkdir(parents=True, exist_ok=True)
    new_folder(work)
    steps = []
    for step in suite.steps:
        progress(step, None)
        steps.append(run_step(step, root, work))
        progress(step, steps[-1])
    environment = host_environment()
    return Record(
        suite=suite.name,
        title=suite.title,
        weights=suite.weights,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        machine=machine,
        versions={"python": environment["python"], **environment["packages"]},
        load_before=round(load_before, 2),
        commit=commit,
        dirty=dirty,
        code=suite.code,
        code_sha256=code_sha256,
        artifacts=artifact_hashes(work),
        steps=tuple(steps),
    )


def repeat_steps(
    suite: Suite,
    record: Record,
    names: Sequence[str],
    progress: SuiteProgress,
    *,
    root: Path = ROOT,
) -> Record:
    """Run some steps again, such as a benchmark that other programs disturbed.

    Args:
        suite: the record's suite.
        record: of a run in this checkout, whose artifacts are still there.
        names: of the steps.
        progress: see `SuiteProgress`.
        root: the checkout.

    Raises:
        UserError: a step is unknown, or the code or the suite has changed since the record.
    """
    known = {step.name: step for step in suite.steps}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise UserError(f"suite {suite.name} has no step {unknown[0]}: choose {', '.join(known)}")
    if stale_reason(record, suite, lambda code: source_sha256(root, code)) is not None:
        raise UserError(
            f"the code or the suite has changed since the record of {suite.name}: run all of it"
        )
    work, steps = root / suite.work_folder, []
    for before in record.steps:
        if before.name not in names:
            steps.append(before)
            continue
        progress(known[before.name], None)
        steps.append(run_step(known[before.name], root, work))
        progress(known[before.name], steps[-1])
    return replace(record, artifacts=artifact_hashes(work), steps=tuple(steps))


def run_step(step: Step, root: Path, work: Path) -> StepRecord:
    """Run one step's command in the checkout, or leave it out if something is missing.

    Args:
        step: what to run.
        root: the checkout.
        work: folder for the command's output.
    """
    reason = missing(step.needs, root)
    if reason is not None:
        return _record(step, "left out", reason)
    threads = timed_threads(step.command)
    if threads is not None:
        wait_until_quiet(threads)
    finished = _run(step, root, work)
    result, problem = None, finished.problem
    paths = kept_paths(step.command)
    if paths and "--json" in step.command:  # others, such as a set-up, have no result
        file = work / f"{step.name}.stdout" if step.json_file is None else root / step.json_file
        try:
            result = _kept(parse_json(file.read_text("utf-8")), paths)
        except (OSError, ValueError):
            problem = problem or "the command printed no JSON"
    status: Status = "measured" if problem is None else "failed"
    return _record(step, status, problem, finished, result)


def missing(needs: Needs, root: Path) -> str | None:
    """The first thing that a step needs and that is not there, as a phrase."""
    for module in needs.modules:
        if importlib.util.find_spec(module) is None:
            return f"{module} is not installed"
    for program in needs.programs:
        if shutil.which(program) is None:
            return f"no {program} in PATH"
    for file in needs.files:
        if not (root / file).exists():
            return f"no {file}, which is not part of the repository"
    return None


def git_state(root: Path) -> tuple[str | None, bool]:
    """The commit of a checkout, and whether files besides the records differ from it."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(root), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        status = git("status", "--porcelain", "--", ".", ":(exclude)benchmarks/results")
        return git("rev-parse", "HEAD"), bool(status)
    except (OSError, subprocess.CalledProcessError):
        return None, False


def artifact_hashes(folder: Path) -> dict[str, str]:
    """File name to SHA-256 of the model files in a folder, from their manifests."""
    hashes = {}
    for path in sorted(folder.glob("*.json")):
        content = parse_json(path.read_text("utf-8"))
        file = content.get("file") if isinstance(content, dict) else None
        if isinstance(file, dict) and "sha256" in file:
            hashes[str(file["name"])] = str(file["sha256"])
    return hashes


@dataclass(frozen=True)
class _Finished:
    """A process that ended; `problem` is None if it succeeded."""

    problem: str | None
    seconds: float
    peak_memory_bytes: int | None


def _run(step: Step, root: Path, work: Path) -> _Finished:
    stdout, stderr = work / f"{step.name}.stdout", work / f"{step.name}.stderr"
    started = time.perf_counter()
    with stdout.open("wb") as out, stderr.open("wb") as err:
        try:
            process = subprocess.Popen(
                executable(step.command), cwd=root, stdin=subprocess.DEVNULL, stdout=out, stderr=err
            )
        except OSError as error:
            return _Finished(f"{step.command[0]}: {error.strerror}", 0.0, None)
        code, peak = _wait(process)
    seconds = time.perf_counter() - started
    if code == 0:
        return _Finished(None, seconds, peak)
    lines = stderr.read_text("utf-8", errors="replace").strip().splitlines()
    last = lines[-1][:_REASON_LENGTH] if lines else "no message"
    return _Finished(f"exit code {code}: {last}", seconds, peak)


def executable(command: Sequence[str]) -> list[str]:
    """The command with the program of this environment, not of another one in PATH."""
    program, *arguments = command
    if program == "python":
        return [sys.executable, *arguments]
    own = Path(sys.executable).parent / program
    return [str(own) if own.is_file() else program, *arguments]


def _wait(process: subprocess.Popen[bytes]) -> tuple[int, int | None]:
    """Exit code and peak resident memory of a process."""
    if not hasattr(os, "wait4"):  # Windows
        return process.wait(), None
    try:
        _, status, usage = os.wait4(process.pid, 0)
    except BaseException:  # Ctrl-C: the command has it too
        process.terminate()
        process.wait()
        raise
    process.returncode = os.waitstatus_to_exitcode(status)
    unit = 1 if sys.platform == "darwin" else 1024
    return process.returncode, usage.ru_maxrss * unit


def _kept(content: Any, paths: Sequence[str]) -> Any:
    """The kept parts; `lvt-export all` prints a list of manifests."""
    if isinstance(content, list):
        return [keep(item, paths) for item in content]
    return keep(content, paths)


def _record(
    step: Step,
    status: Status,
    reason: str | None,
    finished: _Finished | None = None,
    result: Any = None,
) -> StepRecord:
    return StepRecord(
        name=step.name,
        title=step.title,
        command=step.command_line,
        rows=step.rows,
        status=status,
        reason=reason,
        seconds=None if finished is None else round(finished.seconds, 1),
        peak_memory_bytes=None if finished is None else finished.peak_memory_bytes,
        result=result,
    )

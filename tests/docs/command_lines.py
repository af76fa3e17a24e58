"""Check command lines without running them: programs, subcommands, options and their values.

The files that a command names need not exist.
"""

from __future__ import annotations

import importlib
import re
import tomllib
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import typer.main

from device_bench.devices.adb.runner import ANDROID
from device_bench.measure.backends import BACKENDS
from device_bench.measure.preset import PRESETS as PROTOCOLS
from export.capabilities import PRECISIONS, QUANTIZED
from lvt.config import PRESETS, TASKS
from lvt.support.options import parse_size
from quantization.cli.quantize import parse_budget
from quantization.methods import METHODS
from tests.docs.pages import ROOT

FOREIGN = frozenset({".", "adb", "echo", "java", "uvx"})
"""External programs, whose options are not checked."""

_PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


class NotRunnableError(Exception):
    """The command line is not valid."""


def _one_of(*known: str) -> Callable[[str], Any]:
    def check(value: str) -> None:
        if value not in known:
            raise NotRunnableError(f"{value!r} is not one of {', '.join(known)}")

    return check


_VALUES: dict[str, Callable[[str], Any]] = {
    "task": _one_of(*TASKS),
    "precision": _one_of(*PRECISIONS, *QUANTIZED),
    "preset": _one_of(*PRESETS, *PROTOCOLS),
    "backend": _one_of(*BACKENDS, ANDROID),
    "method": _one_of(*METHODS),
    "size": parse_size,
    "budget": parse_budget,
}
"""Checks of values that the commands validate after parsing."""


@cache
def application(script: str) -> Any:
    """Return the click command of a script in pyproject.toml."""
    module, _, name = _PROJECT["scripts"][script].partition(":")
    return typer.main.get_command(getattr(importlib.import_module(module), name))


def _parsed(command: Any, name: str, words: list[str]) -> dict[str, Any]:
    """Return the parameters of the innermost command as click parses them."""
    context = command.make_context(name, words)
    while hasattr(context.command, "resolve_command"):
        rest = [*context._protected_args, *context.args]
        name, command, rest = context.command.resolve_command(context, rest)
        context = command.make_context(name, rest, parent=context)
    return dict(context.params)


def check_ours(script: str, words: list[str]) -> None:
    """Check a command of lvt-mobile.

    Raises:
        NotRunnableError: unknown subcommand or option, missing or invalid value.
    """
    if script not in _PROJECT["scripts"]:
        raise NotRunnableError(f"no command {script}")
    try:
        parameters = _parsed(application(script), script, words)
        for name, value in parameters.items():
            for single in value if isinstance(value, list | tuple) else [value]:
                if name in _VALUES and single is not None:
                    _VALUES[name](str(single))
    except NotRunnableError:
        raise
    except Exception as error:  # click's usage errors and UserError
        raise NotRunnableError(getattr(error, "message", None) or str(error)) from error


def _check_make(_program: str, words: list[str]) -> None:
    targets = re.findall(r"^([a-z][\w-]*):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    for word in words:
        if "=" not in word and word not in targets:
            raise NotRunnableError(f"no target {word} in the Makefile")


def _check_python(_program: str, words: list[str]) -> None:
    if words and words[0].endswith(".py"):
        if not (ROOT / words[0]).is_file():
            raise NotRunnableError(f"no script {words[0]}")
        return
    if words[:1] != ["-m"]:
        raise NotRunnableError("only python -m MODULE and scripts are supported here")
    module = ROOT.joinpath(*words[1].split("."))
    known = words[1] == "venv" or module.with_suffix(".py").is_file()
    if not known and not (module / "__main__.py").is_file():
        raise NotRunnableError(f"no module {words[1]}")


def _check_pip(_program: str, words: list[str]) -> None:
    if words[:1] != ["install"]:
        raise NotRunnableError("only pip install is supported here")
    for word in words[1:]:
        for extra in re.findall(r"\[([^\]]+)\]", word):
            unknown = set(extra.split(",")) - set(_PROJECT["optional-dependencies"])
            if unknown:
                raise NotRunnableError(f"no extra {', '.join(unknown)}")


def _check_pytest(_program: str, words: list[str]) -> None:
    for word in words:
        if not word.startswith("-") and not (ROOT / word.partition("::")[0]).exists():
            raise NotRunnableError(f"no test {word}")


_CHECKS: dict[str, Callable[[str, list[str]], None]] = {
    "make": _check_make,
    "python": _check_python,
    "python3": _check_python,
    "pip": _check_pip,
    "pytest": _check_pytest,
}


def check(words: tuple[str, ...]) -> None:
    """Check a command line of the pages.

    Raises:
        NotRunnableError: the command line is not valid, or its program is unknown.
    """
    program, *rest = words
    if program in FOREIGN or (ROOT / program).is_file():
        return
    if program.startswith("lvt-"):
        check_ours(program, rest)
    elif program in _CHECKS:
        _CHECKS[program](program, rest)
    else:
        raise NotRunnableError(f"unknown program {program}")


def _all_commands(command: Any) -> Iterator[Any]:
    yield command
    for inner in getattr(command, "commands", {}).values():
        yield from _all_commands(inner)


@cache
def options(script: str) -> frozenset[str]:
    """Return the options of a script and of its subcommands."""
    names = {"--help", "-h"}
    for command in _all_commands(application(script)):
        for parameter in command.params:
            names.update([*parameter.opts, *parameter.secondary_opts])
    return frozenset(option for option in names if option.startswith("-"))


def scripts() -> list[str]:
    """Return the names of the scripts in pyproject.toml."""
    return list(_PROJECT["scripts"])

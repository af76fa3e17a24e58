"""Writes docs/cli.md: every option of every command, from the commands' own definitions."""

from __future__ import annotations

import importlib
import re
import tomllib
from collections.abc import Iterator, Sequence
from typing import Any

import typer
import typer.main

from device_bench.figures.table import PageTable
from device_bench.suites.suite import ROOT

PAGE = ROOT / "docs" / "cli.md"
_EVERYWHERE = frozenset({"verbose", "version", "help"})
_HEAD = """# Commands

All commands and options, as `--help` shows them. `make figures` writes this page from the commands.
Every command also has `--help`, and `--verbose` to show the messages of other libraries. Exit
codes: 0 success; 1 a check failed (parity, placement, budget, a gate); 2 invalid input; 130
interrupted.
"""


def command_page() -> str:
    """The content of docs/cli.md."""
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["scripts"]
    sections = [_HEAD]
    for script, place in scripts.items():
        module, _, name = place.partition(":")
        application = typer.main.get_command(getattr(importlib.import_module(module), name))
        sections += _script_sections(script, application)
    return re.sub(r"\n{3,}", "\n\n", "\n".join(sections)).rstrip("\n") + "\n"


def _script_sections(script: str, application: Any) -> Iterator[str]:
    inner = getattr(application, "commands", {})
    if not inner:
        yield f"## `{script}`\n\n{_description(application)}\n\n{_options(application)}"
        return
    yield f"## `{script}`\n\n{_description(application)}\n"
    for commands in _alike(inner.values()):
        if len(commands) > 1:
            heading = f"{script} TARGET"
        elif commands[0].hidden:  # the default command, which needs no name
            heading = script
        else:
            heading = f"{script} {commands[0].name}"
        text = "\n".join(_descriptions(commands))
        yield f"### `{heading}`\n\n{text}\n\n{_options(commands[0])}"


def _alike(commands: Any) -> list[list[Any]]:
    """Commands in order; those with the same options, such as one for each target, together."""
    groups: dict[tuple[Any, ...], list[Any]] = {}
    for command in commands:
        key = tuple((*parameter.opts, parameter.help) for parameter in _shown(command))
        groups.setdefault(key, []).append(command)
    return list(groups.values())


def _descriptions(commands: Sequence[Any]) -> list[str]:
    if len(commands) == 1:
        return [_description(commands[0])]
    return [
        f"- `{command.name}`: {' '.join(_description(command).split())}" for command in commands
    ]


def _description(command: Any) -> str:
    paragraphs = re.split(r"\n\s*\n", (command.help or "").strip())
    return _escaped("\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs))


def _options(command: Any) -> str:
    context = typer.Context(command, info_name=command.name)
    records = (parameter.get_help_record(context) for parameter in _shown(command))
    rows = [
        [f"`{' '.join(name.split())}`", _escaped(" ".join(text.split()))]
        for name, text in filter(None, records)
    ]
    return PageTable(["option", "meaning"], rows).markdown()


def _shown(command: Any) -> list[Any]:
    return [parameter for parameter in command.params if parameter.name not in _EVERYWHERE]


def _escaped(text: str) -> str:
    """Brackets and angle brackets as text; nothing else in help texts is Markdown."""
    return text.replace("[", "\\[").replace("<", "\\<")

"""A benchmark suite: a TOML file that lists commands. Knows nothing of how they are run.

Suites are in `benchmarks/suites`. Each step is one command of lvt-mobile, with placeholders for
folders and files.
"""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lvt.errors import UserError

ROOT = Path(__file__).parents[2]
"""The checkout that contains this file. Commands of suites run there."""
SUITES = ROOT / "benchmarks" / "suites"
WORK_FOLDER = "out/suites"
"""Where suites write their artifacts, relative to the checkout."""
REAL_DATA = "../shared/real"
"""Data that may not be part of the repository, relative to the checkout."""
CODE = ("lvt", "export", "quantization", "device_bench/measure", "device_bench/studies")
"""The code that decides about figures, unless a suite names less. Tables and pages are not part."""

_NAME = re.compile(r"[a-z0-9][a-z0-9-]*")
_PLACEHOLDER = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Needs:
    """What a step needs; without it, the step is left out.

    Attributes:
        files: paths relative to the checkout.
        modules: Python modules.
        programs: programs in PATH.
    """

    files: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()

    def __add__(self, other: Needs) -> Needs:
        return Needs(
            self.files + other.files,
            self.modules + other.modules,
            self.programs + other.programs,
        )


@dataclass(frozen=True)
class Step:
    """One command of a suite.

    Attributes:
        name: within the suite.
        title: the step's name in tables.
        command: words of the command line, without placeholders; runs in the checkout.
        json_file: where the command writes its result; None: it prints it.
        rows: names of the rows that the results form, for commands that measure several artifacts.
        needs: what the step needs.
    """

    name: str
    title: str
    command: tuple[str, ...]
    json_file: str | None
    rows: tuple[str, ...]
    needs: Needs

    @property
    def command_line(self) -> str:
        """The command as a reader can repeat it in the checkout."""
        return shlex.join(self.command)


@dataclass(frozen=True)
class Suite:
    """A list of commands whose results are stored together.

    Attributes:
        name: of the file, without suffix.
        title: what the suite measures, for lists.
        weights: the weights that it uses, such as "demo" or "CamVid".
        minutes: expected duration on two cores.
        code: files and folders of source code that decide about the figures.
        steps: in the order in which they run.
    """

    name: str
    title: str
    weights: str
    minutes: float
    code: tuple[str, ...]
    steps: tuple[Step, ...]

    @property
    def work_folder(self) -> str:
        """The folder of the suite's artifacts, relative to the checkout."""
        return f"{WORK_FOLDER}/{self.name}"


def suite_files(folder: Path = SUITES) -> list[Path]:
    """The suite files of the checkout, by name.

    Raises:
        UserError: there is no checkout, as in an installed wheel.
    """
    if not folder.is_dir():
        raise UserError(f"no suites in {folder}: they are part of a checkout of the repository")
    return sorted(folder.glob("*.toml"))


def find_suite(name: str, folder: Path = SUITES) -> Suite:
    """The suite with this name, or the suite in this file.

    Raises:
        UserError: there is none, or the file is not a valid suite.
    """
    if name.endswith(".toml"):
        return read_suite(Path(name))
    files = suite_files(folder)
    for file in files:
        if file.stem == name:
            return read_suite(file)
    raise UserError(f"no suite {name!r}: choose {', '.join(file.stem for file in files)}")


def read_suite(path: Path) -> Suite:
    """Read and check a suite file.

    Raises:
        UserError: the file is missing or invalid; the message names the step.
    """
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise UserError(f"{path} is not TOML: {error}") from error
    reader = _Reader(path.name)
    if not _NAME.fullmatch(path.stem):
        raise reader.error("the file name may only contain a-z, 0-9 and hyphens")
    reader.check_keys(content, {"title", "weights", "minutes", "code", "needs", "step"}, "the file")
    needs = reader.needs(content.get("needs", {}), "the file")
    tables = content.get("step")
    if not isinstance(tables, list) or not tables:
        raise reader.error("no [[step]]")
    steps = [reader.step(table, f"{WORK_FOLDER}/{path.stem}", needs) for table in tables]
    names = [step.name for step in steps]
    if len(set(names)) < len(names):
        raise reader.error("two steps have the same name")
    minutes = content.get("minutes")
    if not isinstance(minutes, int | float) or minutes <= 0:
        raise reader.error("minutes is missing: how long does it take on two cores?")
    return Suite(
        name=path.stem,
        title=reader.text(content, "title", "the file"),
        weights=reader.text(content, "weights", "the file"),
        minutes=minutes,
        code=reader.texts(content.get("code", CODE), "code"),
        steps=tuple(steps),
    )


@dataclass(frozen=True)
class _Reader:
    """Checks the values of a suite file and names them in errors."""

    file: str
    placeholders: Mapping[str, str] = field(default_factory=lambda: {"real": REAL_DATA})

    def error(self, text: str) -> UserError:
        return UserError(f"{self.file}: {text}")

    def step(self, table: Mapping[str, Any], work: str, shared: Needs) -> Step:
        name = self.text(table, "name", "a step")
        where = f"step {name}"
        if not _NAME.fullmatch(name):
            raise self.error(f"{where}: a name may only contain a-z, 0-9 and hyphens")
        self.check_keys(table, {"name", "title", "command", "rows", "needs"}, where)
        command = self.text(table, "command", where)
        json_file = f"{work}/{name}.result.json" if "{json}" in command else None
        values = {**self.placeholders, "out": work, "json": json_file or ""}
        try:
            words = [self.filled(word, values, where) for word in shlex.split(command)]
        except ValueError as error:  # an unclosed quotation mark
            raise self.error(f"{where}: {error}") from error
        return Step(
            name=name,
            title=table.get("title", name),
            command=tuple(words),
            json_file=json_file,
            rows=self.texts(table.get("rows", []), f"{where}: rows"),
            needs=shared + self.needs(table.get("needs", {}), where),
        )

    def filled(self, text: str, values: Mapping[str, str], where: str) -> str:
        for name in _PLACEHOLDER.findall(text):
            if name not in values:
                raise self.error(f"{where}: {{{name}}} is not one of {', '.join(values)}")
        return _PLACEHOLDER.sub(lambda match: values[match[1]], text)

    def needs(self, table: Mapping[str, Any], where: str) -> Needs:
        self.check_keys(table, {"files", "modules", "programs"}, f"{where}: needs")
        files = self.texts(table.get("files", []), f"{where}: files")
        return Needs(
            tuple(self.filled(file, self.placeholders, where) for file in files),
            self.texts(table.get("modules", []), f"{where}: modules"),
            self.texts(table.get("programs", []), f"{where}: programs"),
        )

    def check_keys(self, table: object, known: set[str], where: str) -> None:
        if not isinstance(table, dict):
            raise self.error(f"{where} is not a table")
        unknown = sorted(table.keys() - known)
        if unknown:
            raise self.error(
                f"{where}: unknown key {unknown[0]}; known: {', '.join(sorted(known))}"
            )

    def text(self, table: Mapping[str, Any], key: str, where: str) -> str:
        value = table.get(key)
        if not isinstance(value, str) or not value:
            raise self.error(f"{where}: {key} is missing or not a text")
        return value

    def texts(self, value: object, where: str) -> tuple[str, ...]:
        is_list = isinstance(value, Sequence) and not isinstance(value, str)
        if not is_list or not all(isinstance(item, str) for item in value):  # type: ignore[attr-defined]
            raise self.error(f"{where} is not a list of texts")
        return tuple(value)  # type: ignore[arg-type]

"""The record of a suite's run: figures, and everything needed to judge and repeat them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Self, get_args

from device_bench.suites.machine import Machine
from device_bench.suites.suite import ROOT
from lvt.errors import UserError
from lvt.support.files import write_text
from lvt.support.validation import json_text, parse_json

RECORDS = ROOT / "benchmarks" / "results"
"""One folder for each machine, with a record for each suite."""
RECORD_SCHEMA = 1
"""Schema of records. Raised when an older reader would misread a new record."""

Status = Literal["measured", "left out", "failed"]
"""`left out`: something that the step needs is missing. `failed`: its command failed."""


@dataclass(frozen=True)
class StepRecord:
    """One step's run.

    Attributes:
        title: the step's name in tables.
        command: as a reader can repeat it in the checkout.
        rows: names of the rows that the results form.
        reason: why it was left out or failed; None: it was measured.
        seconds: wall time of the command, with imports; None: left out.
        peak_memory_bytes: of the command's process; None: left out, or not reported.
        result: the kept parts of the command's JSON; None: it has none.
    """

    name: str
    title: str
    command: str
    rows: tuple[str, ...]
    status: Status
    reason: str | None
    seconds: float | None
    peak_memory_bytes: int | None
    result: Any

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Self:
        """From the form stored in records.

        Raises:
            LookupError, TypeError, ValueError: the data is damaged.
        """
        if stored["status"] not in get_args(Status):
            raise ValueError(f"status {stored['status']!r}")
        return cls(**{**stored, "rows": tuple(stored["rows"])})


@dataclass(frozen=True)
class Record:
    """One suite's run on one machine.

    Attributes:
        suite: name of the suite.
        title: what the suite measures.
        weights: the weights that it used.
        created: ISO 8601 time in UTC, at the end.
        machine: where it ran.
        versions: of Python and packages.
        load_before: load average of one minute before the first step.
        commit: of the checkout; None: no git.
        dirty: whether tracked files differed from the commit, or new ones were there.
        code: the paths of `Suite.code`.
        code_sha256: see `source_hash`.
        artifacts: file name to SHA-256 of every model file that the suite wrote.
        steps: in the order of the suite.
    """

    suite: str
    title: str
    weights: str
    created: str
    machine: Machine
    versions: Mapping[str, str | None]
    load_before: float
    commit: str | None
    dirty: bool
    code: tuple[str, ...]
    code_sha256: str
    artifacts: Mapping[str, str]
    steps: tuple[StepRecord, ...]

    @property
    def path(self) -> Path:
        """The record's file, relative to the folder of all records."""
        return Path(self.machine.name) / f"{self.suite}.json"

    def to_dict(self) -> dict[str, Any]:
        """The form stored in records."""
        return {"schema": RECORD_SCHEMA, **asdict(self)}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Self:
        """Inverse of `to_dict`.

        Raises:
            LookupError, TypeError, ValueError: the data is damaged.
        """
        fields = {key: value for key, value in stored.items() if key != "schema"}
        return cls(
            **{
                **fields,
                "machine": Machine.from_dict(stored["machine"]),
                "code": tuple(stored["code"]),
                "steps": tuple(map(StepRecord.from_dict, stored["steps"])),
            }
        )

    def save(self, folder: Path = RECORDS) -> Path:
        """Write the record into its machine's folder, complete or not at all.

        Returns:
            The file.

        Raises:
            UserError: it cannot be written.
        """
        file = folder / self.path
        write_text(file, json_text(self.to_dict()) + "\n")
        return file


def read_record(path: Path) -> Record:
    """Read a record.

    Raises:
        UserError: the file is missing, damaged or of another schema.
    """
    try:
        content = parse_json(path.read_text("utf-8"))
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise UserError(f"{path} is not a record of lvt-bench suite: {error}") from error
    if not isinstance(content, dict) or content.get("schema") != RECORD_SCHEMA:
        raise UserError(
            f"{path} is not a record of schema {RECORD_SCHEMA}: measure again with lvt-bench suite"
        )
    try:
        record = Record.from_dict(content)
    except (LookupError, TypeError, ValueError) as error:
        raise UserError(f"{path} is incomplete or damaged: {error!r}") from error
    if record.path.parts != path.parts[-2:]:
        raise UserError(f"{path} says it is {record.path}: records may not be moved or renamed")
    return record

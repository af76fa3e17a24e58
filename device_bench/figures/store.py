"""Finds records by suite and machine, and says whether they are older than their code."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from device_bench.suites.record import RECORDS, Record, read_record
from device_bench.suites.source_hash import source_sha256
from device_bench.suites.stale import stale_reason
from device_bench.suites.suite import ROOT, SUITES, read_suite
from lvt.errors import UserError


class RecordStore:
    """The records in a folder.

    Args:
        folder: one folder for each machine.
        suites: folder of suite files.
        root: the checkout, whose code is compared with that of the records.
    """

    def __init__(self, folder: Path = RECORDS, suites: Path = SUITES, root: Path = ROOT):
        self._folder, self._suites, self._root = folder, suites, root
        self._hash = cache(lambda code: source_sha256(root, code))

    def find(self, suite: str, machine: str | None) -> Record | None:
        """The record of a suite; None if it was never run (on this machine).

        Raises:
            UserError: there is no such suite, the record is damaged, or several machines have one
                and none is named.
        """
        if not (self._suites / f"{suite}.toml").is_file():
            raise UserError(f"no suite {suite} in {self._suites}")
        files = sorted(self._folder.glob(f"{machine or '*'}/{suite}.json"))
        if len(files) > 1:
            names = ", ".join(f"{suite}@{file.parent.name}" for file in files)
            raise UserError(f"several machines have a record of {suite}; write one of {names}")
        return read_record(files[0]) if files else None

    def stale_reason(self, record: Record) -> str | None:
        """Why a record no longer describes this checkout, as a phrase; None: it does."""
        suite = read_suite(self._suites / f"{record.suite}.toml")
        return stale_reason(record, suite, self._hash)

"""A damaged result file is refused, or gives whole tables and pages."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from device_bench.report.html_page import render
from device_bench.report.tables import print_report
from device_bench.results.bench_report import read_report
from lvt.errors import UserError
from lvt.support.terminal import Terminal
from tests.device_bench.result_files import (
    CONDITIONS,
    OVERLAY,
    PROFILE,
    result,
    result_file,
    write,
)
from tests.helpers.fuzz import damaged_bytes, damaged_json, fuzzing, reads_or_refuses, write_json

WHOLE = result_file(
    result([10.0, 11.0, 10.5], answer=OVERLAY, profile=PROFILE, conditions=CONDITIONS)
)


def show(path: Path) -> None:
    file = read_report(path)
    render(file).encode()
    print_report(file, Terminal(io.StringIO()))


def test_damaged_values(tmp_path: Path) -> None:
    path = tmp_path / "a b.json"
    write(path, WHOLE)
    show(path)

    @fuzzing
    @given(damaged_json(WHOLE))
    def check(content: Any) -> None:
        write_json(path, content)
        reads_or_refuses(lambda: show(path))

    check()


def test_damaged_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    whole = write(path, WHOLE).read_bytes()

    @fuzzing
    @given(damaged_bytes(whole, head=2000))
    def check(content: bytes) -> None:
        path.write_bytes(content)
        reads_or_refuses(lambda: show(path))

    check()


@pytest.mark.parametrize(
    "content", ["", "[" * 100_000, "{}", "null", '{"schema": 2, "results": 1}']
)
def test_no_result_files(content: str, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(content)
    with pytest.raises(UserError):
        read_report(path)

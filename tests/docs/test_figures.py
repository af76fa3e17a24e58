"""The figures of README and docs are those of the records, and blocks fit their suites."""

from __future__ import annotations

from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

from device_bench.figures.blocks import Block, replace_blocks, without_stale_marks
from device_bench.figures.render import pages, render_page
from device_bench.figures.store import RecordStore
from device_bench.figures.tables import TABLES
from device_bench.suites.machine import Machine
from device_bench.suites.record import Record, StepRecord
from device_bench.suites.source_hash import source_sha256
from device_bench.suites.suite import Suite, read_suite, suite_files
from lvt.errors import UserError
from tests.docs.command_lines import check
from tests.docs.pages import ROOT

SUITES = [read_suite(file) for file in suite_files()]
by_suite = pytest.mark.parametrize("suite", SUITES, ids=lambda suite: suite.name)
by_page = pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))


def blocks_of(text: str) -> list[Block]:
    found: list[Block] = []

    def seen(block: Block) -> str:
        found.append(block)
        return block.content

    assert replace_blocks(text, seen) == text
    return found


@by_page
def test_the_page_has_the_figures_of_the_records(page: Path) -> None:
    """Fails if a figure was edited by hand, or a record changed: run `make figures`."""
    text = page.read_text("utf-8")
    rendered = render_page(text, RecordStore()).text
    assert without_stale_marks(rendered) == without_stale_marks(text), "run make figures"


@by_page
def test_blocks_name_tables_and_steps_that_exist(page: Path) -> None:
    """A block whose suite was never run would show a mistake only after the measurement."""
    suites = {suite.name: suite for suite in SUITES}
    for block in blocks_of(page.read_text("utf-8")):
        assert block.kind in TABLES, block
        names = [step.name for step in suites[block.suite].steps]
        for pattern in block.patterns:
            assert any(fnmatchcase(name, pattern) for name in names), block


@by_suite
def test_the_commands_of_suites_are_valid(suite: Suite) -> None:
    """A wrong option would fail after an hour of measuring."""
    for step in suite.steps:
        check(step.command)
    assert source_sha256(ROOT, suite.code)


@by_suite
def test_every_suite_is_shown_on_a_page(suite: Suite) -> None:
    shown = {block.suite for page in pages() for block in blocks_of(page.read_text("utf-8"))}
    assert suite.name in shown


INTERVAL = {"value": 2.0, "low": 1.9, "high": 2.1}
MACHINE = Machine("test-2c", "Test", 2, ("AVX2",))
SUITE = """
title = "T"
weights = "demo"
minutes = 1
code = ["code.py"]
[[step]]
name = "pair"
command = "lvt-bench"
"""
PAGE = """# Page

Before.

<!-- figures: pairs tiny pair -->
what was there
<!-- /figures -->

After.
"""


def timed(median: float, speedup: dict[str, float] | None, *, valid: bool = True) -> dict[str, Any]:
    return {
        "backend": "onnxruntime",
        "valid": valid,
        "reasons": [] if valid else ["drift of 1.2"],
        "latency_ms": {"median": {"value": median, "low": median, "high": median}},
        "speedup_over_first": speedup,
        "cold_start": {"memory_bytes": 100e6},
        "file_bytes": 14.4e6,
    }


class Checkout:
    """A checkout with one suite, whose records the tests write."""

    def __init__(self, root: Path):
        self.root = root
        (root / "suites").mkdir()
        (root / "suites" / "tiny.toml").write_text(SUITE)
        (root / "code.py").write_text("x = 1\n")

    def record(self, *results: dict[str, Any], machine: Machine = MACHINE) -> Record:
        step = StepRecord(
            "pair", "Model", "lvt-bench", (), "measured", None, 1.0, 1, {"results": list(results)}
        )
        record = Record(
            suite="tiny",
            title="T",
            weights="demo",
            created="2026-11-27T12:00:00+00:00",
            machine=machine,
            versions={"onnxruntime": "1.31.1"},
            load_before=0.0,
            commit="0123456789abcdef",
            dirty=False,
            code=("code.py",),
            code_sha256=source_sha256(self.root, ["code.py"]),
            artifacts={},
            steps=(step,),
        )
        record.save(self.root / "results")
        return record

    def render(self, text: str) -> str:
        store = RecordStore(self.root / "results", self.root / "suites", self.root)
        return render_page(text, store).text


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def test_a_block_shows_figures_and_where_they_come_from(checkout: Checkout) -> None:
    checkout.record(timed(108.3, None), timed(71.2, INTERVAL))
    text = checkout.render(PAGE)
    assert "| Model | 108.3 → 71.2 ms | 2.00 [1.90, 2.10] | 100 → 100 MB | 14.4 → 14.4 MB |" in text
    assert "Test, 2 cores, AVX2; ONNX Runtime 1.31.1. 2026-11-27, commit 0123456." in text
    assert "`lvt-bench suite tiny`" in text
    assert text.startswith("# Page\n\nBefore.\n\n")
    assert text.endswith("\n\nAfter.\n")
    assert "what was there" not in text
    assert checkout.render(text) == text


def test_the_machine_is_named_once_for_each_suite_of_a_page(checkout: Checkout) -> None:
    checkout.record(timed(108.3, None), timed(71.2, INTERVAL))
    text = checkout.render(PAGE + "\n" + PAGE)
    assert text.count("108.3 → 71.2 ms") == 2
    assert text.count("Test, 2 cores, AVX2") == 1
    assert text.index("Test, 2 cores") < text.index("*From the same run of suite `tiny`.*")


def test_a_figure_edited_by_hand_is_detected(checkout: Checkout) -> None:
    checkout.record(timed(108.3, None), timed(71.2, INTERVAL))
    text = checkout.render(PAGE)
    edited = text.replace("71.2", "61.2")
    assert checkout.render(edited) == text != edited
    checkout.record(timed(108.3, None), timed(70.0, INTERVAL))
    assert checkout.render(text) != text


def test_a_block_without_a_record_keeps_its_content(checkout: Checkout) -> None:
    assert checkout.render(PAGE) == PAGE


def test_a_record_older_than_its_code_is_stale(checkout: Checkout) -> None:
    checkout.record(timed(2.0, None), timed(1.0, INTERVAL))
    fresh = checkout.render(PAGE)
    (checkout.root / "code.py").write_text("# a comment\nx = 1\n")
    assert checkout.render(fresh) == fresh
    (checkout.root / "code.py").write_text("x = 2\n")
    stale = checkout.render(fresh)
    assert "**Stale:** measured at commit 0123456; the code in code.py has changed" in stale
    assert checkout.render(stale) == stale
    assert without_stale_marks(stale) == fresh
    (checkout.root / "code.py").unlink()
    assert "**Stale:**" in checkout.render(fresh)


def test_a_record_of_other_commands_is_stale(checkout: Checkout) -> None:
    checkout.record(timed(2.0, None), timed(1.0, INTERVAL))
    file = checkout.root / "suites" / "tiny.toml"
    file.write_text(SUITE.replace('"lvt-bench"', '"lvt-bench --threads 2"'))
    assert "the suite has other commands now" in checkout.render(PAGE)


def test_two_machines_are_never_mixed(checkout: Checkout) -> None:
    results = timed(2.0, None), timed(1.0, INTERVAL)
    checkout.record(*results)
    checkout.record(*results, machine=replace(MACHINE, name="other"))
    with pytest.raises(UserError, match="tiny@other, tiny@test-2c"):
        checkout.render(PAGE)
    one, other = (PAGE.replace("tiny", f"tiny@{name}") for name in ("test-2c", "other"))
    assert "2.0 → 1.0 ms" in checkout.render(one)
    with pytest.raises(UserError, match="one page, one machine"):
        checkout.render(one + other)


def test_figures_that_are_not_valid_are_marked(checkout: Checkout) -> None:
    checkout.record(timed(2.0, None), timed(1.0, INTERVAL, valid=False))
    text = checkout.render(PAGE)
    assert "| Model\\* |" in text
    assert "\\* Model: not valid: drift of 1.2." in text


def test_what_was_left_out_is_named(checkout: Checkout) -> None:
    record = checkout.record(timed(2.0, None), timed(1.0, INTERVAL))
    absent = replace(record.steps[0], status="left out", reason="no camvid", result=None)
    replace(record, steps=(absent,)).save(checkout.root / "results")
    assert "\nModel: left out: no camvid.\n" in checkout.render(PAGE)


@pytest.mark.parametrize(
    ("words", "phrase"),
    [
        ("pairs nothing", "no suite nothing"),
        ("poetry tiny", "no table 'poetry'"),
        ("pairs tiny absent-*", "no step absent-*"),
        ("stages tiny", "stages does not fit"),
        ("pairs", "KIND SUITE STEPS"),
    ],
)
def test_mistakes_in_blocks_are_named(words: str, phrase: str, checkout: Checkout) -> None:
    checkout.record(timed(2.0, None), timed(1.0, INTERVAL))
    with pytest.raises(UserError) as caught:
        checkout.render(PAGE.replace("pairs tiny pair", words))
    assert phrase in str(caught.value)


def test_a_block_without_an_end_is_an_error(checkout: Checkout) -> None:
    """It would keep old figures for ever."""
    with pytest.raises(UserError, match="no end"):
        checkout.render(PAGE.replace("<!-- /figures -->", ""))

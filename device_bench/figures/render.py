"""Renders the blocks of a page from records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from device_bench.figures.blocks import STALE_MARK, Block, replace_blocks
from device_bench.figures.store import RecordStore
from device_bench.figures.tables import TABLES
from device_bench.report.runtimes import RUNTIME_NAMES, RUNTIME_PACKAGES
from device_bench.suites.record import Record, StepRecord
from device_bench.suites.suite import ROOT
from lvt.errors import UserError

_COMMIT_LENGTH = 7


def pages(root: Path = ROOT) -> list[Path]:
    """README and all pages of the guide. Dated notes keep the figures of their day."""
    return [root / "README.md", *sorted((root / "docs").glob("*.md"))]


@dataclass(frozen=True)
class RenderedPage:
    """A page with new content in its blocks.

    Attributes:
        text: of the whole page.
        missing: suites without a record, whose blocks keep their content.
        stale: suites whose record is older than its code.
    """

    text: str
    missing: tuple[str, ...]
    stale: tuple[str, ...]


def render_page(text: str, store: RecordStore) -> RenderedPage:
    """Render all blocks of a page.

    Raises:
        UserError: a block is not valid, or the page's records come from several machines.
    """
    machines: dict[str, str] = {}
    missing, stale, shown = dict[str, None](), dict[str, None](), set[str]()

    def content_of(block: Block) -> str:
        record = store.find(block.suite, block.machine)
        if record is None:
            missing[block.suite] = None
            return block.content
        machines[record.machine.name] = block.suite
        if len(machines) > 1:
            found = ", ".join(f"{suite} on {name}" for name, suite in machines.items())
            raise UserError(f"one page, one machine; this one has {found}")
        reason = store.stale_reason(record)
        if reason is not None:
            stale[block.suite] = None
        first = block.suite not in shown
        shown.add(block.suite)
        return render_block(block, record, reason, first=first)

    return RenderedPage(replace_blocks(text, content_of), tuple(missing), tuple(stale))


def render_block(
    block: Block, record: Record, stale_reason: str | None, *, first: bool = True
) -> str:
    """The content of one block: table, what was left out, where the figures come from.

    Args:
        block: what to show.
        record: of the block's suite.
        stale_reason: why the record is older than the code; None: it is not.
        first: whether it is the first block of its suite on the page, which names the machine.

    Raises:
        UserError: unknown kind, a pattern that fits no step, or steps of another kind.
    """
    if block.kind not in TABLES:
        raise UserError(f"no table {block.kind!r}: choose {', '.join(TABLES)}")
    steps = _selected(record.steps, block)
    try:
        table = TABLES[block.kind](steps)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise UserError(
            f"{block.kind} does not fit the steps of {block.suite}: {error!r}"
        ) from error
    lines = [f"{step.title}: {step.status}: {step.reason}." for step in steps if step.reason]
    origin = _origin(record) if first else f"*From the same run of suite `{record.suite}`.*\n"
    parts = [table.markdown(), *(f"{line}\n\n" for line in lines), origin]
    if stale_reason is not None:
        parts.insert(0, f"{STALE_MARK} measured at commit {_commit(record)}; {stale_reason}.\n\n")
    return "\n" + "".join(parts) + "\n"


def _selected(steps: Sequence[StepRecord], block: Block) -> list[StepRecord]:
    if not block.patterns:
        return list(steps)
    result = list[StepRecord]()
    for pattern in block.patterns:
        matching = [step for step in steps if fnmatchcase(step.name, pattern)]
        if not matching:
            raise UserError(f"suite {block.suite} has no step {pattern}")
        result += matching
    return result


def _origin(record: Record) -> str:
    """Machine, versions, date, commit, and the command that measures again."""
    versions = ", ".join(
        f"{label} {version}"
        for package, label in _SHOWN_VERSIONS.items()
        if (version := record.versions.get(package)) is not None
    )
    return (
        f"*{record.machine}; {versions}. {record.created[:10]}, commit {_commit(record)}. "
        f"Weights: {record.weights}. Repeat with `lvt-bench suite {record.suite}`.*\n"
    )


_SHOWN_VERSIONS = {
    RUNTIME_PACKAGES[backend]: RUNTIME_NAMES[backend]
    for backend in ("onnxruntime", "tflite", "executorch")
}


def _commit(record: Record) -> str:
    commit = "unknown" if record.commit is None else record.commit[:_COMMIT_LENGTH]
    return f"{commit} with uncommitted changes" if record.dirty else commit

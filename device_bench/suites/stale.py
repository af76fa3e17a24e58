"""Whether a record still describes the checkout: its suite's commands, and the code behind them."""

from __future__ import annotations

from collections.abc import Callable

from device_bench.suites.record import Record
from device_bench.suites.suite import Suite


def stale_reason(
    record: Record, suite: Suite, code_sha256: Callable[[tuple[str, ...]], str]
) -> str | None:
    """Why a record no longer describes the checkout, as a phrase; None: it does.

    Args:
        record: of a run of the suite.
        suite: as it is now.
        code_sha256: hash of the code in these files and folders; see `source_hash`.
    """
    recorded = {step.name: step.command for step in record.steps}
    if recorded != {step.name: step.command_line for step in suite.steps}:
        return "the suite has other commands now"
    try:
        same = code_sha256(record.code) == record.code_sha256
    except FileNotFoundError:
        same = False
    return None if same else f"the code in {', '.join(record.code)} has changed since"

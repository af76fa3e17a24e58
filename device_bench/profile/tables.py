"""Profiles as tables for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from device_bench.profile.families import BETWEEN, FAMILIES
from device_bench.results.operator_profile import OperatorProfile

if TYPE_CHECKING:
    from rich.table import Table

_MAX_TYPES = 12
_MAX_OPERATORS = 5
"""Rows of the slowest types and operators."""

_NOTABLE_SLOWDOWN = 1.2
"""Slowdown by the profiler above which the shares are only approximate."""


def families_by_time(profiles: Sequence[OperatorProfile]) -> list[str]:
    """The families that occur in any of the profiles, slowest in total first."""
    present = [name for name in FAMILIES if any(name in p.families for p in profiles)]
    return sorted(present, key=lambda name: -sum(p.families.get(name, 0.0) for p in profiles))


def family_table(profiles: Mapping[int, OperatorProfile]) -> Table:
    """Families as rows, one column per profile.

    Args:
        profiles: by the numbers of the results in the other tables.
    """
    from rich.table import Table

    table = Table(title="where the time goes: ms of one profiled inference", title_justify="left")
    table.add_column("")
    for number in profiles:
        table.add_column(str(number), justify="right")
    columns = list(profiles.values())
    for name in families_by_time(columns):
        table.add_row(name, *(_with_share(p, p.families.get(name, 0.0)) for p in columns))
    table.add_row(BETWEEN, *(_with_share(p, p.between_ms) for p in columns), end_section=True)
    table.add_row("total", *(f"{p.inference_ms:.2f} 100%" for p in columns))
    table.add_row("layout and type changes", *(_with_share(p, p.layout_ms) for p in columns))
    table.add_row("outside the accelerator", *(_with_share(p, p.outside_ms) for p in columns))
    table.add_row("profiled / timed", *(f"{p.slowdown:.2f}     " for p in columns))
    return table


def type_table(number: int, profile: OperatorProfile) -> Table:
    """The slowest types, then the slowest operators, of the result with this number."""
    from rich.table import Table

    table = Table(title=f"{number}: slowest types and operators", title_justify="left")
    for heading in ("type, operator", "family, module"):
        table.add_column(heading, overflow="fold")
    for heading in ("count", "ms", "share"):
        table.add_column(heading, justify="right")

    def add_row(name: str, details: str, count: str, ms: float) -> None:
        table.add_row(name, details, count, f"{ms:.2f}", f"{ms / profile.inference_ms:.0%}")

    for entry in profile.types[:_MAX_TYPES]:
        add_row(entry.type, entry.family, str(entry.count), entry.ms)
    rest = profile.types[_MAX_TYPES:]
    if rest:
        count = str(sum(entry.count for entry in rest))
        add_row(f"{len(rest)} more types", "", count, sum(entry.ms for entry in rest))
    table.add_section()
    for operator in profile.operators[:_MAX_OPERATORS]:
        add_row(operator.name, operator.module or "-", "", operator.ms)
    return table


def profile_notes(profile: OperatorProfile) -> Iterator[str]:
    """Placement and limits of a profile, one line each."""
    placement = profile.placement
    partitions = placement.partitions
    parts = "" if partitions is None else f" in {partitions} partition{'s'[: partitions != 1]}"
    outside = ", ".join(f"{name} x{count}" for name, count in sorted(placement.outside.items()))
    yield f"{placement.accelerator}{parts}; outside: {outside or 'nothing'}"
    slowdown = slowdown_note(profile.slowdown)
    if slowdown is not None:
        yield slowdown
    yield from profile.remarks


def slowdown_note(slowdown: float) -> str | None:
    """A sentence where profiled inferences took much longer than timed ones; else None."""
    if slowdown <= _NOTABLE_SLOWDOWN:
        return None
    return (
        f"the profiled inferences took {slowdown:.2f} times the timed ones, because of the "
        "profiler or a busy machine: the shares are approximate"
    )


def _with_share(profile: OperatorProfile, ms: float) -> str:
    return f"{ms:.2f} {ms / profile.inference_ms:4.0%}"

"""Profiles as tables for the terminal; `Profile.to_dict` is their form for machines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from device_bench.profile.families import BETWEEN, FAMILIES
from device_bench.profile.summary import Profile

if TYPE_CHECKING:
    from rich.table import Table

_TYPES = 12
_OPERATORS = 5
"""How many of the slowest a table has."""

_MUCH_SLOWER = 1.2
"""Profiled over timed inference beyond which shares are no more than rough."""


def families_by_time(profiles: list[Profile]) -> list[str]:
    """Families that any of the profiles has, those that take most first."""
    times = [profile.by_family() for profile in profiles]
    present = [name for name in FAMILIES if any(name in entry for entry in times)]
    return sorted(present, key=lambda name: -sum(entry.get(name, 0.0) for entry in times))


def family_table(profiles: dict[int, Profile]) -> Table:
    """Families side by side, a column for each profile.

    Args:
        profiles: by the numbers of the artifacts in the other tables.
    """
    from rich.table import Table

    table = Table(title="where the time goes: ms of one profiled inference", title_justify="left")
    table.add_column("")
    for number in profiles:
        table.add_column(str(number), justify="right")
    several = list(profiles.values())
    for name in families_by_time(several):
        table.add_row(name, *(_share(p, p.by_family().get(name, 0.0)) for p in several))
    table.add_row(BETWEEN, *(_share(p, p.between_ms) for p in several), end_section=True)
    table.add_row("together", *(f"{p.inference_ms:.2f} 100%" for p in several))
    table.add_row("layout and type changes", *(_share(p, p.layout_ms) for p in several))
    table.add_row("outside the accelerator", *(_share(p, p.outside_ms) for p in several))
    table.add_row("profiled / timed", *(f"{p.slowdown:.2f}     " for p in several))
    return table


def _share(profile: Profile, ms: float) -> str:
    return f"{ms:.2f} {ms / profile.inference_ms:4.0%}"


def type_table(number: int, profile: Profile) -> Table:
    """The types that take most, and the operators that do."""
    from rich.table import Table

    table = Table(title=f"{number}: slowest types and operators", title_justify="left")
    for heading in ("type, operator", "family, module"):
        table.add_column(heading, overflow="fold")
    for heading in ("count", "ms", "share"):
        table.add_column(heading, justify="right")
    types = profile.by_type()
    for entry in types[:_TYPES]:
        share = f"{entry.ms / profile.inference_ms:.0%}"
        table.add_row(entry.type, entry.family, str(entry.count), f"{entry.ms:.2f}", share)
    rest = types[_TYPES:]
    if rest:
        ms = sum(entry.ms for entry in rest)
        count = str(sum(entry.count for entry in rest))
        share = f"{ms / profile.inference_ms:.0%}"
        table.add_row(f"{len(rest)} more types", "", count, f"{ms:.2f}", share)
    table.add_section()
    for index in profile.slowest()[:_OPERATORS]:
        operator, ms = profile.trace.operators[index], profile.operator_ms[index]
        share = f"{ms / profile.inference_ms:.0%}"
        table.add_row(operator.name, operator.module or "-", "", f"{ms:.2f}", share)
    return table


def notes(profile: Profile) -> Iterator[str]:
    """What to know of a profile, a line each."""
    placement = profile.placement
    partitions = placement.partitions
    pieces = "" if partitions is None else f" in {partitions} piece{'s'[: partitions != 1]}"
    outside = ", ".join(f"{name} x{count}" for name, count in sorted(placement.outside.items()))
    yield f"{placement.accelerator}{pieces}; outside: {outside or 'nothing'}"
    rough = slowdown_note(profile.slowdown)
    if rough is not None:
        yield rough
    yield from profile.trace.remarks


def slowdown_note(slowdown: float) -> str | None:
    """A sentence where profiled inferences took much longer than timed ones; else None."""
    if slowdown <= _MUCH_SLOWER:
        return None
    return (
        f"the profiled inferences took {slowdown:.2f} times the timed ones, by the profiler or a "
        "busy machine: take the shares as rough"
    )

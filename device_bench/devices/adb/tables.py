"""Statistics of tools and facts about the devices, which the tables of a report lack."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from device_bench.devices.adb.results import device_names
from device_bench.devices.adb.runner import DeviceRun
from device_bench.devices.adb.tool_output import ToolOutput

if TYPE_CHECKING:
    from rich.table import Table

_STATISTICS = ("mean", "std", "min", "median", "p90", "p95", "p99", "max")


def tool_table(runs: Sequence[DeviceRun], *, threads: int) -> Table | None:
    """The statistics of tools that report no single inferences; None if there are none."""
    from rich.table import Table
    from rich.text import Text

    outputs = [(run, run.output) for run in runs if isinstance(run.output, ToolOutput)]
    if not outputs:
        return None
    title = f"reported by the runtime's own tool, {threads} thread{'s' if threads > 1 else ''}, ms"
    table = Table(title=title, title_justify="left")
    table.add_column("artifact", overflow="fold")
    for heading in ("on", "tool"):
        table.add_column(heading)
    columns = [
        name for name in _STATISTICS if any(name in output.statistics_ms for _, output in outputs)
    ]
    for heading in ("runs", "load", "first", *columns):
        table.add_column(heading, justify="right")
    names = device_names(runs)
    for run, output in outputs:
        times = [output.load_ms, output.first_ms, *map(output.statistics_ms.get, columns)]
        table.add_row(
            Text(run.artifact.path.name),
            Text(names[run.device.serial]),
            run.runner,
            str(output.runs),
            *("-" if ms is None else f"{ms:.2f}" for ms in times),
        )
    return table


def device_lines(runs: Sequence[DeviceRun]) -> Iterator[str]:
    """One line per device, then one line per run about its battery and temperature."""
    names = device_names(runs)
    for device in dict.fromkeys(run.device for run in runs):
        clusters = " + ".join(
            f"{c.cores}x {c.max_mhz or '?'} MHz ({c.governor or 'unknown governor'})"
            for c in device.clusters
        )
        yield (
            f"{names[device.serial]}: {device.soc}, Android {device.android} (API {device.api}), "
            f"{clusters or 'unknown cores'}"
        )
        for run in runs:
            if run.device == device:
                yield f"  {run.artifact.path.name}, {run.runtime}: {_state_changes(run)}"


def _state_changes(run: DeviceRun) -> str:
    before, after = run.cooled.state, run.after
    parts = [
        f"battery {_or_unknown(before.battery_percent)}%, {_or_unknown(before.battery_celsius)} "
        f"to {_or_unknown(after.battery_celsius)} °C"
    ]
    if before.thermal_status is not None:
        parts.append(
            f"thermal status {before.thermal_status} to {_or_unknown(after.thermal_status)}"
        )
    if run.cooled.seconds >= 1:
        parts.append(f"cooled down for {run.cooled.seconds:.0f} s")
    if run.energy is not None:
        parts.append(f"{run.energy.watts:.1f} W, {run.energy.millijoules:.1f} mJ per inference")
    return ", ".join(parts)


def _or_unknown(value: object) -> str:
    return "?" if value is None else str(value)

"""Result files and tables: the same figures for machines and for people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from device_bench.environment import describe
from device_bench.host import Measurement
from device_bench.profile.summary import Profile
from device_bench.protocol import Protocol
from device_bench.statistics import CONFIDENCE

if TYPE_CHECKING:
    from rich.table import Table

SCHEMA = 1


def to_json(
    measurements: list[Measurement],
    profiles: Mapping[int, Profile],
    *,
    threads: int,
    rule: Protocol,
) -> dict[str, Any]:
    """The result file: raw samples included, with a schema version.

    Args:
        measurements: in the order of the tables.
        profiles: of those that were profiled, by their numbers in the tables.
        threads: of every runtime.
        rule: what validity was judged by.
    """
    return {
        "schema": SCHEMA,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "environment": describe(),
        "protocol": {**asdict(rule), "threads": threads, "confidence": CONFIDENCE},
        "results": [_entry(m, profiles.get(n)) for n, m in enumerate(measurements, start=1)],
    }


def _entry(m: Measurement, profile: Profile | None) -> dict[str, Any]:
    manifest = m.contestant.artifact.manifest
    return {
        "artifact": str(m.contestant.artifact.path),
        "backend": m.contestant.backend,
        "task": manifest["task"],
        "input": manifest["inputs"][0]["shape"],
        "sha256": manifest["file"]["sha256"],
        "file_bytes": manifest["file"]["bytes"],
        "macs": manifest["macs"],
        "parameters": manifest["parameters"],
        "valid": m.valid,
        "reasons": list(m.reasons),
        "cold_start": asdict(m.cold),
        "latency_ms": m.summary.to_dict(),
        "speedup_over_first": None if m.ratio is None else asdict(m.ratio),
        "gmacs_per_second": m.gmacs_per_second,
        "preprocess_ms": m.preprocess_ms,
        "postprocess_ms": m.postprocess_ms,
        "samples_ms": [round(float(sample), 4) for sample in m.samples_ms],
        "profile": None if profile is None else profile.to_dict(),
    }


def latency_table(measurements: list[Measurement], *, threads: int) -> Table:
    """Steady-state latency, and the ratio to the first artifact where there are several.

    Rows are numbered in the order of `measurements`.
    """
    from rich.table import Table

    several = len(measurements) > 1
    table = Table(title=f"latency, {threads} thread{'s' if threads > 1 else ''}, ms")
    table.title_justify = "left"
    table.add_column("")
    for heading in ("median [95% CI]", "p90", "p99", "inf/s", "GMAC/s"):
        table.add_column(heading, justify="right")
    if several:
        table.add_column("speed-up [95% CI]", justify="right")
    table.add_column("valid")
    for number, m in enumerate(measurements, start=1):
        s = m.summary
        row = [
            str(number),
            f"{s.median.value:.1f} [{s.median.low:.1f}, {s.median.high:.1f}]",
            f"{s.p90:.1f}",
            f"{s.p99:.1f}",
            f"{s.per_second:.1f}",
            f"{m.gmacs_per_second:.1f}",
        ]
        if several:
            r = m.ratio
            row.append("1" if r is None else f"{r.value:.2f} [{r.low:.2f}, {r.high:.2f}]")
        table.add_row(*row, "yes" if m.valid else "no")
    return table


def cost_table(measurements: list[Measurement]) -> Table:
    """What it takes beside steady-state inference; rows numbered as in `latency_table`."""
    from rich.table import Table

    table = Table(title="around it", title_justify="left")
    table.add_column("")
    for heading in ("load ms", "first ms", "pre ms", "post ms", "memory MB", "file MB", "GMAC"):
        table.add_column(heading, justify="right")
    table.add_column("sha256")
    for number, m in enumerate(measurements, start=1):
        manifest = m.contestant.artifact.manifest
        which = "reference" if m.contestant.backend == "torch" else "artifact"
        table.add_row(
            str(number),
            f"{m.cold.load_ms:.0f}",
            f"{m.cold.first_ms:.0f}",
            f"{m.preprocess_ms:.1f}",
            "-" if m.postprocess_ms is None else f"{m.postprocess_ms:.1f}",
            f"{m.cold.memory_bytes / 1e6:.0f}",
            f"{manifest['file']['bytes'] / 1e6:.1f}",
            f"{manifest['macs'][which] / 1e9:.2f}",
            manifest["file"]["sha256"][:12],
        )
    return table

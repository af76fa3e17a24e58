"""When, where and under which preset a file of measurements was made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

from device_bench.measure.config import BenchConfig
from device_bench.measure.environment import host_environment
from device_bench.measure.preset import BenchmarkPreset
from device_bench.measure.statistics import CONFIDENCE, finite_number


@dataclass(frozen=True)
class RunInfo:
    """The part that all files of measurements have in common.

    Attributes:
        created: ISO 8601 time in UTC.
        environment: hardware and versions, JSON values; see `host_environment`.
        preset: decides whether a result is valid.
        threads: of the runtime.
    """

    created: str
    environment: Mapping[str, Any]
    preset: BenchmarkPreset
    threads: int

    @classmethod
    def now(cls, config: BenchConfig) -> Self:
        """Describe a run on this machine that ends now."""
        return cls(
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            environment=host_environment(),
            preset=config.preset,
            threads=config.threads,
        )

    def to_dict(self, schema: int) -> dict[str, Any]:
        """The first fields of a file with this schema version."""
        return {
            "schema": schema,
            "created": self.created,
            "environment": dict(self.environment),
            "protocol": {
                "name": self.preset.name,
                "runs": self.preset.min_runs,
                "seconds": self.preset.min_seconds,
                "threads": self.threads,
                "confidence": CONFIDENCE,
            },
        }

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Self:
        """Inverse of `to_dict`.

        Raises:
            LookupError, TypeError, ValueError, OverflowError: the data is damaged.
        """
        protocol = stored["protocol"]
        return cls(
            created=str(stored["created"]),
            environment=dict(stored["environment"]),
            preset=BenchmarkPreset(
                name=str(protocol["name"]),
                min_runs=int(protocol["runs"]),
                min_seconds=finite_number(protocol["seconds"]),
            ),
            threads=int(protocol["threads"]),
        )

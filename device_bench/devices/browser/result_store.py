"""Browsers' results, joined with those of a result file that is there already."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from device_bench.measure.host import Measurement
from device_bench.measure.preset import Protocol
from device_bench.measure.statistics import latency_ratio
from device_bench.results.read import ResultFile, parse_results, read_results
from device_bench.results.write import to_json, write_results
from lvt.errors import UserError


class ResultLog:
    """One result file that grows by what every browser sends.

    Args:
        file: to write; results that stand in it are kept. None: nothing is written.
        threads: of every runtime, as asked for.
        rule: what validity is judged by.

    Raises:
        UserError: the file is no result file, or was measured under another protocol.
    """

    def __init__(self, file: Path | None, *, threads: int, rule: Protocol):
        self._file, self._threads, self._rule = file, threads, rule
        self._data: dict[str, Any] | None = None
        if file is not None and file.exists():
            earlier = read_results(file)
            if (earlier.protocol, earlier.threads) != (rule, threads):
                raise UserError(
                    f"{file} was measured with --preset {earlier.protocol.name} and --threads "
                    f"{earlier.threads}: use the same, or give another file"
                )
            self._data = json.loads(file.read_text("utf-8-sig"))

    def add(self, measured: list[Measurement]) -> tuple[ResultFile, ResultFile]:
        """Adds what one browser measured, and writes the file.

        Ratios inside one browser are of interleaved rounds. Where the file's first result comes
        from elsewhere, ratios to it are of separate runs, and their intervals know that.

        Returns:
            What was added by itself, and the whole file.
        """
        new = to_json(measured, threads=self._threads, rule=self._rule)
        added = parse_results(new, "the browser's measurement")
        if self._data is None:
            data = new
        else:
            first = parse_results(self._data, "the results so far").results[0]
            entries = [dict(entry) for entry in new["results"]]
            for entry, result in zip(entries, added.results, strict=True):
                ratio = latency_ratio(result.samples_ms, first.samples_ms)
                entry["speedup_over_first"] = vars(ratio)
            data = self._data | {"results": [*self._data["results"], *entries]}
        whole = parse_results(data, "the results")
        self._data = data
        if self._file is not None:
            write_results(self._file, data)
        return added, whole

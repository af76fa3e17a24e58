"""Reads the log of LiteRT's GPU accelerator: the device, and the operators that it refuses."""

from __future__ import annotations

import re
from dataclasses import dataclass

_ADAPTER = re.compile(r"Selected adapter: (?P<name>.*), arch=.*adapterType=(?P<type>.*)")
_SPLIT = re.compile(
    r"(?P<gpu>\d+) operations will run on the GPU, and the remaining (?P<cpu>\d+) operations"
)
_REFUSALS = "operations are not supported by GPU delegate:"
_REASON = re.compile(r"(?P<reason>[A-Z0-9_]{2,}: .*?)\.?( \S*;\d+)?$")
"""A refused operator, the reason, and sometimes the name of a tensor."""

_SHOWN_REFUSALS = 5
"""Number of reasons in a message."""

_MISMATCH = re.compile("Shape mismatch in GpuModelBuilder")


@dataclass(frozen=True)
class GpuLog:
    """What the log of one process says.

    Attributes:
        adapter: name of the device; None if the accelerator found none.
        software: whether the device is a program on the CPU.
        refusals: refused operators with the reason, in the accelerator's words, each once.
        outside: operators that would run on the CPU: those refused, and all after them.
        mismatches: operators whose result has another shape than the file says. The accelerator
            only warns of them, and computes something else.
    """

    adapter: str | None
    software: bool
    refusals: tuple[str, ...]
    outside: int
    mismatches: int

    @property
    def problems(self) -> list[str]:
        """Why the accelerator does not run the file as it should, one phrase each."""
        phrases = []
        if self.outside:
            phrases.append(f"{self.outside} operators not on the GPU")
        if self.refusals:
            shown, more = self.refusals[:_SHOWN_REFUSALS], len(self.refusals) - _SHOWN_REFUSALS
            listed = [*shown, f"{more} more reasons"] if more > 0 else shown
            phrases.append(f"refused: {', '.join(listed)}")
        if self.mismatches:
            phrases.append(f"{self.mismatches} operators computed in another shape than the file's")
        return phrases


def read_log(text: str) -> GpuLog:
    """Reads a whole log."""
    adapter = _ADAPTER.search(text)
    refusals: dict[str, None] = {}
    listing = False
    outside = 0
    for line in text.splitlines():
        if split := _SPLIT.match(line):
            outside += int(split["cpu"])
            listing = False
        elif line.endswith(_REFUSALS):
            listing = True
        elif listing and (reason := _REASON.match(line)):
            refusals[reason["reason"]] = None
    return GpuLog(
        adapter=adapter["name"] if adapter else None,
        software=adapter is not None and adapter["type"].startswith("CPU"),
        refusals=tuple(refusals),
        outside=outside,
        mismatches=len(_MISMATCH.findall(text)),
    )

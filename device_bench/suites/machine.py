"""Names and describes the machine that a suite runs on."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

_ZEN = {("AuthenticAMD", "26"): "Zen 5"}
"""Vendor and family of processors whose marketing name in virtual machines is only "AMD EPYC"."""
_INSTRUCTIONS = {
    "AVX-512": "avx512f",
    "VNNI": "avx512_vnni",
    "AVX2": "avx2",
    "SVE2": "sve2",
    "SMMLA": "i8mm",
    "SDOT": "asimddp",
}
"""Instruction sets that decide about the speed of kernels, and their flags in /proc/cpuinfo."""


@dataclass(frozen=True)
class Machine:
    """A machine, as records and pages name it.

    Attributes:
        name: folder of its records.
        processor: with the microarchitecture, if known.
        cores: number of logical processors.
        instructions: instruction sets that decide about speed.
    """

    name: str
    processor: str
    cores: int
    instructions: tuple[str, ...]

    def __str__(self) -> str:
        cores = f"{self.cores} core{'s'[: self.cores != 1]}"
        return ", ".join([self.processor, cores, *self.instructions])

    @classmethod
    def from_dict(cls, stored: dict[str, Any]) -> Self:
        """From the form stored in records.

        Raises:
            LookupError, TypeError, ValueError: the data is damaged.
        """
        return cls(
            name=str(stored["name"]),
            processor=str(stored["processor"]),
            cores=int(stored["cores"]),
            instructions=tuple(map(str, stored["instructions"])),
        )


def this_machine(name: str | None = None) -> Machine:
    """Describe this machine.

    Args:
        name: of its folder; None: made of processor, cores and instruction sets.
    """
    try:
        cpuinfo = Path("/proc/cpuinfo").read_text("utf-8", errors="replace")
    except OSError:  # not Linux
        cpuinfo = ""
    return describe(cpuinfo, os.cpu_count() or 1, name)


def describe(cpuinfo: str, cores: int, name: str | None = None) -> Machine:
    """Describe a machine by the text of its /proc/cpuinfo; empty: a system without one."""
    from device_bench.measure.environment import host_environment

    first = {  # the entries of the first processor
        key.strip(): value.strip()
        for key, colon, value in (line.partition(":") for line in reversed(cpuinfo.splitlines()))
        if colon
    }
    processor = first.get("model name") or str(host_environment()["processor"])
    zen = _ZEN.get((first.get("vendor_id", ""), first.get("cpu family", "")))
    if zen and zen not in processor:
        processor = f"{processor} ({zen})"
    flags = set((first.get("flags") or first.get("Features") or "").split())
    instructions = [label for label, flag in _INSTRUCTIONS.items() if flag in flags]
    if "AVX-512" in instructions:
        instructions.remove("AVX2")  # implied
    return Machine(
        name=name or slug([processor, f"{cores}c", *instructions]),
        processor=processor,
        cores=cores,
        instructions=tuple(instructions),
    )


def slug(parts: Iterable[str]) -> str:
    """Lower-case words with hyphens between, for the name of a folder."""
    words = [re.sub(r"[^a-z0-9]+", "-", part.lower()) for part in parts if part]
    return "-".join(word.strip("-") for word in words)

"""The processors that are emulated, and which kernels of the runtimes each selects."""

from __future__ import annotations

from dataclasses import dataclass

from lvt.errors import UserError


@dataclass(frozen=True)
class Cpu:
    """One processor.

    Attributes:
        name: as QEMU calls it.
        part: of ARM's, as it tells in /proc/cpuinfo; XNNPACK and ONNX Runtime have kernels for
            single cores. None of an x86 processor.
        kernels: what the int8 kernels multiply with, which the runtimes choose by features.
    """

    name: str
    part: int | None
    kernels: str


CPUS: dict[str, Cpu] = {
    cpu.name: cpu
    for cpu in (
        Cpu("cortex-a53", 0xD03, "NEON"),
        Cpu("cortex-a76", 0xD0B, "SDOT"),
        Cpu("cortex-a710", 0xD47, "SMMLA, SVE2"),
        Cpu("max", 0xD47, "SME"),
        Cpu("Haswell", None, "AVX2"),
    )
}
"""ARM's, one of each generation: entry phones, 2018, 2021, and everything that QEMU knows; and an
x86 processor without VNNI, whose int8 kernels add pairs of products in 16 bits."""


def chosen_cpus(names: list[str] | None) -> list[Cpu]:
    """The processors of these names; without names, all.

    Raises:
        UserError: an unknown name.
    """
    for name in names or []:
        if name not in CPUS:
            raise UserError(f"unknown processor {name!r}; choose among {', '.join(CPUS)}")
    return [CPUS[name] for name in names or CPUS]

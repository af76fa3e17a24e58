"""Emulated processors, and the kernels that runtimes select on each."""

from __future__ import annotations

from dataclasses import dataclass

from lvt.errors import UserError


@dataclass(frozen=True)
class Cpu:
    """One processor.

    Attributes:
        name: name of the QEMU model.
        part: ARM part number for /proc/cpuinfo, because XNNPACK and ONNX Runtime have kernels for
            particular cores. None for x86 processors.
        kernels: instructions of the int8 kernels that the runtimes select.
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
"""One ARM core per generation (entry phones, 2018, 2021, all features of QEMU), and an x86
processor without VNNI, whose int8 kernels add pairs of products in 16 bits."""


def chosen_cpus(names: list[str] | None) -> list[Cpu]:
    """The processors with these names; all without names.

    Raises:
        UserError: an unknown name.
    """
    for name in names or []:
        if name not in CPUS:
            raise UserError(f"unknown processor {name!r}; choose among {', '.join(CPUS)}")
    return [CPUS[name] for name in names or CPUS]

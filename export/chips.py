"""The Snapdragon chips that graphs can be compiled for. Imports nothing heavy."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from lvt.errors import UserError

ALL_CHIPS = "all"

WIDE_PRODUCTS_ARCH = 73
"""The first HTP that multiplies two activations of 16 bits."""


@dataclass(frozen=True)
class Chip:
    """A system on a chip and its NPU.

    Attributes:
        soc: its model number, as Android tells it in `Build.SOC_MODEL`, in lower case.
        name: its name in shops.
        soc_model: its number in Qualcomm's QAIRT.
        htp_arch: version of its NPU.
        vtcm_mb: the NPU's own memory, in MB.
    """

    soc: str
    name: str
    soc_model: int
    htp_arch: int
    vtcm_mb: int = 8

    @property
    def folder(self) -> str:
        """Folder of its compiled context in an artifact."""
        return self.soc

    def to_dict(self) -> dict[str, Any]:
        """The manifest's entry."""
        return asdict(self)


CHIPS: dict[str, Chip] = {
    chip.soc: chip
    for chip in (
        Chip("sm8450", "Snapdragon 8 Gen 1", 36, 69),
        Chip("sm8475", "Snapdragon 8+ Gen 1", 42, 69),
        Chip("sm8550", "Snapdragon 8 Gen 2", 43, 73),
        Chip("sm8650", "Snapdragon 8 Gen 3", 57, 75),
        Chip("sm8750", "Snapdragon 8 Elite", 69, 79),
        Chip("sm8845", "Snapdragon 8 Gen 5", 97, 81),
        Chip("sm8850", "Snapdragon 8 Elite Gen 5", 87, 81),
    )
}
"""By model number, oldest first."""


def find_chips(names: Sequence[str]) -> tuple[Chip, ...]:
    """The chips of some model numbers or names, without repetition; `all` stands for all of them.

    Raises:
        UserError: an unknown chip.
    """
    if ALL_CHIPS in names:
        return tuple(CHIPS.values())
    return tuple(dict.fromkeys(_find_chip(name) for name in names))


def check_device_chip(artifact: str, entries: Sequence[Mapping[str, Any]], device_soc: str) -> None:
    """Checks that an artifact is compiled for the chip of a device: another chip's does not run.

    Args:
        artifact: its name in the error.
        entries: the chips of its manifest.
        device_soc: maker and model number, as the device tells them, such as `QTI SM8650-AC`.

    Raises:
        UserError: it is for other chips.
    """
    words = re.findall(r"\w+", device_soc.lower())
    if any(entry["soc"] in words for entry in entries):
        return
    compiled = ", ".join(f"{entry['soc']} ({entry['name']})" for entry in entries)
    known = next((word for word in words if word in CHIPS), None)
    hint = f": export it with --soc {known}" if known else ""
    raise UserError(
        f"{artifact} is compiled for {compiled}, and the device's chip is {device_soc}{hint}"
    )


def _find_chip(name: str) -> Chip:
    wanted = _plain(name)
    for chip in CHIPS.values():
        if wanted in (chip.soc, _plain(chip.name)):
            return chip
    raise UserError(f"--soc {name}: unknown chip; known: {chip_list()}")


def _plain(name: str) -> str:
    """A name without what people write in different ways."""
    return name.lower().replace("snapdragon", "").replace("-", "").replace(" ", "")


def chip_list() -> str:
    """All chips in one line, for help and errors."""
    chips = (f"{chip.soc} ({chip.name}, v{chip.htp_arch})" for chip in CHIPS.values())
    return f"{', '.join(chips)}, {ALL_CHIPS}"

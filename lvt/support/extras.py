"""Errors for features whose extra is not installed, or cannot be on this Python or system."""

from __future__ import annotations

import platform
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from lvt.errors import UserError


@dataclass(frozen=True)
class Limit:
    """Where an extra can be installed, if not everywhere.

    Attributes:
        reason: the message, with `{python}` for the version that runs.
        python: the first Python on which it cannot; None if there is none.
        system: `sys.platform` and the machine on which alone it can; None for all.
    """

    reason: str
    python: tuple[int, int] | None = None
    system: tuple[str, str] | None = None

    def excludes(self, python: tuple[int, int], system: tuple[str, str]) -> bool:
        """Whether the extra cannot be installed on a Python and a system."""
        return (self.python is not None and python >= self.python) or (
            self.system is not None and system != self.system
        )


LIMITS = {
    "coreml": Limit(
        "Core ML needs Python 3.11 to 3.13: coremltools has no wheel for {python}", python=(3, 14)
    ),
    "qnn": Limit(
        "QNN needs Linux on x86-64, where its software model of the NPU runs",
        system=("linux", "x86_64"),
    ),
}
"""By extra; a test compares them with the markers in pyproject.toml."""


def missing_extra(feature: str, extras: Sequence[str]) -> UserError:
    """The error for a feature whose extras are not installed."""
    python, system = sys.version_info[:2], (sys.platform, platform.machine())
    for extra in extras:
        if extra in LIMITS and LIMITS[extra].excludes(python, system):
            reason = LIMITS[extra].reason.format(python=f"{python[0]}.{python[1]}")
            return UserError(f"{feature}: {reason}")
    names = ",".join(dict.fromkeys(extras))
    return UserError(f"{feature}: an extra is not installed: pip install 'lvt-mobile[{names}]'")

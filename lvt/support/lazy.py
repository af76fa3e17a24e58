"""Package attributes that are imported on first use.

`import export` must stay fast: every `--help` runs it, and torch takes seconds to import.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any


def lazy_attributes(package: str, modules: Mapping[str, str]) -> Callable[[str], Any]:
    """A module `__getattr__` that imports attributes from other modules on first use.

    Args:
        package: `__name__` of the package.
        modules: name of the attribute to the module that defines it.
    """

    def load(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(importlib.import_module(modules[name]), name)

    return load

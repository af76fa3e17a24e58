"""The target formats as one table of data; each target's module is imported when it is used."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast

import numpy as np
from numpy.typing import NDArray
from torch import nn

from export.panoptic.graph import RoIAlign
from export.session import Outputs, Session
from lvt.config import TASKS, Task
from lvt.errors import UserError
from lvt.models import ModelSpec
from lvt.preprocessing import Size


class Target(Protocol):
    """What a target's module provides.

    Attributes:
        roi_align: the form of RoIAlign that suits the target.
    """

    roi_align: RoIAlign

    def write(
        self, model: nn.Module, spec: ModelSpec, size: Size, path: Path, metadata: dict[str, str]
    ) -> None:
        """Converts `model` for images of `size` and writes the file with `metadata` inside."""
        ...

    def open_session(self, path: Path, *, threads: int = 0) -> Session:
        """Opens a written file in its runtime; 0 threads leaves the choice to the runtime."""
        ...

    def module_outputs(self, path: Path, image: NDArray[np.float32], names: list[str]) -> Outputs:
        """Outputs of inner modules of the written file, for those `names` it can still tell."""
        ...

    def versions(self) -> dict[str, str]:
        """Versions of the converter and the runtime."""
        ...


@dataclass(frozen=True)
class TargetInfo:
    """One row of the capability table.

    Attributes:
        name: as it is called on the command line.
        suffix: of the files it writes.
        runtime: what runs them, as `lvt-bench --backend` calls it.
        tasks: what can be exported to it.
    """

    name: str
    suffix: str
    runtime: str
    tasks: tuple[Task, ...]


TARGETS: dict[str, TargetInfo] = {
    info.name: info for info in (TargetInfo("onnx", ".onnx", "onnxruntime", TASKS),)
}


def target_info(name: str) -> TargetInfo:
    """The row of the table.

    Raises:
        UserError: no such target.
    """
    try:
        return TARGETS[name]
    except KeyError:
        raise UserError(f"unknown target {name!r}; known: {', '.join(TARGETS)}") from None


def check_task(info: TargetInfo, task: Task) -> None:
    """Refuses a task that the target does not take.

    Raises:
        UserError: names the tasks it does.
    """
    if task not in info.tasks:
        raise UserError(f"{info.name} does not take {task} models; only {', '.join(info.tasks)}")


def load_target(name: str) -> Target:
    """The module behind a target (a heavy import)."""
    return cast(Target, importlib.import_module(f"export.targets.{target_info(name).name}"))

"""Calls of a model file in the emulated machine."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from export.artifact.reader import Artifact
from export.panoptic.parts.session import Call, Calls
from export.session import Outputs
from export.verify.arm import remote_runner
from export.verify.arm.cpus import Cpu
from export.verify.arm.machine import ArmMachine

T = TypeVar("T")


@dataclass(frozen=True)
class EmulatedFile:
    """A model file on an emulated processor."""

    artifact: Artifact
    machine: ArmMachine
    cpu: Cpu

    def call(self, entry_point: str, calls: Sequence[dict[str, Any]]) -> list[Outputs]:
        """Calls an entry point once for each of the inputs, in one process; "" is the only one.

        Raises:
            RuntimeError: see `ArmMachine.run`.
        """
        model, target = self.artifact.path.resolve(), self.artifact.target
        if entry_point and target == "onnx":
            from export.targets.onnx.convert import part_path

            model = part_path(model, entry_point)
        with tempfile.TemporaryDirectory() as folder:
            inputs, results = Path(folder, "inputs.npz"), Path(folder, "outputs.npz")
            arrays = {
                f"{number}/{key}": value
                for number, call in enumerate(calls)
                for key, value in call.items()
            }
            np.savez(inputs, **arrays)
            script = Path(remote_runner.__file__).resolve()
            self.machine.run(self.cpu, script, [target, model, entry_point, inputs, results])
            outputs: list[Outputs] = [{} for _ in calls]
            with np.load(results) as values:
                for key in values.files:
                    number, name = key.split("/")
                    outputs[int(number)][name] = values[key]
        return outputs


def in_lockstep(
    programs: Sequence[Calls[T]],
    call_all: Callable[[str, Sequence[dict[str, Any]]], list[Outputs]],
) -> list[T]:
    """The results of several programs, with equal calls of all of them made together.

    Args:
        programs: not started.
        call_all: calls an entry point once for each of the inputs.
    """
    results: dict[int, T] = {}
    waiting: dict[int, Call] = {number: next(program) for number, program in enumerate(programs)}
    while waiting:
        by_entry_point: defaultdict[str, list[int]] = defaultdict(list)
        for number, (name, _inputs) in waiting.items():
            by_entry_point[name].append(number)
        name, numbers = next(iter(by_entry_point.items()))
        outputs = call_all(name, [waiting.pop(number)[1] for number in numbers])
        for number, output in zip(numbers, outputs, strict=True):
            try:
                waiting[number] = programs[number].send(output)
            except StopIteration as finished:
                results[number] = finished.value
    return [results[number] for number in range(len(programs))]

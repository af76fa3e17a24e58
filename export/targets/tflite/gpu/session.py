"""A .tflite on LiteRT's GPU accelerator behind the session protocols, in a process of its own."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from export.capabilities import Precision
from export.errors import ExportError
from export.session import Outputs
from export.targets.tflite.convert import MAIN_SIGNATURE
from export.targets.tflite.gpu import worker
from export.targets.tflite.gpu.log import GpuLog, read_log
from export.targets.tflite.session import nhwc

_PARTIAL = "Some ops are not accelerated"
"""The beginning of LiteRT's error if operators remain for the CPU."""


class GpuError(ExportError):
    """The accelerator refuses the file, or its process crashed. The message has the log's reasons.

    Attributes:
        log: what its log says.
    """

    def __init__(self, message: str, log: GpuLog) -> None:
        super().__init__("; ".join([message, *log.problems]))
        self.log = log


class GpuFile:
    """A file that is compiled for the GPU; a context manager that ends the process.

    It is an `EntryPointSession` whose entry points are the signatures.

    Args:
        path: the file.
        precision: of the arithmetic.
        environment: further environment variables, which choose the device.

    Raises:
        GpuError: the accelerator does not take the whole file, or crashes.
    """

    def __init__(self, path: Path, precision: Precision, environment: Mapping[str, str]) -> None:
        self._log_file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `close`
        command = [sys.executable, "-P", worker.__file__, str(path), precision]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log_file,
            env=os.environ | environment,
        )
        self._path = path
        try:
            self._answer("compiling")
        except BaseException:
            self.close()
            raise

    @property
    def log(self) -> GpuLog:
        """What the log says so far."""
        self._log_file.seek(0)
        return read_log(self._log_file.read().decode(errors="replace"))

    def call(self, name: str, inputs: Mapping[str, NDArray[np.float32]]) -> Outputs:
        """See `export.session.EntryPointSession.call`.

        Raises:
            GpuError: the accelerator fails or crashes.
        """
        assert self._process.stdin is not None
        arrays = {key: nhwc(value) if key == "image" else value for key, value in inputs.items()}
        with suppress(BrokenPipeError):  # `_answer` says why
            pickle.dump((name, arrays), self._process.stdin)
            self._process.stdin.flush()
        outputs: Outputs = self._answer(f"running {name}")
        return outputs

    def close(self) -> None:
        """Ends the process."""
        self._process.kill()
        self._process.communicate()
        self._log_file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _answer(self, step: str) -> Any:
        """The value of the next answer.

        Args:
            step: what the process does meanwhile, for the message.
        """
        assert self._process.stdout is not None
        try:
            kind, value = pickle.load(self._process.stdout)
        except (EOFError, pickle.UnpicklingError):
            code = self._process.wait()
            raise GpuError(f"LiteRT's GPU process {_end(code)} while {step}", self.log) from None
        if kind == "error":
            raise GpuError(
                f"LiteRT's GPU accelerator fails while {step}: {_reason(value)}", self.log
            )
        return value


class GpuSession:
    """A file of the whole model as a `Session`.

    Args:
        file: the compiled file.
        outputs: names of the outputs, in the model's order.
    """

    def __init__(self, file: GpuFile, outputs: list[str]) -> None:
        self._file, self._outputs = file, outputs

    def run(self, image: NDArray[np.float32]) -> Outputs:
        """See `export.session.Session.run`.

        Raises:
            GpuError: the accelerator fails or crashes.
        """
        outputs = self._file.call(MAIN_SIGNATURE, {"image": image})
        return {name: outputs[name] for name in self._outputs}


def _reason(message: str) -> str:
    """The reason in an error of LiteRT, whose first line is a place in its source."""
    if _PARTIAL in message:
        return "it does not take the whole file"
    return message.strip().splitlines()[-1].lstrip("└ ")


def _end(code: int) -> str:
    """How a process ended, for messages."""
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"crashed ({signal.Signals(-code).name})"
    except ValueError:
        return f"crashed (signal {-code})"

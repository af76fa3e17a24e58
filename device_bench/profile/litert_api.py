"""LiteRT's compiled model with its profiler, through the C library in its wheel.

The Python interface of the wheel does not offer the profiler, the C interface does. Signatures and
records are those of ai-edge-litert 2.3.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import ExitStack
from ctypes import POINTER, byref, c_char_p, c_int, c_int64, c_size_t, c_uint64, c_void_p
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import ai_edge_litert
import numpy as np
from numpy.typing import NDArray

from lvt.errors import UserError

OPERATOR = 2
DELEGATE_OPERATORS = (4, 8)
"""Kinds of records: an operator of the interpreter, and one inside a delegate."""

_CPU = 1
_LOCK_FOR_WRITING = 1
_TENSOR_TYPE_BYTES = 256
"""More than the size of LiteRtRankedTensorType, which is only passed from call to call."""

_Deleter = ctypes.CFUNCTYPE(None, c_void_p)
_NO_DELETER = _Deleter(lambda _: None)
"""For option texts, which Python owns and the library must not free."""

_HANDLE = POINTER(c_void_p)
_ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "LiteRtCreateEnvironment": (c_int, c_void_p, _HANDLE),
    "LiteRtCreateModelFromFile": (c_void_p, c_char_p, _HANDLE),
    "LiteRtCreateOptions": (_HANDLE,),
    "LiteRtSetOptionsHardwareAccelerators": (c_void_p, c_int),
    "LiteRtCreateOpaqueOptions": (c_char_p, c_void_p, _Deleter, _HANDLE),
    "LiteRtAddOpaqueOptions": (c_void_p, c_void_p),
    "LiteRtCreateCompiledModel": (c_void_p, c_void_p, c_void_p, _HANDLE),
    "LiteRtGetModelSignature": (c_void_p, c_size_t, _HANDLE),
    "LiteRtGetNumSignatureInputs": (c_void_p, POINTER(c_size_t)),
    "LiteRtGetNumSignatureOutputs": (c_void_p, POINTER(c_size_t)),
    "LiteRtGetSignatureInputTensorByIndex": (c_void_p, c_size_t, _HANDLE),
    "LiteRtGetSignatureOutputTensorByIndex": (c_void_p, c_size_t, _HANDLE),
    "LiteRtGetRankedTensorType": (c_void_p, c_void_p),
    "LiteRtGetCompiledModelInputBufferRequirements": (c_void_p, c_size_t, c_size_t, _HANDLE),
    "LiteRtGetCompiledModelOutputBufferRequirements": (c_void_p, c_size_t, c_size_t, _HANDLE),
    "LiteRtCreateManagedTensorBufferFromRequirements": (c_void_p, c_void_p, c_void_p, _HANDLE),
    "LiteRtGetTensorBufferSize": (c_void_p, POINTER(c_size_t)),
    "LiteRtLockTensorBuffer": (c_void_p, _HANDLE, c_int),
    "LiteRtUnlockTensorBuffer": (c_void_p,),
    "LiteRtRunCompiledModel": (c_void_p, c_size_t, c_size_t, c_void_p, c_size_t, c_void_p),
    "LiteRtCompiledModelGetProfiler": (c_void_p, _HANDLE),
    "LiteRtStartProfiler": (c_void_p,),
    "LiteRtStopProfiler": (c_void_p,),
    "LiteRtResetProfiler": (c_void_p,),
    "LiteRtGetNumProfilerEvents": (c_void_p, POINTER(c_int)),
    "LiteRtGetProfilerEvents": (c_void_p, c_int, c_void_p),
}
_DESTROYERS = (
    "LiteRtDestroyEnvironment",
    "LiteRtDestroyModel",
    "LiteRtDestroyOptions",
    "LiteRtDestroyCompiledModel",
    "LiteRtDestroyTensorBuffer",
)


class _EventRecord(ctypes.Structure):
    """`ProfiledEventData` of the C interface."""

    _fields_ = (
        ("tag", c_char_p),
        ("kind", c_int),
        ("start_us", c_uint64),
        ("elapsed_us", c_uint64),
        ("memory_before", c_int64 * 3),
        ("memory_after", c_int64 * 3),
        ("index", c_uint64),
        ("more", c_uint64),
        ("source", c_int),
    )


@dataclass(frozen=True)
class ProfilerEvent:
    """One record of the profiler.

    Attributes:
        type: name of the operator type in the runtime.
        kind: OPERATOR, one of DELEGATE_OPERATORS, or another kind of event.
        ms: duration, a multiple of a microsecond.
        index: of the operator in the file or in its delegate.
    """

    type: str
    kind: int
    ms: float
    index: int


def _library() -> ctypes.CDLL:
    """Load the C library and declare its functions.

    Raises:
        UserError: the installed ai-edge-litert has no such library, or one without the profiler.
    """
    folder = Path(ai_edge_litert.__file__).parent
    path = next(iter(sorted(folder.glob("libLiteRt.*"))), None)
    try:
        if path is None:
            raise AttributeError("no libLiteRt")
        library = ctypes.CDLL(str(path))
        for name, arguments in _ARGUMENTS.items():
            getattr(library, name).argtypes = arguments
        for name in _DESTROYERS:
            function = getattr(library, name)
            function.argtypes, function.restype = (c_void_p,), None
    except (AttributeError, OSError) as error:
        raise UserError(
            f"ai-edge-litert {version('ai-edge-litert')} has no profiler that --profile can read "
            f"({error}); install version 2.3"
        ) from error
    return library


class ProfiledModel:
    """A model file compiled by LiteRT for the CPU, with its profiler. A context manager.

    XNNPACK runs with the same options as in the interpreter of our sessions.
    """

    def __init__(self, path: Path, threads: int):
        self._library = _library()
        self._name = path.name
        self._handles = ExitStack()
        self._option_texts: list[ctypes.Array[ctypes.c_char]] = []
        try:
            self._open(path, threads)
        except BaseException:
            self._handles.close()
            raise

    def _open(self, path: Path, threads: int) -> None:
        environment = self._make("Environment", "LiteRtCreateEnvironment", 0, None)
        model = self._make("Model", "LiteRtCreateModelFromFile", environment, str(path).encode())
        options = self._make("Options", "LiteRtCreateOptions")
        self._call("LiteRtSetOptionsHardwareAccelerators", options, _CPU)
        self._add_option(options, b"runtime_options_string", b"enable_profiling = true\n")
        self._add_option(options, b"xnnpack", b"num_threads = %d\n" % threads)
        self._model = self._make(
            "CompiledModel", "LiteRtCreateCompiledModel", environment, model, options
        )
        self._profiler = self._get("LiteRtCompiledModelGetProfiler", self._model)
        signature = self._get("LiteRtGetModelSignature", model, 0)
        self._inputs = self._buffers("Input", environment, signature)
        self._outputs = self._buffers("Output", environment, signature)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._handles.close()

    def set_input(self, image: NDArray[np.float32]) -> None:
        """Copy the image to the input buffer.

        Args:
            image: contiguous, in the layout of the file.

        Raises:
            UserError: the file has another input size.
        """
        (buffer,) = self._inputs
        size, address = c_size_t(), c_void_p()
        self._call("LiteRtGetTensorBufferSize", buffer, byref(size))
        if size.value != image.nbytes:
            raise UserError(
                f"{self._name} takes an input of {size.value} bytes, not {image.nbytes}"
            )
        self._call("LiteRtLockTensorBuffer", buffer, byref(address), _LOCK_FOR_WRITING)
        ctypes.memmove(address, image.ctypes.data, image.nbytes)
        self._call("LiteRtUnlockTensorBuffer", buffer)

    def run(self) -> None:
        """Run one inference under the profiler."""
        self._call("LiteRtResetProfiler", self._profiler)
        self._call("LiteRtStartProfiler", self._profiler)
        self._call(
            "LiteRtRunCompiledModel",
            self._model,
            0,
            len(self._inputs),
            (c_void_p * len(self._inputs))(*(buffer.value for buffer in self._inputs)),
            len(self._outputs),
            (c_void_p * len(self._outputs))(*(buffer.value for buffer in self._outputs)),
        )
        self._call("LiteRtStopProfiler", self._profiler)

    def events(self) -> Iterator[ProfilerEvent]:
        """The records of the last inference, in order."""
        count = c_int()
        self._call("LiteRtGetNumProfilerEvents", self._profiler, byref(count))
        if not count.value:
            return
        records = (_EventRecord * count.value)()
        self._call("LiteRtGetProfilerEvents", self._profiler, count, records)
        for record in records:
            yield ProfilerEvent(
                record.tag.decode(), record.kind, record.elapsed_us / 1e3, int(record.index)
            )

    def _buffers(
        self, side: Literal["Input", "Output"], environment: c_void_p, signature: c_void_p
    ) -> list[c_void_p]:
        count = c_size_t()
        self._call(f"LiteRtGetNumSignature{side}s", signature, byref(count))
        buffers = []
        for index in range(count.value):
            tensor = self._get(f"LiteRtGetSignature{side}TensorByIndex", signature, index)
            tensor_type = ctypes.create_string_buffer(_TENSOR_TYPE_BYTES)
            self._call("LiteRtGetRankedTensorType", tensor, tensor_type)
            requirements = self._get(
                f"LiteRtGetCompiledModel{side}BufferRequirements", self._model, 0, index
            )
            create = "LiteRtCreateManagedTensorBufferFromRequirements"
            buffers.append(
                self._make("TensorBuffer", create, environment, tensor_type, requirements)
            )
        return buffers

    def _add_option(self, options: c_void_p, kind: bytes, text: bytes) -> None:
        """Pass one line of TOML to the library; the text must live as long as the options."""
        buffer = ctypes.create_string_buffer(text)
        self._option_texts.append(buffer)
        option = self._get(
            "LiteRtCreateOpaqueOptions", kind, ctypes.cast(buffer, c_void_p), _NO_DELETER
        )
        self._call("LiteRtAddOpaqueOptions", options, option)

    def _make(self, kind: str, function: str, *arguments: Any) -> c_void_p:
        """Create an object of the library that is destroyed with this one."""
        handle = self._get(function, *arguments)
        self._handles.callback(getattr(self._library, f"LiteRtDestroy{kind}"), handle)
        return handle

    def _get(self, function: str, *arguments: Any) -> c_void_p:
        """Call a function whose last parameter receives a handle."""
        handle = c_void_p()
        self._call(function, *arguments, byref(handle))
        return handle

    def _call(self, function: str, *arguments: Any) -> None:
        """Call a function of the library.

        Raises:
            UserError: it returned an error status.
        """
        status = getattr(self._library, function)(*arguments)
        if status:
            raise UserError(
                f"LiteRT cannot profile {self._name}: {function} failed with status {status}"
            )

"""LiteRT's compiled model with its profiler, through the C library that its wheel brings.

The wheel's Python has neither the profiler nor a switch for it; the C interface, exported under a
version of its own, has both. Signatures and records are those of ai-edge-litert 2.3.
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
"""Kinds of records: an operator of the interpreter's, and one inside a delegate."""

_CPU = 1
_LOCK_FOR_WRITING = 1
_TENSOR_TYPE_BYTES = 256
"""More than LiteRtRankedTensorType takes; it is only handed from call to call."""

_Deleter = ctypes.CFUNCTYPE(None, c_void_p)
_KEEP = _Deleter(lambda _: None)
"""Option texts belong to Python, not to the library."""

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


class _Record(ctypes.Structure):
    """ProfiledEventData of the C interface."""

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
class Event:
    """One record of the profiler.

    Attributes:
        type: as the runtime calls the operator.
        kind: OPERATOR, one of DELEGATE_OPERATORS, or bookkeeping.
        ms: how long it took, in whole microseconds.
        index: of the operator, in the file or in its delegate.
    """

    type: str
    kind: int
    ms: float
    index: int


def _library() -> ctypes.CDLL:
    """The C library with the types of what is called.

    Raises:
        UserError: this ai-edge-litert brings none, or one without the profiler.
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
            f"ai-edge-litert {version('ai-edge-litert')} does not bring the profiler that "
            f"--profile reads ({error}); 2.3 does"
        ) from error
    return library


class ProfiledModel:
    """A file on the CPU, as LiteRT compiles it, with its profiler. A context manager.

    XNNPACK takes it with the same options as in the interpreter that sessions use.
    """

    def __init__(self, path: Path, threads: int):
        self._library = _library()
        self._name = path.name
        self._owned = ExitStack()
        self._texts: list[ctypes.Array[ctypes.c_char]] = []
        try:
            self._open(path, threads)
        except BaseException:
            self._owned.close()
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
        self._owned.close()

    def set_input(self, image: NDArray[np.float32]) -> None:
        """Copies the image in.

        Args:
            image: in the file's own layout, contiguous.

        Raises:
            UserError: the file takes another amount of data.
        """
        (buffer,) = self._inputs
        size, address = c_size_t(), c_void_p()
        self._call("LiteRtGetTensorBufferSize", buffer, byref(size))
        if size.value != image.nbytes:
            raise UserError(f"{self._name} takes {size.value} bytes, not {image.nbytes}")
        self._call("LiteRtLockTensorBuffer", buffer, byref(address), _LOCK_FOR_WRITING)
        ctypes.memmove(address, image.ctypes.data, image.nbytes)
        self._call("LiteRtUnlockTensorBuffer", buffer)

    def run(self) -> None:
        """One inference, recorded."""
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

    def events(self) -> Iterator[Event]:
        """Records of the last inference, in order."""
        count = c_int()
        self._call("LiteRtGetNumProfilerEvents", self._profiler, byref(count))
        if not count.value:
            return
        records = (_Record * count.value)()
        self._call("LiteRtGetProfilerEvents", self._profiler, count, records)
        for record in records:
            yield Event(
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
            kind = ctypes.create_string_buffer(_TENSOR_TYPE_BYTES)
            self._call("LiteRtGetRankedTensorType", tensor, kind)
            needs = self._get(
                f"LiteRtGetCompiledModel{side}BufferRequirements", self._model, 0, index
            )
            create = "LiteRtCreateManagedTensorBufferFromRequirements"
            buffers.append(self._make("TensorBuffer", create, environment, kind, needs))
        return buffers

    def _add_option(self, options: c_void_p, kind: bytes, text: bytes) -> None:
        """Hands the library a line of TOML, which must live as long as the options."""
        buffer = ctypes.create_string_buffer(text)
        self._texts.append(buffer)
        entry = self._get("LiteRtCreateOpaqueOptions", kind, ctypes.cast(buffer, c_void_p), _KEEP)
        self._call("LiteRtAddOpaqueOptions", options, entry)

    def _make(self, kind: str, function: str, *arguments: Any) -> c_void_p:
        """An object of our own, destroyed with us."""
        handle = self._get(function, *arguments)
        self._owned.callback(getattr(self._library, f"LiteRtDestroy{kind}"), handle)
        return handle

    def _get(self, function: str, *arguments: Any) -> c_void_p:
        handle = c_void_p()
        self._call(function, *arguments, byref(handle))
        return handle

    def _call(self, function: str, *arguments: Any) -> None:
        status = getattr(self._library, function)(*arguments)
        if status:
            raise UserError(
                f"LiteRT cannot profile {self._name}: {function} failed with status {status}"
            )

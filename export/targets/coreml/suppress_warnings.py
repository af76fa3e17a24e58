"""Importing coremltools without its warnings, which users of lvt-mobile cannot act on."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from lvt.errors import UserError

# coremltools warns that Core ML is absent (on every Linux), that scikit-learn is too new, and that
# torch is newer than the version it was tested with. Importing it makes torch warn about torchao.
_LOGGERS = ("coremltools", "torch.utils._pytree")


@contextmanager
def suppress_warnings() -> Iterator[None]:
    """Suppresses log records below an error of coremltools and of the libraries that it imports."""

    def is_error(record: logging.LogRecord) -> bool:
        return record.levelno >= logging.ERROR

    loggers = [logging.getLogger(name) for name in _LOGGERS]
    for logger in loggers:
        logger.addFilter(is_error)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(is_error)


@contextmanager
def _without(module: str) -> Iterator[None]:
    """Lets a module look as if it were not installed, unless it is imported already."""
    if module in sys.modules:
        yield
        return
    sys.modules[module] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[module]


def import_coremltools() -> ModuleType:
    """Imports coremltools without its warnings, and without scikit-learn, whose models it converts.

    Raises:
        UserError: it is not installed.
    """
    try:
        with suppress_warnings(), _without("sklearn"):
            import coremltools
    except ImportError as error:
        raise UserError("Core ML needs coremltools: pip install 'lvt-mobile[coreml]'") from error
    return coremltools

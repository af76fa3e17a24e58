"""Importing coremltools without its warnings, none of which a user of ours can act on."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from lvt.errors import UserError

# It warns that Core ML itself is absent (true of every Linux), that scikit-learn is too new, and
# that torch is newer than it was tested with; importing it makes torch warn about torchao.
_LOGGERS = ("coremltools", "torch.utils._pytree")


@contextmanager
def quiet() -> Iterator[None]:
    """Holds back what coremltools and the libraries it imports log below an error."""

    def only_errors(record: logging.LogRecord) -> bool:
        return record.levelno >= logging.ERROR

    loggers = [logging.getLogger(name) for name in _LOGGERS]
    for logger in loggers:
        logger.addFilter(only_errors)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(only_errors)


def import_coremltools() -> ModuleType:
    """The coremltools module.

    Raises:
        UserError: it is not installed.
    """
    try:
        with quiet():
            import coremltools
    except ImportError as error:
        raise UserError("Core ML needs coremltools: pip install 'lvt-mobile[coreml]'") from error
    return coremltools

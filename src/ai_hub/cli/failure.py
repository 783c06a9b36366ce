"""How a command ends when it cannot do what was asked: a sentence and an exit code."""

from __future__ import annotations

import errno

from ai_hub.errors import (
    AiHubError,
    ExportFailed,
    NoDatabase,
    ServerFailed,
    ServerUnreachable,
    StoreUnavailable,
)

BAD_INPUT = 2
FAILED = 1
NOTHING = 3
"""Nothing was there: no database, or nothing in it of what was asked for."""
ALARM = 4
"""Features drift."""
INTERRUPTED = 130

_NOT_THE_CALLERS_FAULT = (ExportFailed, ServerFailed, ServerUnreachable, StoreUnavailable)


class Stop(Exception):
    """Ends the command with a sentence on standard error and an exit code."""

    def __init__(self, sentence: str, code: int = BAD_INPUT) -> None:
        self.code = code
        super().__init__(sentence)


def ending(error: BaseException) -> Stop | None:
    """The end that an error means for a command; None for an error that is a bug."""
    match error:
        case Stop():
            return error
        case NoDatabase():
            return Stop(str(error), NOTHING)
        case AiHubError():
            return Stop(str(error), FAILED if isinstance(error, _NOT_THE_CALLERS_FAULT) else 2)
        case KeyboardInterrupt():
            return Stop("Stopped.", INTERRUPTED)
        case OSError() if error.errno != errno.EPIPE:  # a reader that left is the framework's
            return Stop(f"{error.filename or 'system'}: {error.strerror or error}", FAILED)
        case _:
            return None

"""The server's log: one line an event, JSON for a collector, key=value for a person.

Every module logs an event and its fields with the standard library,
`_log.info("store recovered", extra={"seconds": 1.5})`; so do the libraries it uses. What stands
here says how lines look, for a process that is a server. Nothing else is set up anywhere.
"""

from __future__ import annotations

import logging
import re
import sys
from contextvars import ContextVar
from functools import cached_property
from itertools import count
from secrets import token_hex
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from structlog.typing import EventDict, Processor, WrappedLogger

request_id: ContextVar[bytes | None] = ContextVar("request_id", default=None)
"""The request that is being answered; every line that is written meanwhile names it."""

_SANE = re.compile(rb"[0-9A-Za-z._:/+=@-]{1,128}")
_numbers = count(1)
_own = token_hex(6).encode()


def request_id_of(headers: list[tuple[bytes, bytes]]) -> bytes:
    """The id that a client gave its request, if it is fit for headers and logs, else a new one."""
    for name, value in headers:
        if name == b"x-request-id" and _SANE.fullmatch(value):
            return value
    return b"%b-%x" % (_own, next(_numbers))


def configure(level: str, stream: TextIO | None = None) -> None:
    """Write the log of this process to `stream` (standard output): ours from `level` on.

    Libraries are heard from warnings on.
    """
    out = sys.stdout if stream is None else stream
    handler = logging.StreamHandler(out)
    handler.setFormatter(Lines(out.isatty()))
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.getLogger("ai_hub").setLevel(level.upper())
    # While a database is away it has a traceback for every try; we say once that it is away.
    logging.getLogger("asyncpg.pool").setLevel(logging.ERROR)
    logging.captureWarnings(True)


class Lines(logging.Formatter):
    """One line an event. structlog is imported for the first one: a server starts sooner."""

    def __init__(self, for_people: bool) -> None:
        super().__init__()
        self._for_people = for_people

    def format(self, record: logging.LogRecord) -> str:
        """The line of an event."""
        return self._made.format(record)

    @cached_property
    def _made(self) -> logging.Formatter:
        import structlog

        first: list[Processor] = [
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.stdlib.ExtraAdder(),
            _add_request,
            structlog.processors.StackInfoRenderer(),
            structlog.processors.format_exc_info,
        ]
        last: Processor = (
            structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"])
            if self._for_people
            else structlog.processors.JSONRenderer(default=str)
        )
        return structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=first,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, last],
        )


def _add_request(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    current = request_id.get()
    if current is not None:
        event["request_id"] = current.decode("ascii")
    return event

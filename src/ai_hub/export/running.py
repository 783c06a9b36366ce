"""A job that this process has: how far it is, and what ends it before its time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Literal

from ai_hub.errors import ExportTaken, StoreUnavailable
from ai_hub.stores.export_log import MOST_DEATHS, ExportRecord, Progress

Why = Literal["cancelled", "closed", "lost"]
"""Somebody ends it, its process ends, or another process has it."""


class Running:
    """A job in this process. `record` is what is known of it but for its progress."""

    task: asyncio.Task[ExportRecord]

    def __init__(
        self, record: ExportRecord, expected: int | None, progress: Callable[[int], None] | None
    ) -> None:
        self.record = record
        self.expected = expected
        self.rows = record.rows_done
        self.why: Why | None = None
        self.by = ""
        self.ending = self.over = False
        """Whether it is too late to stop it, and whether its end is recorded."""
        self._progress = progress
        self._begun: tuple[float, int] | None = None

    def told(self, rows: int) -> None:
        """So many rows are done."""
        if self._begun is None:
            # An export that goes on has rows already.
            self._begun = time.monotonic(), rows
        self.rows = rows
        if self._progress is not None:
            self._progress(rows)

    def stop(self, why: Why, by: str = "") -> None:
        """End it, unless it ends anyway."""
        if self.why is None and not self.ending:
            self.why, self.by = why, by
            # A task that is cancelled before its first step never runs, and records no end.
            asyncio.get_running_loop().call_soon(self._end)

    def _end(self) -> None:
        if not self.ending:
            self.task.cancel()

    @property
    def progress(self) -> Progress:
        """How far it is."""
        if self._begun is None:
            return Progress(self.rows, self.expected, 0.0)
        since, rows = self._begun
        seconds = max(time.monotonic() - since, 1e-3)
        return Progress(self.rows, self.expected, (self.rows - rows) / seconds)

    def shown(self, at: int) -> ExportRecord:
        """Its record with its progress."""
        if not self.record.under_way:
            return self.record
        now = self.progress
        return replace(
            self.record,
            rows_done=now.rows,
            rows_expected=now.expected,
            rows_per_second=now.per_second,
            cancelled_by=self.by if self.why == "cancelled" else None,
            heartbeat_at=at,
        )

    def given_up(self, at: int, error: BaseException) -> ExportRecord:
        """What becomes of it that did not come to its end: it waits for a process again, if it can
        be made again and was only interrupted."""
        record = self.record
        if self.why == "cancelled":
            return record.cancelled(at, self.by)
        if isinstance(error, ExportTaken | asyncio.CancelledError) or self.why is not None:
            if record.request is None:
                return record.failed(at, "its process was told to end")
            return record.again(record.deaths)
        if isinstance(error, StoreUnavailable) and record.request is not None:
            if record.deaths + 1 < MOST_DEATHS:
                return record.again(record.deaths + 1)
            often = f"interrupted {MOST_DEATHS} times, at last: {error}"
            return record.failed(at, often)
        return record.failed(at, str(error) or type(error).__name__)

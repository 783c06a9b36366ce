"""How far tables are taken over: the rows of ai_hub_adoptions."""

from __future__ import annotations

from dataclasses import astuple, dataclass

from ai_hub.stores.postgres.session import Connection

_READ = """
SELECT part, block, place, rows, duplicates, rejected, finished_at IS NOT NULL
FROM ai_hub_adoptions WHERE source = $1
"""
_WRITE = """
INSERT INTO ai_hub_adoptions (source, part, block, place, rows, duplicates, rejected, finished_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, CASE WHEN $8 THEN now() END)
ON CONFLICT (source, part) DO UPDATE
SET block = excluded.block, place = excluded.place, rows = excluded.rows,
    duplicates = excluded.duplicates, rejected = excluded.rejected,
    finished_at = excluded.finished_at
"""


@dataclass(frozen=True, slots=True)
class Progress:
    """What was taken over of a part: up to which block and row there, and what became of the rows.

    `duplicates` gave way to another row of their key, or were that row once more.
    """

    block: int = 0
    place: int = 0
    rows: int = 0
    duplicates: int = 0
    rejected: int = 0
    finished: bool = False


async def progress_of(on: Connection, source: str) -> dict[str, Progress]:
    """The progress of each part of a table that was begun."""
    return {part: Progress(*rest) for part, *rest in await on.fetch(_READ, source)}


async def keep_progress(on: Connection, source: str, part: str, now: Progress) -> None:
    """Keep it for the next time."""
    await on.execute(_WRITE, source, part, *astuple(now))

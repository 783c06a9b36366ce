"""Where assets take their weather from, and since when."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from ai_hub.definitions.values import FIRST_INSTANT
from ai_hub.engines.arrays import SourceTable

Mappings = Sequence[tuple[int, str | None]]
"""The mappings of one asset: since when it reads which source (None: its own rows), by time."""
Reads = Sequence[tuple[int, str]]
"""The sources that one asset reads in a range of times, and since when; the first at its start."""


def sources_of(asset_id: str, mappings: Mappings, start: int, end: int) -> Reads:
    """The sources that an asset reads in [start, end]."""
    sources = [(FIRST_INSTANT, asset_id)]
    for since, source_id in mappings:
        if since > end:
            break
        if since <= start:
            sources.clear()
        sources.append((since, asset_id if source_id is None else source_id))
    return sources


def source_at(asset_id: str, mappings: Mappings, t: int) -> str:
    """The source that an asset reads at an instant."""
    return sources_of(asset_id, mappings, t, t)[0][1]


def coded_sources(reads: Iterable[Reads]) -> tuple[list[str], SourceTable]:
    """The distinct sources of some assets in order of first use, and who reads which since when."""
    code_of: dict[str, int] = {}
    entity, since, source = [], [], []
    # Of many assets a list of what each reads would only keep the garbage collector busy.
    for code, mine in enumerate(reads):
        for begin, source_id in mine:
            entity.append(code)
            since.append(begin)
            source.append(code_of.setdefault(source_id, len(code_of)))
    columns = (np.array(column, np.int64) for column in (entity, since, source))
    return list(code_of), SourceTable(*columns)

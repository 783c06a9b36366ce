"""The removal of data: what is to go, what there is of it, and in which steps it goes.

Times are microseconds since the epoch. Each step is a transaction of its own, so a removal that was
stopped has removed something, and run again removes the rest.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise

from ai_hub.definitions.values import DAY, Entity, iso
from ai_hub.stores.audit_log import AuditRecord

STEP_ROWS = 50_000
"""Rows of one step, about."""
STEP_SERIES = 200
_NAMED = 20
"""Assets that an audit record names."""


@dataclass(frozen=True, slots=True)
class Removal:
    """What is to go: of a tenant, of some assets (None: all) and one series (None: all), of [start,
    end), each None where it is open. `weather` of that time goes too."""

    tenant_id: str
    asset_ids: tuple[str, ...] | None = None
    series: str | None = None
    start: int | None = None
    end: int | None = None
    weather: bool = False

    @property
    def whole(self) -> bool:
        """Whether the assets go as a whole, with all that is known of them."""
        return self.series is None and self.start is None and self.end is None

    @property
    def is_empty(self) -> bool:
        """Whether no time is in [start, end)."""
        return self.start is not None and self.end is not None and self.start >= self.end

    @property
    def with_weather(self) -> bool:
        """Whether weather goes as well."""
        return self.whole or self.weather


@dataclass(frozen=True, slots=True)
class Found:
    """A series, or the weather of an asset (`series` None), of which rows are to go.

    `rows` and `usable` count those of timeseries_data and ai_features, or `rows` of
    weather_features. Of a series that is left in aggregates alone there are none.
    """

    asset_id: str
    series: str | None
    rows: int = 0
    usable: int = 0
    first: int | None = None
    last: int | None = None


@dataclass(frozen=True, slots=True)
class Survey:
    """What there is to remove: series and weather by asset, and rows of other relations."""

    found: tuple[Found, ...]
    others: Mapping[str, int] = field(default_factory=dict)

    @property
    def rows(self) -> dict[str, int]:
        """How many rows of each relation would go."""
        series = [one for one in self.found if one.series is not None]
        weather = [one for one in self.found if one.series is None]
        return {
            "timeseries_data": sum(one.rows for one in series),
            "ai_features": sum(one.usable for one in series),
            "weather_features": sum(one.rows for one in weather),
            **self.others,
        }


@dataclass(frozen=True, slots=True)
class Step:
    """Some series, or the weather of some assets, and [start, end) of it."""

    found: tuple[Found, ...]
    start: int | None
    end: int | None


@dataclass(frozen=True, slots=True)
class Removed:
    """What a step removed, by relation, and whose features that may have changed."""

    rows: Mapping[str, int]
    touched: Collection[Entity]


def steps(removal: Removal, found: Iterable[Found]) -> Iterator[Step]:
    """The steps that remove what was found: small ones together, a large one cut at days (UTC)."""
    some: list[Found] = []
    size = 0
    for one in sorted(found, key=lambda one: (one.series is None, one.asset_id, one.series or "")):
        rows = max(one.rows, one.usable)
        if rows > STEP_ROWS:
            yield from _pieces(removal, one, rows)
            continue
        other = bool(some) and (some[0].series is None) != (one.series is None)
        if other or size + rows > STEP_ROWS or len(some) >= STEP_SERIES:
            yield Step(tuple(some), removal.start, removal.end)
            some, size = [], 0
        some.append(one)
        size += rows
    if some:
        yield Step(tuple(some), removal.start, removal.end)


def _pieces(removal: Removal, one: Found, rows: int) -> Iterator[Step]:
    assert one.first is not None
    assert one.last is not None
    parts = -(-rows // STEP_ROWS)
    width = max(1, (one.last - one.first) // parts)
    cuts = sorted({(one.first + i * width) // DAY * DAY for i in range(1, parts)})
    bounds = [removal.start, *(cut for cut in cuts if one.first < cut <= one.last), removal.end]
    for start, end in pairwise(bounds):
        yield Step((one,), start, end)


def told(record: AuditRecord, step: Iterable[str], rows: Mapping[str, int]) -> AuditRecord:
    """The record of a step, by the assets in it and what it removed."""
    assets = sorted(set(step))
    details = {
        "assets": len(assets),
        "asset_ids": assets[:_NAMED],
        **record.details,
        "removed": {name: count for name, count in rows.items() if count},
    }
    return replace(record, count=sum(rows.values()), details=details)


def shown(one: Found) -> dict[str, object]:
    """What was found, as the members of a JSON document."""
    return {
        "asset_id": one.asset_id,
        "series": one.series,
        "rows": max(one.rows, one.usable),
        "first": None if one.first is None else iso(one.first),
        "last": None if one.last is None else iso(one.last),
    }

"""What was of some assets over a range of times: series, features as rows have them, weather."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa

from ai_hub.definitions.feature_set import FeatureSet
from ai_hub.definitions.kinds import Latest
from ai_hub.definitions.values import (
    DEFAULT_SERIES,
    MAX_ASSETS,
    MAX_NAMES,
    MAX_SERIES_LENGTH,
    Duration,
    Time,
    TimeRange,
    check_count,
    check_id,
    check_list,
    iso,
    to_micros,
)
from ai_hub.definitions.vocabulary import WEATHER_COLUMNS, check_choice
from ai_hub.engines.arrays import Ints, Points
from ai_hub.engines.columnar import values_at
from ai_hub.engines.plan import Plan
from ai_hub.errors import InvalidInput, UnknownFeature
from ai_hub.export.frame import Frame
from ai_hub.export.job import steps
from ai_hub.export.rows import Rows, Values, arrow_column
from ai_hub.serving.spec import Spec
from ai_hub.stores.base import Chunk, ScanRequest

MOST_ROWS = 10_000_000
DEFAULT_ROWS = 1_000_000
MOST_SERIES = 100_000
"""Series of all assets together: each is a read of its own, also where it has no rows."""
_KEYS = ("timestamp", "asset_id")
_PREFIX = "weather_"
_TIME = pa.timestamp("us", "UTC")
_ID = pa.dictionary(pa.int32(), pa.string())
_HISTORY = "ai_hub.history"
_Kind = Literal["series", "features", "weather"]


@dataclass(frozen=True)
class History(Frame):
    """Series, features and weather of some assets over a range of times, by asset and time.

    Columns: timestamp, asset_id, each series at exactly that time, the features as of it, where
    these were missing, and each weather column as it was known then (`weather_temperature`).
    """

    @property
    def series(self) -> tuple[str, ...]:
        """The columns that are series."""
        return self._of("series")

    @property
    def features(self) -> tuple[str, ...]:
        """The columns that are features."""
        return self._of("features")

    @property
    def weather(self) -> tuple[str, ...]:
        """The columns that are weather."""
        return self._of("weather")

    def _of(self, kind: _Kind) -> tuple[str, ...]:
        return tuple(json.loads(self.metadata[_HISTORY])[kind])

    def _repr_html_(self) -> str:
        said = self.metadata
        return self._shown(
            f"{len(self):,} rows of {said['ai_hub.tenant_id']} "
            f"from {said['ai_hub.start_time']} to {said['ai_hub.end_time']}"
        )


@dataclass(frozen=True)
class HistoryJob:
    """A history that is asked for.

    Rows stand at the times of the series (of several: of any), or at every step of `frequency` from
    the start on that is not before the asset's first observation of the first one.
    """

    tenant_id: str
    range: TimeRange
    asset_ids: tuple[str, ...]
    series: tuple[str, ...]
    features: tuple[str, ...] = ()
    rows: Rows | None = None
    weather: tuple[str, ...] = ()
    frequency: Duration | None = None
    limit: int = DEFAULT_ROWS

    def __post_init__(self) -> None:
        names = [*_KEYS, *(one.name for one in self.fields), *self.series]
        twice = next((name for name, times in Counter(names).items() if times > 1), None)
        if twice is not None:
            field = "series" if twice in self.series else "weather"
            expected = "columns whose name no feature and no other column has"
            raise InvalidInput(field, twice, expected, "Ask for one of them at a time.")

    @property
    def fields(self) -> list[pa.Field]:
        """The columns beside keys and series."""
        found = self.rows.fields(every=False) if self.rows is not None else []
        wanted = {name for one in self.features for name in (one, f"{one}__missing")}
        known = self._known.fields(every=False) if self.weather else []
        return [*(one for one in found if one.name in wanted), *known]

    def read(
        self,
        scan: Callable[[ScanRequest], Generator[Chunk, None, None]],
        told: Callable[[int], None] = lambda rows: None,
    ) -> History:
        """Read and compute it. `told` is told the rows so far; it may raise to stop.

        Raises InvalidInput for more rows than `limit`, StoreError.
        """
        schema = self._schema()
        tables = [schema.empty_table()]
        count = 0
        if not self.range.is_empty:
            with closing(scan(self._request())) as chunks:
                for chunk in chunks:
                    for points in self._points(chunk):
                        count += len(points)
                        told(count)
                        self._check(count)
                        tables.append(self._rows(schema, chunk, points))
        return History(pa.concat_tables(tables).unify_dictionaries().combine_chunks())

    @property
    def _anchors(self) -> tuple[str, ...]:
        """The series at whose times there are rows."""
        own = DEFAULT_SERIES if self.rows is None else self.rows.feature_set.series
        return self.series or (own,)

    @property
    def _known(self) -> Rows:
        """Weather as it was known, as features that are kept as they are."""
        latest = tuple(Latest(f"{_PREFIX}{column}", column) for column in self.weather)  # type: ignore[arg-type]
        plan = Plan.of(FeatureSet(None, None, latest, missing="keep"))
        return Rows(self.tenant_id, plan, has_value=False)

    def _request(self) -> ScanRequest:
        """All that is read, in one scan."""
        start, end = self.range.start, self.range.end
        parts = [rows.scan_request(start, end, None) for rows in self._computed]
        return ScanRequest(
            self.tenant_id,
            self.asset_ids,
            start,
            end,
            _each(self._anchors, *(part.series for part in parts)),
            _each(*(part.weather for part in parts)),
            max((part.lookback for part in parts), default=0),
            max((part.weather_lookback for part in parts), default=0),
            edges=None if self.frequency is None else self._anchors[0],
            attributes=_each(*(part.attributes for part in parts)),
            views=tuple(view for part in parts for view in part.views),
        )

    @property
    def _computed(self) -> list[Rows]:
        features = [] if self.rows is None else [self.rows]
        return features + ([self._known] if self.weather else [])

    def _points(self, chunk: Chunk) -> Iterator[Points]:
        if not chunk.asset_ids:
            return
        if self.frequency is not None:
            yield from steps(chunk, self.range.start, self.frequency)
            return
        found = Points(np.empty(0, np.int64), np.empty(0, np.int64))
        for name in self._anchors:
            series = chunk.history.series[name]
            inside = (series.time >= chunk.start) & (series.time <= chunk.end)
            found = _union(found, Points(series.code[inside], series.time[inside]))
        if len(found):
            yield found

    def _rows(self, schema: pa.Schema, chunk: Chunk, points: Points) -> pa.Table:
        values: dict[str, Values] = {
            name: values_at(name, points, chunk.history) for name in self.series
        }
        for rows in self._computed:
            values |= rows.columns(chunk, points).columns
        ids = pa.array(points.code.astype(np.int32)), pa.array(chunk.asset_ids, pa.string())
        columns = [pa.array(points.time).view(_TIME), pa.DictionaryArray.from_arrays(*ids)]
        columns += [arrow_column(field, values[field.name]) for field in [*schema][len(_KEYS) :]]
        return pa.Table.from_arrays(columns, schema=schema)

    def _check(self, rows: int) -> None:
        if rows > self.limit:
            raise InvalidInput(
                "end_time", f"more than {self.limit:,} rows", f"at most {self.limit:,}",
                "Ask for fewer assets, a shorter time, or a row for each step of a frequency.",
            )  # fmt: skip

    def _schema(self) -> pa.Schema:
        fields = [
            pa.field("timestamp", _TIME, nullable=False),
            pa.field("asset_id", _ID, nullable=False),
            *(pa.field(name, pa.float64()) for name in self.series),
            *self.fields,
        ]
        said = {
            "ai_hub.tenant_id": self.tenant_id,
            "ai_hub.start_time": iso(self.range.start),
            "ai_hub.end_time": iso(self.range.end),
            _HISTORY: json.dumps(
                {
                    "series": self.series,
                    "features": self.features,
                    "weather": [f"{_PREFIX}{column}" for column in self.weather],
                }
            ),
        }
        if self.rows is not None:
            chosen = self.rows.feature_set
            said |= {
                "ai_hub.feature_set": chosen.name or "",
                "ai_hub.version": "" if chosen.version is None else str(chosen.version),
                "ai_hub.fingerprint": chosen.fingerprint,
                "ai_hub.missing": chosen.policy_name(self.rows.missing),
            }
        return pa.schema(fields, said)


def history_job(
    tenant_id: str,
    asset_ids: Sequence[str],
    start_time: Time,
    end_time: Time,
    spec: Spec | None,
    *,
    series: Sequence[str] | None = None,
    features: Sequence[str] | None = None,
    weather: bool | Sequence[str] = False,
    indicators: bool = False,
    frequency: str | None = None,
    limit: int = DEFAULT_ROWS,
) -> HistoryJob:
    """The job that a caller describes; features are of a spec, by default all of it.

    Raises InvalidInput naming the field, and UnknownFeature.
    """
    check_id("tenant_id", tenant_id)
    ids = check_list("asset_ids", asset_ids, "asset ids", MAX_ASSETS)
    if not ids:
        raise InvalidInput("asset_ids", ids, "at least one asset id")
    own = DEFAULT_SERIES if spec is None else spec.feature_set.series
    wanted = [own] if series is None else check_list("series", series, "series", MAX_NAMES)
    if len(ids) * len(wanted) > MOST_SERIES:
        raise InvalidInput(
            "series", f"{len(wanted):,} of {len(ids):,} assets",
            f"at most {MOST_SERIES:,} of all assets together", "Ask for some at a time.",
        )  # fmt: skip
    columns = [*WEATHER_COLUMNS] if weather is True else weather or []
    columns = check_list(
        "weather", columns, "weather columns, or true for all", len(WEATHER_COLUMNS)
    )
    for column in columns:
        check_choice("weather", column, WEATHER_COLUMNS)
    return HistoryJob(
        tenant_id,
        TimeRange(to_micros(start_time, "start_time", "up"), to_micros(end_time, "end_time")),
        _each([check_id("asset_ids", one) for one in ids]),
        _each([check_id("series", one, MAX_SERIES_LENGTH) for one in wanted]),
        () if spec is None else _features(spec.feature_set, features),
        None if spec is None else Rows(
            tenant_id, spec.plan, spec.missing, indicators=indicators, has_value=False
        ),
        _each(columns),
        None if frequency is None else Duration.of(frequency, "frequency"),
        check_count("limit", limit, MOST_ROWS),
    )  # fmt: skip


def _features(chosen: FeatureSet, named: Sequence[str] | None) -> tuple[str, ...]:
    """The features of a set that are wanted, in its order."""
    if named is None:
        return chosen.feature_names
    names = check_list("features", named, "feature names", MAX_NAMES)
    for name in names:
        if name not in chosen.feature_names:
            raise UnknownFeature(name, chosen.feature_names, "features")
    return tuple(name for name in chosen.feature_names if name in names)


def _each(*lists: Sequence[str]) -> tuple[str, ...]:
    """Each of some names once."""
    return tuple(dict.fromkeys(name for names in lists for name in names))


def _union(one: Points, other: Points) -> Points:
    """The points of either, each once."""
    if not len(one):
        return other
    code: Ints = np.concatenate([one.code, other.code])
    time: Ints = np.concatenate([one.time, other.time])
    order = np.lexsort((time, code))
    code, time = code[order], time[order]
    first = np.append(True, (np.diff(code) != 0) | (np.diff(time) != 0))
    return Points(code[first], time[first])

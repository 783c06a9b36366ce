"""What a worker of any engine calls: Arrow tables of some assets in, their training rows out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from ai_hub.definitions.feature_set import FeatureSet
from ai_hub.definitions.target import Horizon
from ai_hub.definitions.valid_range import WEATHER_LIMITS
from ai_hub.definitions.values import FIRST_INSTANT, LAST_INSTANT, to_micros
from ai_hub.definitions.vocabulary import Missing
from ai_hub.errors import InvalidInput
from ai_hub.export.recipe import Recipe
from ai_hub.stores.arrays import micros_of
from ai_hub.stores.tables import Tables
from ai_hub.stores.weather_sources import Mappings

MIN_QUALITY = 1


def training_batches(
    observations: pa.Table,
    feature_set: FeatureSet | str,
    *,
    tenant_id: str,
    weather: pa.Table | None = None,
    weather_sources: pa.Table | None = None,
    attributes: pa.Table | None = None,
    spine: pa.Table | None = None,
    horizons: Sequence[Horizon] = (),
    missing: Missing | None = None,
    indicators: bool = False,
    frequency: str | None = None,
    start_time: datetime | None = None,
    end_time: datetime | None = None,
    window: tuple[datetime, datetime] | None = None,
    edges: pa.Table | None = None,
) -> Iterator[pa.RecordBatch]:
    """The training rows of some assets of a tenant, in the columns of an export.

    `observations`: asset_id, timestamp (with a zone), value, and feature_type and quality where
    there are such; `weather`: asset_id, timestamp, its columns, and issued_at; `weather_sources`:
    asset_id, source_id, and valid_from; `attributes`: asset_id, key, number, and text and
    valid_from; `spine`: asset_id, timestamp, labels. The others are as in an export.

    Tables hold whole assets; or a slice of time of them with all that its rows read: a look-back
    and, for targets, a look-ahead. `window` is then the first and the last time whose rows are
    given out, and `edges` (asset_id, first, last) when the asset's series begins and ends, which a
    slice does not show. Rows whose value is none are left out. Raises InvalidInput, and OutOfRange
    for a set that rejects values outside their range.
    """
    recipe = Recipe.of(
        feature_set,
        horizons=horizons,
        missing=missing,
        indicators=indicators,
        frequency=frequency,
        start_time=start_time,
        end_time=end_time,
        spine=None if spine is None else spine.column_names,
    )
    recipe.check_series("feature_type" in observations.column_names)
    needs = recipe.needs()
    tables = Tables(
        _usable(observations),
        _measured(weather, needs.weather) if weather is not None and needs.weather else None,
        {} if weather_sources is None else _mappings(weather_sources),
        None if attributes is None else _with(attributes, "attributes", number=pa.float64(),
                                              text=pa.string(), valid_from=_TIME),
        None if edges is None else _edges(edges),
    )  # fmt: skip
    return recipe.batches(tenant_id, tables, spine, None if window is None else _window(window))


_TIME = pa.timestamp("us", "UTC")


def _usable(table: pa.Table) -> pa.Table:
    """The observations that features read."""
    _times("observations", table, "timestamp")
    _has("observations", table, "asset_id", "value")
    value = table["value"].cast(pa.float64())
    usable = pc.fill_null(pc.is_finite(value), False)
    for name in ("asset_id", "timestamp"):
        usable = pc.and_(usable, pc.is_valid(table[name]))
    if "quality" in table.column_names:
        good = pc.greater_equal(table["quality"], MIN_QUALITY)
        usable = pc.and_(usable, pc.fill_null(good, True))
    return table.filter(usable)


def _measured(table: pa.Table, columns: Sequence[str]) -> pa.Table:
    """Weather with an issue time, values outside physical limits being none."""
    _times("weather", table, "timestamp")
    _has("weather", table, "asset_id", *columns)
    if "issued_at" in table.column_names:
        _times("weather", table, "issued_at")
        issued = pc.coalesce(table["issued_at"].cast(_TIME), table["timestamp"].cast(_TIME))
    else:
        issued = table["timestamp"]
    found = {name: table[name] for name in ("asset_id", "timestamp")} | {"issued_at": issued}
    for name in columns:
        value, limits = table[name].cast(pa.float64()), WEATHER_LIMITS[name]  # type: ignore[index]
        inside = pc.and_(pc.greater_equal(value, limits.low), pc.less_equal(value, limits.high))
        found[name] = pc.if_else(inside, value, None)
    return pa.table(found).filter(pc.is_valid(table["timestamp"]))


def _mappings(table: pa.Table) -> dict[str, Mappings]:
    """The mappings of each asset, by time."""
    whole = _with(table, "weather_sources", valid_from=_TIME)
    _has("weather_sources", whole, "asset_id", "source_id")
    since = pc.fill_null(whole["valid_from"].cast(pa.int64()), FIRST_INSTANT).to_pylist()
    found: dict[str, list[tuple[int, str | None]]] = {}
    columns = whole["asset_id"].to_pylist(), since, whole["source_id"].to_pylist()
    for asset_id, at, source_id in zip(*columns, strict=True):
        found.setdefault(asset_id, []).append((at, source_id))
    return {asset_id: sorted(mine, key=lambda one: one[0]) for asset_id, mine in found.items()}


def _edges(table: pa.Table) -> dict[str, tuple[int, int]]:
    _times("edges", table, "first")
    _times("edges", table, "last")
    pairs = zip(micros_of(table["first"]).tolist(), micros_of(table["last"]).tolist(), strict=True)
    return dict(zip(table["asset_id"].to_pylist(), pairs, strict=True))


def _window(given: tuple[datetime, datetime]) -> tuple[int, int]:
    first, last = (to_micros(one, "window") for one in given)
    if not FIRST_INSTANT <= first <= last <= LAST_INSTANT:
        raise InvalidInput("window", [str(one) for one in given], "two times in their order")
    return first, last


def _with(table: pa.Table, field: str, **optional: pa.DataType) -> pa.Table:
    """A table with the columns that may be left out, as nulls."""
    for name, kind in optional.items():
        if name not in table.column_names:
            table = table.append_column(name, pa.nulls(len(table), kind))
        elif pa.types.is_timestamp(kind):
            _times(field, table, name)
    return table


def _has(field: str, table: pa.Table, *names: str) -> None:
    for name in names:
        if name not in table.column_names:
            raise InvalidInput(field, table.column_names, f"a column named {name}")


def _times(field: str, table: pa.Table, name: str) -> None:
    _has(field, table, name)
    kind = table.schema.field(name).type
    if not (pa.types.is_timestamp(kind) and kind.tz is not None):
        raise InvalidInput(f"{field}.{name}", str(kind), "timestamps with a time zone")

"""What callers hand over as DataFrames, as the columns and the usable rows that features read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ai_hub.definitions.valid_range import WEATHER_LIMITS
from ai_hub.definitions.values import FIRST_INSTANT, LAST_INSTANT
from ai_hub.errors import InvalidInput
from ai_hub.spark.extra import functions as F
from ai_hub.spark.extra import types as T
from ai_hub.stores.base import ScanRequest

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

MIN_QUALITY = 1
ENTITY = ("tenant_id", "asset_id")


def instants(frame: DataFrame, tenant_id: str | None, series: Sequence[str]) -> DataFrame:
    """When there are observations of some series, usable or not: tenant_id, asset_id, timestamp."""
    checked(frame, "observations", "asset_id", times=("timestamp",))
    found = frame
    if "feature_type" in frame.columns:
        found = found.where(F.col("feature_type").isin(*series))
    found = found.select(*entity(frame, "observations", tenant_id), F.col("timestamp"))
    return _known(found, *ENTITY, "timestamp")


def observations(frame: DataFrame, tenant_id: str | None, series: Sequence[str]) -> DataFrame:
    """The usable observations of some series: tenant_id, asset_id, timestamp, value, and of several
    series feature_type."""
    checked(frame, "observations", "asset_id", "value", times=("timestamp",))
    found = frame
    if "quality" in frame.columns:
        found = found.where(F.coalesce(F.col("quality") >= MIN_QUALITY, F.lit(True)))
    columns = [*entity(frame, "observations", tenant_id), F.col("timestamp"), _number("value")]
    if "feature_type" in frame.columns:
        found = found.where(F.col("feature_type").isin(*series))
        if len(series) > 1:
            columns.append(F.col("feature_type").cast("string").alias("feature_type"))
    found = found.select(*columns)
    value = F.col("value")
    # No value, NaN and infinity: none of them is equal to what it is less itself and itself.
    usable = value.isNotNull() & ~F.isnan(value) & (F.abs(value) != F.lit(float("inf")))
    return _known(found, *ENTITY, "timestamp").where(usable)


def weather(frame: DataFrame, tenant_id: str | None, columns: Sequence[str]) -> DataFrame:
    """Weather with an issue time; values outside physical limits are none."""
    times = ("timestamp", "issued_at") if "issued_at" in frame.columns else ("timestamp",)
    checked(frame, "weather", "asset_id", *columns, times=times)
    issued = F.coalesce(*(F.col(name) for name in reversed(times))).alias("issued_at")
    values = [_measured(name) for name in columns]
    keys = entity(frame, "weather", tenant_id)
    return _known(frame.select(*keys, F.col("timestamp"), issued, *values), *ENTITY, "timestamp")


def sources(frame: DataFrame, tenant_id: str | None) -> DataFrame:
    """The mappings: tenant_id, asset_id, source_id (none: its own rows), _since in microseconds."""
    times = ("valid_from",) if "valid_from" in frame.columns else ()
    checked(frame, "weather_sources", "asset_id", "source_id", times=times)
    always = F.lit(FIRST_INSTANT)
    since = F.coalesce(F.unix_micros("valid_from"), always) if times else always
    source = F.col("source_id").cast("string").alias("source_id")
    keys = entity(frame, "weather_sources", tenant_id)
    return frame.select(*keys, source, since.alias("_since"))


def attributes(frame: DataFrame, tenant_id: str | None, keys: Sequence[str]) -> DataFrame:
    """The attributes of some keys: tenant_id, asset_id, key, timestamp (since when), number, text.

    Those that hold always have the first instant there is.
    """
    times = ("valid_from",) if "valid_from" in frame.columns else ()
    checked(frame, "attributes", "asset_id", "key", times=times)
    first = F.timestamp_micros(F.lit(FIRST_INSTANT))
    since = F.coalesce(F.col("valid_from"), first) if times else first
    number = _number("number") if "number" in frame.columns else F.lit(None).cast("double")
    text = F.col("text") if "text" in frame.columns else F.lit(None)
    return frame.where(F.col("key").isin(*keys)).select(
        *entity(frame, "attributes", tenant_id),
        F.col("key"),
        since.alias("timestamp"),
        number.alias("number"),
        text.cast("string").alias("text"),
    )


def spine(frame: DataFrame, tenant_id: str | None) -> DataFrame:
    """The rows of a spine: tenant_id, asset_id, timestamp, and its labels as one column.

    A row without an asset or a time ends the job.
    """
    checked(frame, "spine", "asset_id", times=("timestamp",))
    names = label_names(frame)
    tenant, asset = entity(frame, "spine", tenant_id)
    labels = [F.struct(*names).alias("labels")] if names else []
    return frame.select(
        _sure(tenant, "tenant_id"), _sure(asset, "asset_id"),
        _sure(F.col("timestamp"), "timestamp"), *labels,
    )  # fmt: skip


def label_names(frame: DataFrame) -> list[str]:
    """The columns of a spine beside those that say which entity and when."""
    return [name for name in frame.columns if name not in (*ENTITY, "timestamp")]


def within(frame: DataFrame, needs: ScanRequest) -> DataFrame:
    """The observations that the rows of a range read."""
    first = max(needs.start - needs.lookback, FIRST_INSTANT)
    if first > FIRST_INSTANT:
        frame = frame.where(F.col("timestamp") >= F.timestamp_micros(F.lit(first)))
    last = needs.end + needs.lookahead
    if last < LAST_INSTANT:
        frame = frame.where(F.col("timestamp") <= F.timestamp_micros(F.lit(last)))
    return frame


def checked(frame: DataFrame, field: str, *names: str, times: Sequence[str] = ()) -> None:
    """Raise InvalidInput unless a DataFrame has columns of some names, and these times."""
    for name in (*names, *times):
        if name not in frame.columns:
            raise InvalidInput(field, frame.columns, f"a column named {name}")
    for name in times:
        kind = frame.schema[name].dataType
        if not isinstance(kind, T.TimestampType):
            expected = "a column of type timestamp, which is an instant whatever the zone"
            hint = "Cast it, with the session's time zone set to the one that it was written in."
            raise InvalidInput(f"{field}.{name}", kind.simpleString(), expected, hint)


def entity(frame: DataFrame, field: str, tenant_id: str | None) -> list[Column]:
    """The columns of an entity; whose rows they are is said by the caller or by a column."""
    if "tenant_id" in frame.columns:
        tenant = F.col("tenant_id").cast("string")
    elif tenant_id is not None:
        tenant = F.lit(tenant_id)
    else:
        expected = "a column named tenant_id, or tenant_id=... for all rows"
        raise InvalidInput(field, frame.columns, expected)
    return [tenant.alias("tenant_id"), F.col("asset_id").cast("string").alias("asset_id")]


def _number(name: str) -> Column:
    return F.col(name).cast("double").alias(name)


def _measured(name: str) -> Column:
    value, limits = F.col(name).cast("double"), WEATHER_LIMITS[name]  # type: ignore[index]
    return F.when(value.between(limits.low, limits.high), value).alias(name)


def _known(frame: DataFrame, *names: str) -> DataFrame:
    for name in names:
        frame = frame.where(F.col(name).isNotNull())
    return frame


def _sure(column: Column, name: str) -> Column:
    why = F.raise_error(F.lit(f"spine.{name}: a row has none"))
    found: Any = F.coalesce(column, why.cast("timestamp" if name == "timestamp" else "string"))
    return found.alias(name)

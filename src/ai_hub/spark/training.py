"""A training set by Spark: rows spread by asset, sorted, and streamed through the kernel."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from ai_hub import __version__
from ai_hub.definitions.feature_set import FeatureSet
from ai_hub.definitions.target import Horizon
from ai_hub.definitions.values import FIRST_INSTANT, LAST_INSTANT
from ai_hub.definitions.vocabulary import Missing
from ai_hub.errors import InvalidInput
from ai_hub.export.recipe import Recipe
from ai_hub.export.rows import Counts
from ai_hub.export.stream import ATTRIBUTE, EDGES, KEYS, OBSERVATION, SPINE, WEATHER, Coming
from ai_hub.spark import frames
from ai_hub.spark.extra import functions as F
from ai_hub.spark.extra import types as T
from ai_hub.spark.frames import ENTITY
from ai_hub.spark.slices import Slices, long_assets, readers_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

SLICE_ROWS = 300_000
METADATA = "ai_hub"
"""What the column `timestamp` says of the whole set: Parquet and Delta keep it."""


def training_set(
    observations: DataFrame,
    feature_set: FeatureSet | str,
    *,
    weather: DataFrame | None = None,
    weather_sources: DataFrame | None = None,
    attributes: DataFrame | None = None,
    spine: DataFrame | None = None,
    tenant_id: str | None = None,
    horizons: Sequence[Horizon] = (),
    missing: Missing | None = None,
    indicators: bool = False,
    frequency: str | None = None,
    start_time: datetime | None = None,
    end_time: datetime | None = None,
    slice_rows: int | None = SLICE_ROWS,
    in_order: bool = True,
) -> DataFrame:
    """The training rows of a feature set, as a DataFrame in the columns of an export.

    `observations`: asset_id, timestamp, value, and feature_type and quality where there are such.
    `weather`: asset_id, timestamp, its columns, and issued_at; `weather_sources`: asset_id,
    source_id, and valid_from; `attributes`: asset_id, key, number, and text and valid_from;
    `spine`: asset_id, timestamp and labels. Each has a tenant_id, or is of the one that is named.
    The others are as in an export; without a range rows stand at all observations.

    Assets with more than about `slice_rows` observations are cut into slices of time; to know them
    a sample is counted, which reads the observations' ids and times once (None: nothing is cut or
    counted). Nothing else runs before an action. `in_order=False` is for engines that lose the
    order of a sort: each worker then sorts its rows by itself. Raises InvalidInput,
    UnknownFeatureSet.
    """
    recipe = Recipe.of(
        feature_set,
        horizons=horizons,
        missing=missing,
        indicators=indicators,
        frequency=frequency,
        start_time=start_time,
        end_time=end_time,
        spine=None if spine is None else frames.label_names(spine),
    )
    if slice_rows is not None and (type(slice_rows) is not int or slice_rows < 1):
        raise InvalidInput("slice_rows", slice_rows, "a whole number from 1, or None")
    recipe.check_series("feature_type" in observations.columns)
    needs = recipe.needs()
    observed = frames.observations(observations, tenant_id, needs.series)
    read = frames.within(observed, needs)
    has_weather = weather is not None and bool(needs.weather)
    readers = None
    if has_weather and weather_sources is not None:
        readers = readers_of(frames.sources(weather_sources, tenant_id))
    long = None
    if slice_rows is not None:

        def some(share: float) -> DataFrame:
            drawn = observations.sample(share, seed=0)
            return frames.within(frames.instants(drawn, tenant_id, needs.series), needs)

        long = long_assets(some, needs, slice_rows)
    slices = Slices(needs, None if long is None else long.assets, readers, has_weather)

    time = F.unix_micros("timestamp")
    parts = {OBSERVATION: slices.spread(read, time - needs.lookahead, time + needs.lookback)}
    rows_of_spine = None
    if spine is not None:
        rows_of_spine = frames.spine(spine, tenant_id)
        parts[SPINE] = slices.spread(rows_of_spine, time, time)
    if attributes is not None and needs.attributes:
        held = frames.attributes(attributes, tenant_id, needs.attributes)
        parts[ATTRIBUTE] = slices.spread(held, time, F.lit(LAST_INSTANT))
    if needs.edges is not None:
        own = observed
        if "feature_type" in observed.columns:
            own = observed.where(F.col("feature_type") == needs.edges)
        ends = own.groupBy(*ENTITY).agg(
            F.min("timestamp").alias("timestamp"), F.max("timestamp").alias("last")
        )
        parts[EDGES] = slices.spread(ends, F.lit(FIRST_INSTANT), F.lit(LAST_INSTANT))
    if has_weather:
        rows = frames.weather(weather, tenant_id, needs.weather)
        assets = observed.select(*ENTITY)
        if rows_of_spine is not None:
            assets = assets.unionByName(rows_of_spine.select(*ENTITY))
        parts[WEATHER] = _weather(rows, slices, assets)
    longest = slice_rows if long is None else max(slice_rows or 0, long.most_rows)
    fits = longest is not None and longest <= 2 * SLICE_ROWS
    return _computed(recipe, parts, spine, in_order, fits)


def _weather(rows: DataFrame, slices: Slices, assets: DataFrame) -> DataFrame:
    """The weather for each group of assets that reads it: of no asset itself."""
    time, reach = F.unix_micros("timestamp"), slices.needs.weather_lookback
    if slices.readers is None:
        known = F.greatest(time, F.unix_micros("issued_at"))
        return slices.spread(rows, known, time + reach).withColumn("asset_id", F.lit(""))
    first, last = F.lit(FIRST_INSTANT), F.lit(LAST_INSTANT)
    group = ["tenant_id", "source_id", "share", "window_start", "window_end"]
    groups = slices.spread(assets.distinct(), first, last).select(*group).distinct()
    found = rows.withColumnRenamed("asset_id", "source_id").join(groups, ["tenant_id", "source_id"])
    near = (time >= F.col("window_start") - reach) & (time <= F.col("window_end"))
    return found.where(near).withColumn("asset_id", F.lit(""))


def _computed(
    recipe: Recipe,
    parts: dict[int, DataFrame],
    spine: DataFrame | None,
    in_order: bool,
    fits: bool,
) -> DataFrame:
    """The rows of every kind in one stream for each worker, and what comes of it.

    `fits`: every asset, or slice of one, is known to be no longer than what a worker can hold.
    """
    if len(parts) == 1:
        (rows,) = parts.values()
    else:
        first, *others = (
            part.withColumn("kind", F.lit(kind).cast("tinyint")) for kind, part in parts.items()
        )
        rows = first
        for other in others:
            rows = rows.unionByName(other, allowMissingColumns=True)
    keys = [name for name in KEYS if name in rows.columns]
    coming: Coming = "sorted" if in_order else "any"
    if in_order and fits and len(parts) == 1:
        # One number is sorted by radix; a worker puts each asset's rows in order.
        coming = "together"
        place = rows.withColumn("_place", F.xxhash64(*keys))
        sent = place.repartition("_place").sortWithinPartitions("_place").drop("_place")
    else:
        # Assets that read one weather are on one worker; else each is wherever its hash says.
        together = [name for name in keys if name != "asset_id"] if "source_id" in keys else keys
        order = [*keys, *(name for name in ("kind", "timestamp") if name in rows.columns)]
        sent = rows.repartition(*together).sortWithinPartitions(*order)
    return sent.mapInArrow(_work(pickle.dumps(recipe), __version__, coming), _schema(recipe, spine))


def _work(
    recipe: bytes, version: str, coming: Coming
) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def work(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        # It goes to workers as it stands here, so that one without the package can say so.
        import pickle
        import sys

        try:
            from ai_hub import __version__
            from ai_hub.export.stream import training_stream
        except ImportError as error:
            raise RuntimeError(
                f"The Python of Spark's workers ({sys.executable}) lacks {error.name}. Install "
                f"ai-hub-feature-store {version} there, or let PYSPARK_PYTHON name an interpreter "
                "that has it, before the session is made."
            ) from None
        if __version__ != version:
            raise RuntimeError(
                f"Spark's workers ({sys.executable}) have ai-hub-feature-store {__version__}, and "
                f"the driver has {version}. Install the same version on both."
            )
        yield from training_stream(pickle.loads(recipe), batches, coming)

    return work


def _schema(recipe: Recipe, spine: DataFrame | None) -> T.StructType:
    """The columns of an export, in Spark's types."""
    keys = ("tenant_id", "asset_id")
    found = [T.StructField("timestamp", T.TimestampType(), False, {METADATA: _said(recipe)})]
    found += [T.StructField(name, T.StringType(), False) for name in keys]
    made = [
        T.StructField(field.name, _TYPES[field.type](), field.nullable)
        for field in recipe.rows("any").fields(every=recipe.has_rows_of_observations)
    ]
    labels = []
    if spine is not None:
        labels = [spine.schema[name] for name in frames.label_names(spine)]
        # `value` stands behind the keys, whoever has it.
        own = [label for label in labels if label.name == "value"]
        labels = [*own, *(label for label in labels if label.name != "value")]
    if recipe.has_value:
        return T.StructType([*found, made[0], *labels, *made[1:]])
    return T.StructType([*found, *labels, *made])


_TYPES: dict[pa.DataType, Any] = {
    pa.float64(): T.DoubleType,
    pa.int64(): T.LongType,
    pa.bool_(): T.BooleanType,
}


def _said(recipe: Recipe) -> str:
    """What a file of an export says of itself, as far as it is known before there are rows."""
    said = recipe.rows("any").metadata(recipe.range, 0, Counts())
    unknown = {"tenant_id", "row_count", "violations"}
    if recipe.range.start == FIRST_INSTANT:
        unknown.add("start_time")
    if recipe.range.end == LAST_INSTANT:
        unknown.add("end_time")
    kept = {key: text for key, text in said.items() if key.removeprefix("ai_hub.") not in unknown}
    return json.dumps(kept)

"""Which worker needs which rows: slices of long assets, and the assets that share a weather."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from ai_hub.definitions.values import FIRST_INSTANT, LAST_INSTANT
from ai_hub.spark.extra import functions as F
from ai_hub.spark.extra import window as W
from ai_hub.spark.frames import ENTITY
from ai_hub.stores.base import ScanRequest

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

SHARES = 32
"""So many workers at most are sent the weather of one source."""
_DRAWN = 4_000
"""So many of the rows of an asset that is just long are in a sample, about."""
_PARTS = 100
"""Stretches of time with as many rows each, by which the fullest slice is known."""
_FEWEST_REACHES = 4
"""A slice is so many times as long as what its rows reach at least, so that little comes twice."""


@dataclass(frozen=True)
class Slices:
    """How the rows of assets are spread.

    `long` has the assets that are cut: tenant_id, asset_id, _width (of a slice, in microseconds),
    and the numbers _low and _high of their first and last slice. `readers` say who reads the
    weather of which source (source_id) from _since to _until. Such columns beside the rows' own
    begin with an underscore: an attribute's rows have a `number` too.
    """

    needs: ScanRequest
    long: DataFrame | None = None
    readers: DataFrame | None = None
    has_weather: bool = False

    def spread(self, frame: DataFrame, first: Column, last: Column) -> DataFrame:
        """Rows that are read at instants from `first` to `last`, each for every worker that needs
        it; its asset's or (without `readers`) its source's weather is there too."""
        names = frame.columns
        found = frame
        if self.long is not None or self.readers is not None:
            found = found.withColumn("_first", first).withColumn("_last", last)
            start, end = F.lit(FIRST_INSTANT), F.lit(LAST_INSTANT)
            if self.readers is not None:
                found = found.join(self.readers, [*ENTITY], "left")
                start = F.coalesce(F.col("_since"), start)
                end = F.coalesce(F.col("_until"), end)
            found = found.withColumn("window_start", start).withColumn("window_end", end)
            if self.long is not None:
                found = self._cut(found.join(F.broadcast(self.long), [*ENTITY], "left"))
            begin, ends = F.col("window_start"), F.col("window_end")
            read = (begin <= ends) & (begin <= F.col("_last")) & (ends >= F.col("_first"))
            wanted = (begin <= self.needs.end) & (ends >= self.needs.start)
            found = found.where(read & wanted)
            names = [*names, "window_start", "window_end"]
        if not self.has_weather:
            return found.select(*names)
        source, share = F.col("asset_id"), F.lit(0)
        if self.readers is not None:
            source = F.coalesce(F.col("source_id"), source)
            share = F.pmod(F.xxhash64("asset_id"), F.lit(SHARES)).cast("int")
        return found.select(*names, source.alias("source_id"), share.alias("share"))

    def _cut(self, frame: DataFrame) -> DataFrame:
        """A row for each slice in which it is read; of assets that are not cut as it is."""
        low, high, width = F.col("_low"), F.col("_high"), F.col("_width")

        def numbered(at: Column) -> Column:
            return F.least(F.greatest(floored(at, width), low), high)

        numbers = F.sequence(numbered(F.col("_first")), numbered(F.col("_last")))
        alone = F.array(F.lit(None).cast("bigint"))
        found = frame.withColumn(
            "_number", F.explode(F.when(width.isNull(), alone).otherwise(numbers))
        )
        number = F.col("_number")
        start = F.when(number > low, number * width)
        end = F.when(number < high, (number + 1) * width - 1)
        return found.withColumn(
            "window_start", F.greatest(F.col("window_start"), start)
        ).withColumn("window_end", F.least(F.col("window_end"), end))


def floored(instant: Column, width: Column) -> Column:
    """The number of the slice of an instant, before 1970 too: Spark's own division rounds to 0."""
    return F.call_function("div", instant - F.pmod(instant, width), width)


class Long(NamedTuple):
    """The assets that are cut (the columns of `Slices.long`; None: none can be), and how many rows
    the fullest slice has, with what it reads."""

    assets: DataFrame | None
    most_rows: int


def long_assets(some: Callable[[float], DataFrame], needs: ScanRequest, most: int) -> Long | None:
    """The assets with more than about so many observations, known to the driver, and how they are
    cut; None if there are none.

    `some` draws a share of the observations: tenant_id, asset_id, timestamp. Of these rows are
    counted. What is earlier or later than all that was drawn is of the first or the last slice.
    """
    share = min(_DRAWN / most, 1.0)
    time = F.unix_micros("timestamp")
    parted = F.percentile_approx(time, [place / _PARTS for place in range(_PARTS + 1)])
    drawn = some(share).groupBy(*ENTITY).agg(F.count(F.lit(1)).alias("rows"), parted.alias("at"))
    reach = max(needs.lookback, needs.weather_lookback) + needs.lookahead
    cut, most_rows = [], 0
    for one in drawn.where(F.col("rows") > most * share).collect():
        at, rows = one["at"], one["rows"] / share
        width = max(math.ceil((at[-1] - at[0] + 1) * most / rows), _FEWEST_REACHES * reach, 1)
        low, high = at[0] // width, at[-1] // width
        if high > low:
            cut.append((one["tenant_id"], one["asset_id"], width, low, high))
        held = max(bisect_left(at, first + width + reach) - place for place, first in enumerate(at))
        most_rows = max(most_rows, math.ceil(held * rows / _PARTS))
    if not most_rows:
        return None
    layout = "tenant_id string, asset_id string, _width bigint, _low bigint, _high bigint"
    return Long(drawn.sparkSession.createDataFrame(cut, layout) if cut else None, most_rows)


def readers_of(mappings: DataFrame) -> DataFrame:
    """Who reads the weather of which source, from when to when; before its first mapping an asset
    has its own."""
    over = W.Window.partitionBy(*ENTITY).orderBy("_since")
    source = F.coalesce(F.col("source_id"), F.col("asset_id"))
    until = F.coalesce(F.lead("_since").over(over) - 1, F.lit(LAST_INSTANT))
    mapped = mappings.select(
        *ENTITY, source.alias("source_id"), "_since", until.alias("_until")
    ).where(F.col("_since") <= F.col("_until"))
    begins = mappings.groupBy(*ENTITY).agg(F.min("_since").alias("begins"))
    before = begins.where(F.col("begins") > FIRST_INSTANT).select(
        *ENTITY,
        F.col("asset_id").alias("source_id"),
        F.lit(FIRST_INSTANT).alias("_since"),
        (F.col("begins") - 1).alias("_until"),
    )
    return mapped.unionByName(before)

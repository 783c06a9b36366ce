"""An archive as Spark reads it: the files of its manifests, and live rows over them."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from ai_hub.archive.layer import FORM, KINDS, Kind
from ai_hub.archive.rows import KEYS, VALUES
from ai_hub.definitions.values import DEFAULT_SERIES, to_micros
from ai_hub.errors import InvalidInput
from ai_hub.spark import frames
from ai_hub.spark.extra import AnalysisException
from ai_hub.spark.extra import functions as F

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_MANIFEST = "manifest int, kind string, tenant_id string, parts array<struct<name: string>>"
_TYPES = {
    **dict.fromkeys(("tenant_id", "asset_id", "feature_type"), "string"),
    **dict.fromkeys(("timestamp", "issued_at"), "timestamp"),
    "quality": "int",
    "layer": "bigint",
}
"""Of its columns; measured values are doubles."""
_LIVE = (1 << 63) - 1
"""Above the number of every layer."""


def archived(
    session: SparkSession,
    url: str,
    kind: Kind = "observations",
    *,
    tenant_id: str | None = None,
    live: DataFrame | None = None,
    dropped_before: datetime | None = None,
) -> DataFrame:
    """The observations or the weather that `ai-hub archive` wrote below a URL (Spark's: `s3a://`),
    of one tenant or of all.

    Of a key that several layers have the newest one's row is taken, and that of `live` before all:
    rows of the database, by JDBC or from a file, in the columns that `training_set` reads. With
    them goes `dropped_before`, as `ai-hub archives` has it for the kind: what is sealed of later
    times is in the database too, and only there it is known what was taken back since. The
    manifests are read at once; files of a layer without one are left alone. Raises InvalidInput,
    also where there is no archive.
    """
    if kind not in KINDS:
        raise InvalidInput("kind", kind, "observations or weather")
    if (live is None) != (dropped_before is None):
        expected = "the time that `ai-hub archives` says, with live rows and only with them"
        raise InvalidInput("dropped_before", dropped_before, expected)
    keys = ("tenant_id", *KEYS[kind])
    columns = (*keys, *VALUES[kind], "layer")
    layout = ", ".join(f"{name} {_TYPES.get(name, 'double')}" for name in columns)
    names = _names(session, url.rstrip("/"), kind, tenant_id)
    if names:
        rows = session.read.schema(layout).parquet(*names)
    else:
        rows = session.createDataFrame([], layout)
    if live is not None and dropped_before is not None:
        until = F.timestamp_micros(F.lit(to_micros(dropped_before, "dropped_before")))
        rows = rows.where(F.col("timestamp") < until)
        rows = rows.unionByName(_live(live, kind, tenant_id))
    newest = (F.max_by(name, "layer").alias(name) for name in VALUES[kind])
    told = rows.groupBy(*keys).agg(*newest)
    # An observation without a value says that there is none any more.
    return told.where(F.col("value").isNotNull()) if kind == "observations" else told


def _names(session: SparkSession, url: str, kind: Kind, tenant_id: str | None) -> list[str]:
    """The files of all layers of a kind that have a manifest."""
    try:
        reader = session.read.schema(_MANIFEST).option("recursiveFileLookup", "true")
        found = reader.json(f"{url}/manifests").collect()
    except AnalysisException:
        expected = "the URL that ai-hub archive wrote to, with a folder manifests below it"
        raise InvalidInput("archive", url, expected) from None
    names = []
    for one in found:
        if one["manifest"] != FORM:
            expected = f"manifests of the form {FORM}, which this version of ai-hub reads"
            raise InvalidInput("archive", one["manifest"], expected)
        if one["kind"] == kind and tenant_id in (None, one["tenant_id"]):
            names += [f"{url}/{part['name']}" for part in one["parts"]]
    return names


def _live(frame: DataFrame, kind: Kind, tenant_id: str | None) -> DataFrame:
    """Live rows in the columns of an archive, above all its layers."""
    needed = ("asset_id", "value") if kind == "observations" else ("asset_id",)
    issued = [name for name in ("issued_at",) if name in KEYS[kind] and name in frame.columns]
    frames.checked(frame, "live", *needed, times=("timestamp", *issued))
    instead = {
        "feature_type": F.lit(DEFAULT_SERIES),
        "quality": F.lit(frames.MIN_QUALITY),
        "issued_at": F.col("timestamp"),
    }
    columns = frames.entity(frame, "live", tenant_id)
    for name in (*KEYS[kind], *VALUES[kind]):
        if name != "asset_id":
            given = F.col(name) if name in frame.columns else F.lit(None)
            told = F.coalesce(given, instead[name]) if name in instead else given
            columns.append(told.cast(_TYPES.get(name, "double")).alias(name))
    found = frame.select(*columns).withColumn("layer", F.lit(_LIVE))
    if kind == "observations":
        # A database may have a value again beside the note that it was taken back.
        usable = (F.col("quality") >= frames.MIN_QUALITY) & F.col("value").isNotNull()
        found = found.withColumn("layer", F.when(usable, _LIVE).otherwise(_LIVE - 1))
    return found if tenant_id is None else found.where(F.col("tenant_id") == tenant_id)

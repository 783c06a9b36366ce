"""`ai-hub export --engine spark`: files that Spark reads, and the training set as files."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ai_hub.cli.finding import asked
from ai_hub.cli.output import counted, document, nothing, say

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ai_hub.cli.backend import Document
    from ai_hub.definitions.feature_set import FeatureSet

Engine = Annotated[
    str,
    typer.Option(
        "--engine",
        metavar="NAME",
        help="local, or spark: Spark reads the files of --source, and writes a folder of files.",
    ),
]
Source = Annotated[
    str | None,
    typer.Option("--source", metavar="URL", help="With spark: Parquet files of observations."),
]
Weather = Annotated[
    str | None,
    typer.Option("--weather", metavar="URL", help="With spark: Parquet files of weather."),
]
WeatherSources = Annotated[
    str | None,
    typer.Option(
        "--weather-sources",
        metavar="URL",
        help="With spark: Parquet files that say which station each asset reads.",
    ),
]
Attributes = Annotated[
    str | None,
    typer.Option("--attributes", metavar="URL", help="With spark: Parquet files of attributes."),
]
Definitions = Annotated[
    str | None,
    typer.Option(
        "--definitions",
        metavar="FILE",
        help="With spark: a definitions file with the set, rather than what is applied.",
    ),
]

_NOT_BY_SPARK = {
    "model": "--model",
    "parts": "--parts",
    "partition_by": "--partition-by",
    "buckets": "--buckets",
    "detach": "--detach",
    "format": "--format",
}


def export_by_spark(
    request: Document,
    files: Mapping[str, str | None],
    definitions: str | None,
    output: str | None,
    force: bool,
    url: str | None,
    as_json: bool,
) -> None:
    """Write the rows that a request of `export` asks for.

    `files` are URLs of Parquet files by what is in them: observations, weather, weather_sources,
    attributes, spine.
    """
    from ai_hub.errors import InvalidInput

    for field, option in _NOT_BY_SPARK.items():
        if field in request:
            raise InvalidInput(option, request[field], "none with --engine spark")
    for option, value in (("--source", files["observations"]), ("--output", output)):
        if value is None:
            raise InvalidInput(option, None, "a URL or a path, with --engine spark")
    chosen = feature_set_of(request.get("feature_set"), definitions, url)
    rows = _written(chosen, request, files, str(output), force)
    said = {
        "status": "completed" if rows else "no_data",
        "feature_set": chosen.name,
        "version": chosen.version,
        "fingerprint": chosen.fingerprint,
        "storage_path": output,
        "row_count": rows,
    }
    if as_json:
        document(said)
    if not rows:
        nothing(f"There are no rows like that: the files of {output} are empty.")
    if not as_json:
        say(f"{output}: {counted(rows, 'row')}", "green")


def feature_set_of(name: str | None, definitions: str | None, url: str | None) -> FeatureSet:
    """A feature set by name: of a definitions file, else as it is applied, or built in.

    Raises InvalidInput, UnknownFeatureSet.
    """
    from ai_hub.definitions.document import read_set
    from ai_hub.definitions.file import load_file
    from ai_hub.definitions.freezing import frozen
    from ai_hub.definitions.registry import Registry
    from ai_hub.errors import InvalidInput

    if name is None:
        raise InvalidInput("--set", None, "a feature set")
    if definitions is not None:
        return frozen(Registry(load_file(definitions)).get(name))
    found = asked(url, lambda registry: registry.described(name), "built-in")
    features = [
        {key: value for key, value in one.items() if key != "holidays"}
        for one in found["definitions"]
    ]
    kept = ("name", "version", "missing", "series", "on_violation")
    chosen = frozen(read_set({key: found[key] for key in kept} | {"features": features}))
    if chosen.fingerprint != found["fingerprint"]:
        raise InvalidInput(
            "--set",
            name,
            "a set whose holidays are those that the library has now",
            "Give its definitions, with the dates that it was applied with, by --definitions FILE.",
        )
    return chosen


def _written(
    chosen: FeatureSet,
    request: Document,
    files: Mapping[str, str | None],
    output: str,
    force: bool,
) -> int:
    """How many rows were written."""
    from ai_hub.errors import ExportFailed
    from ai_hub.spark import training_set
    from ai_hub.spark.session import SparkError, opened_session

    with opened_session() as spark:
        try:
            frames = {
                name: _asked_for(name, spark.read.parquet(path), request)
                for name, path in files.items()
                if path is not None
            }
            how: dict[str, Any] = {
                key: request[key]
                for key in ("tenant_id", "horizons", "missing", "indicators", "frequency")
                if key in request
            }
            for key in ("start_time", "end_time"):
                if key in request:
                    how[key] = datetime.fromisoformat(request[key])
            made = training_set(feature_set=chosen, **frames, **how)
            mode = "overwrite" if force else "errorifexists"
            compression = request["compression"]
            made.write.mode(mode).option("compression", compression).parquet(output)
            return int(spark.read.parquet(output).count())
        except SparkError as error:
            raise ExportFailed(f"Spark: {str(error).strip().splitlines()[0]}") from error


def _asked_for(name: str, frame: Any, request: Document) -> Any:
    """The rows of the tenant, and of observations those of the assets, that are asked for."""
    if "tenant_id" in frame.columns:
        frame = frame.where(frame["tenant_id"] == request["tenant_id"])
    if name == "observations" and "asset_ids" in request:
        frame = frame.where(frame["asset_id"].isin(*request["asset_ids"]))
    return frame

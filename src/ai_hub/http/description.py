"""Every route with all that it takes and answers: the table of the OpenAPI document."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from ai_hub.intake.options import BatchKind

_AT = "2025-10-09T14:30:00Z"
_DAY = {"start_time": "2025-10-09T00:00:00Z", "end_time": "2025-10-10T00:00:00Z"}
_ACME = {"tenant_id": "acme"}
_DEFINITIONS = {"feature_sets": [{"name": "load_ratio", "version": 1, "features": [
    "lag_24h", {"kind": "Rolling", "name": "avg_48h", "stat": "mean", "window": "48h"},
    {"kind": "Derived", "name": "ratio", "expression": "lag_24h / avg_48h"}]}]}  # fmt: skip
_CHOSEN = {"feature_set": "forecast_basic", "timestamp": _AT}


@dataclass(frozen=True)
class Route:
    """One operation: its place, what it takes and what it answers.

    `query` is the names of its parameters, `needs` those that are required; `refuses` the statuses
    beside those that every route has.
    """

    method: Literal["get", "post", "put", "delete"]
    path: str
    summary: str
    answer: str | None
    body: str | None = None
    example: object = None
    query: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    refuses: tuple[int, ...] = ()
    tables: bool = False
    rows: BatchKind | None = None
    """Of which kind the rows are that it takes, with options of reading as parameters."""
    answers: dict[int, str] = field(default_factory=dict)
    in_tables: bool = False
    """Whether it answers tables, too, to who accepts one."""


ROUTES = (
    Route(
        "post", "/ai/features/get",
        "The features of one entity as of a time (now, when none is given).",
        "FeatureVector", "GetRequest", _ACME | {"asset_id": "meter-001"} | _CHOSEN,
        refuses=(404, 409),
    ),
    Route(
        "post", "/ai/features/batch", "The features of 1 to 1,000 entities of one tenant.",
        "BatchVectors", "BatchRequest",
        _ACME | {"asset_ids": ["meter-001", "meter-002"]} | _CHOSEN, refuses=(404, 409),
    ),
    Route(
        "post", "/ai/features/explain",
        "The features of one entity, each with what it read and why it has no value.",
        "Explanation", "ExplainRequest", _ACME | {"asset_id": "meter-001"} | _CHOSEN,
        refuses=(404, 409, 503),
    ),
    Route(
        "post", "/ai/features/history",
        "Series, features and weather of some assets over a range; as a table by `Accept`.",
        "History", "HistoryRequest",
        _ACME | {"asset_ids": ["meter-001"]} | _DAY | {"feature_set": "forecast_basic"},
        refuses=(404, 409, 503), in_tables=True,
    ),
    Route(
        "post", "/ai/features/chart",
        "The readings of one entity over a range, and a feature with where it was missing.",
        "Chart", "ChartRequest",
        _ACME | {"asset_id": "meter-001", "feature_set": "forecast_basic", "feature": "lag_24h",
                 "start_time": "2025-10-08T00:00:00Z", "end_time": "2025-10-09T14:30:00Z"},
        refuses=(404, 503),
    ),
    Route(
        "get", "/ai/features/sets", "Every feature set in every version, retired ones too.",
        "FeatureSets",
    ),
    Route(
        "get", "/ai/features/sets/{name}",
        "One feature set, by `name` (its default version) or `name@version`.", "FeatureSet",
        refuses=(404,),
    ),
    Route(
        "get", "/ai/features/sets/{name}/versions/{version}", "One version of a feature set.",
        "FeatureSet", refuses=(404,),
    ),
    Route(
        "post", "/ai/features/sets/plan",
        "What applying a document of definitions would change, and what looks wrong with it.",
        "RegistryPlan", "DefinitionsRequest", _DEFINITIONS, refuses=(503,),
    ),
    Route(
        "post", "/ai/features/sets/apply",
        "Have every process serve the feature sets of a document, all of them or none.",
        "RegistryPlan", "DefinitionsRequest", _DEFINITIONS, refuses=(409, 503),
    ),
    Route(
        "post", "/ai/features/sets/default",
        "Let the name of a feature set alone mean one of its versions.", "FeatureSet",
        "FeatureSetRequest", {"feature_set": "forecast_basic@1"}, refuses=(404, 503),
    ),
    Route(
        "post", "/ai/features/sets/retire",
        "Serve a version of a feature set no more; exports made with it stay readable.",
        "FeatureSet", "FeatureSetRequest", refuses=(404, 409, 503),
    ),
    Route(
        "post", "/ai/features/sets/{name}/rollout",
        "Let the name mean a version for a percentage of the entities, or finish or abort that.",
        "FeatureSet", "RolloutRequest", refuses=(404, 409, 503),
    ),
    Route("get", "/ai/features/models", "Every model that is bound to a feature set.", "Models"),
    Route(
        "post", "/ai/features/models/bind",
        "Bind a version of a model to a version of a feature set, as it is now.", "Model",
        "BindRequest", {"model": "load-model@3", "feature_set": "forecast_basic@1"},
        refuses=(404, 409, 503),
    ),
    Route(
        "post", "/ai/features/models/unbind", "Let a version of a model be bound to nothing.",
        "Model", "ModelRequest", refuses=(404, 503),
    ),
    Route(
        "get", "/ai/features/keys", "The access keys for tenants that are one's own.", "Keys",
    ),
    Route(
        "post", "/ai/features/keys", "Make an access key; only this answer has it.", "CreatedKey",
        "CreateKeyRequest", {"name": "grafana", "tenants": ["acme"], "scopes": ["read"],
                             "expires": "90d"}, refuses=(503,),
    ),
    Route(
        "post", "/ai/features/keys/revoke", "Let an access key be valid no more.", "Key",
        "KeyRequest", refuses=(404, 503),
    ),
    Route(
        "get", "/ai/features/audit", "Who changed what of one's own tenants, the newest first.",
        "Audit", query=("tenant_id", "what", "who", "start_time", "end_time", "before", "limit"),
        refuses=(422, 503),
    ),
    Route(
        "post", "/ai/features/delete", "Remove data of a tenant for good, or count what would go.",
        "Removed", "DeleteRequest",
        _ACME | {"asset_ids": ["meter-001"]} | _DAY | {"dry_run": True}, refuses=(503,),
    ),
    Route(
        "post", "/ai/features/archive", "Seal days of history as Parquet files.", "Archived",
        "ArchiveRequest", {"before": "2024-01-01T00:00:00Z", "to": "history", "drop": True},
        refuses=(503,),
    ),
    Route(
        "post", "/ai/features/unarchive", "Bring archived rows back, and end the archive.",
        "Unarchived", "UnarchiveRequest", {"lost": "the bucket was deleted"}, refuses=(503,),
    ),
    Route(
        "get", "/ai/features/archives", "What is sealed, of a tenant or of all.", "Archives",
        query=("tenant_id",), refuses=(422, 503),
    ),
    Route(
        "post", "/ai/features/ingest",
        "Land observations; 200 when any row landed. Rejected rows are counted and named.",
        "IngestResult", "Observations",
        _ACME | {"rows": [
            {"timestamp": "2025-10-09T14:00:00Z", "asset_id": "meter-001", "value": 42.5}]},
        ("tenant_id",), refuses=(503,), tables=True, rows="observations",
        answers={422: "IngestResult"},
    ),
    Route(
        "post", "/ai/features/ingest/weather",
        "Land weather rows of assets or of stations that assets share.",
        "IngestResult", "Weather",
        _ACME | {"rows": [
            {"timestamp": "2025-10-09T14:00:00Z", "asset_id": "station-1", "temperature": 11.5}]},
        ("tenant_id",), refuses=(503,), tables=True, rows="weather",
        answers={422: "IngestResult"},
    ),
    Route(
        "post", "/ai/features/ingest/attributes",
        "Land attributes of assets (capacity, timezone ...): a row a value, or a column a key.",
        "IngestResult", "Attributes",
        _ACME | {"rows": [
            {"asset_id": "meter-001", "key": "capacity", "value": 120},
            {"asset_id": "meter-001", "key": "timezone", "value": "Europe/Berlin"}]},
        ("tenant_id",), refuses=(503,), tables=True, rows="attributes",
        answers={422: "IngestResult"},
    ),
    Route(
        "put", "/ai/features/weather-sources",
        "Let assets take their weather from a station that they share, from a time on.",
        "Mapped", "WeatherSourceRequest",
        _ACME | {"source_id": "station-1", "asset_ids": ["meter-001"]}, refuses=(503,),
    ),
    Route(
        "post", "/ai/features/export",
        "Write a training set to Parquet in the export root, or below a URL that the settings "
        "allow (AI_HUB_EXPORT_URLS); answers when it is done, or after "
        "`wait_seconds` (10) with 202 and where to look at it. Who leaves does not end it.",
        "Export", "ExportRequest",
        _ACME | {"feature_set": "forecast_basic"} | _DAY | {"horizons": ["24h"]},
        refuses=(404, 409, 503), answers={202: "Export"},
    ),
    Route(
        "get", "/ai/features/exports", "Recorded exports, the newest first.", "Exports",
        query=("tenant_id", "limit"), refuses=(422, 503),
    ),
    Route(
        "get", "/ai/features/exports/{export_id}", "One recorded export, and how far it is.",
        "Export", refuses=(404, 503),
    ),
    Route(
        "delete", "/ai/features/exports/{export_id}",
        "End an export that is under way (202 until it has stopped); one that has ended stays.",
        "Export", refuses=(404, 503), answers={202: "Export"},
    ),
    Route(
        "post", "/ai/features/exports/{export_id}/resume",
        "Go on with an export that waits for a process, failed or was cancelled.",
        "Export", refuses=(404, 422, 503), answers={202: "Export"},
    ),
    Route(
        "post", "/ai/features/training-set",
        "The rows of a spine in their order, each with its labels and the features as of its time.",
        None, query=("tenant_id", "feature_set", "horizons", "missing", "indicators",
                     "compression", "format", "model"),
        needs=("tenant_id",), refuses=(404, 409, 503), tables=True,
    ),
    Route(
        "post", "/ai/features/drift",
        "How far what a set served (or its history gives) is from a baseline, feature by feature.",
        "Drift", "DriftRequest", _ACME | {"feature_set": "forecast_basic"} | _DAY,
        refuses=(404, 503),
    ),
    Route(
        "post", "/ai/features/drift/baseline",
        "Keep what the values of a set were in a time of history; each export keeps one, too.",
        "Baseline", "BaselineRequest", _ACME | {"feature_set": "forecast_basic"} | _DAY,
        refuses=(404, 503),
    ),
    Route(
        "get", "/ai/features/tenants", "The tenants that have data, or those of the key, sorted.",
        "Tenants", query=("limit",), refuses=(422, 503),
    ),
    Route(
        "get", "/ai/features/assets",
        "The assets of a tenant that were seen in the last day, sorted; with `details`, or one of "
        "the others, a page of all, with what is known of each.", "Assets",
        query=("tenant_id", "details", "since", "after", "limit", "search"),
        needs=("tenant_id",), refuses=(422, 503),
    ),
    Route(
        "get", "/ai/features/freshness",
        "How new the data of a tenant is, and the assets whose newest reading is the oldest.",
        "Freshness", query=("tenant_id", "limit"), needs=("tenant_id",), refuses=(422, 503),
    ),
    Route(
        "post", "/ai/features/cache/warm",
        "Have vectors ready, now's by default: of some assets or all, of a set or every one.",
        "Warmed", "WarmRequest", _ACME | {"asset_ids": ["meter-001"]} | _CHOSEN,
        refuses=(404, 503),
    ),
    Route(
        "post", "/ai/features/cache/invalidate",
        "Forget the cached vectors of some assets, of one set or all.", "Invalidated",
        "CacheRequest", _ACME | {"asset_ids": ["meter-001"]}, refuses=(404,),
    ),
    Route("get", "/ai/features/cache/stats", "What the cache holds, and its hit rate.",
          "CacheStats"),
    Route(
        "get", "/ai/features/status",
        "What the database is like: its size, its tables, the series of every tenant.", "Status",
        query=("exact",), refuses=(422, 503),
    ),
    Route("get", "/ai/features/doctor", "What is wrong, and which command mends it.", "Doctor",
          query=("tenant_id",), refuses=(422,)),
    Route("get", "/health", "That the server is alive, and which database it holds.", "Health"),
    Route(
        "get", "/health/ready", "How each part of the service is, and whether answers are right.",
        "Readiness", answers={503: "Readiness"},
    ),
    Route("get", "/metrics", "What was counted, for Prometheus.", None),
)  # fmt: skip
"""Every route that is described; the pages under `/docs` are for people."""

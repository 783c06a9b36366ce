"""What requests and answers look like, as JSON Schema: the words of the OpenAPI document."""

from __future__ import annotations

import json
from itertools import combinations
from typing import Any, get_args

from ai_hub.access.grant import MAX_TENANTS, SCOPES
from ai_hub.definitions.changes import Action
from ai_hub.definitions.document import SCHEMA
from ai_hub.definitions.json_schema import json_schema
from ai_hub.definitions.registry import Registry
from ai_hub.definitions.values import (
    MAX_ASSETS,
    MAX_BATCH,
    MAX_BODY_ROWS,
    MAX_ID_LENGTH,
    MAX_NAMES,
    MAX_SERIES_LENGTH,
)
from ai_hub.definitions.vocabulary import ON_VIOLATION, WEATHER_COLUMNS

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "number"}
COUNT: Schema = {"type": "integer", "minimum": 0}
FLAG: Schema = {"type": "boolean"}
_NO_CONTROLS = r"^[^\u0000-\u001F\u007F-\u009F\u2028\u2029]+$"
ID: Schema = {
    "type": "string",
    "minLength": 1,
    "maxLength": MAX_ID_LENGTH,
    "pattern": _NO_CONTROLS,
}
TIME: Schema = {
    "type": "string",
    "format": "date-time",
    "description": "ISO 8601 with an offset, of the years 1 to 9999",
}
NAME: Schema = {"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]{0,62}$"}
WIDTH: Schema = {
    "type": "string",
    "pattern": "^[1-9]([0-9]{0,11}(us|ms)|[0-9]{0,8}s|[0-9]{0,6}m|[0-9]{0,4}h|[0-9]{0,3}d"
    "|[0-9]{0,2}w)$",
    "description": 'Such as "90m", "24h" or "7d", at most 100 years',
}
POLICY: Schema = {
    "anyOf": [{"type": "string", "enum": ["mean", "zero", "keep"]}, NUMBER],
    "description": "What a missing value is filled with",
}

MODEL: Schema = {
    "type": "string",
    "pattern": "^[A-Za-z0-9_][A-Za-z0-9_.\\-]{0,99}@[1-9][0-9]{0,8}$",
    "description": "A model with its version, such as load-model@3",
}
_WHO: Schema = {"type": "string", "maxLength": 200, "pattern": r"^[^\u0000]*$"}


def nullable(schema: Schema) -> Schema:
    """What may be null or left out as well."""
    return {"anyOf": [schema, {"type": "null"}]}


def listed(schema: Schema, least: int, most: int | None = None) -> Schema:
    """A list of so many."""
    bounds = {"minItems": least} | ({} if most is None else {"maxItems": most})
    return {"type": "array", "items": schema, **bounds}


def table(values: Schema) -> Schema:
    """An object whose names are data."""
    return {"type": "object", "additionalProperties": values}


def fields(required: Schema, optional: Schema | None = None, closed: bool = False) -> Schema:
    """An object; a closed one has no other members."""
    more = {"additionalProperties": False} if closed else {}
    return {
        "type": "object",
        "properties": required | (optional or {}),
        "required": [*required],
        **more,
    }


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _asked(required: Schema, optional: Schema | None = None) -> Schema:
    return fields(required, optional, closed=True)


def set_name(registry: Registry) -> Schema:
    """The name of a feature set, by itself or with its version."""
    labels = [one.label for one in registry.sets()]
    names = dict.fromkeys(label.partition("@")[0] for label in labels)
    return {"type": "string", "enum": [*names, *labels]}


def _rows(name: str) -> Schema:
    return listed(_ref(name), 1, MAX_BODY_ROWS)


def _requests(registry: Registry) -> Schema:
    chosen = set_name(registry)
    versions = [one.label for one in registry.sets()]
    names = [*registry.feature_names]
    some = {
        "feature_set": nullable(chosen),
        "feature_names": nullable(
            {**listed({"type": "string", "enum": names}, 1, MAX_NAMES), "uniqueItems": True}
        ),
        "timestamp": nullable(TIME),
        "missing": nullable(POLICY),
        "model": nullable(MODEL),
    }
    ways = ("feature_set", "feature_names", "model")
    either = {"not": {"anyOf": [{"required": [*two]} for two in combinations(ways, 2)]}}
    assets = listed(ID, 1, MAX_ASSETS)
    measured = {str(name): nullable(NUMBER) for name in WEATHER_COLUMNS}
    return {
        "GetRequest": {**_asked({"tenant_id": ID, "asset_id": ID}, some), **either},
        "ExplainRequest": {
            **_asked({"tenant_id": ID, "asset_id": ID}, some),
            "not": {"required": ["feature_set", "model"]},
        },
        "BatchRequest": {
            **_asked({"tenant_id": ID, "asset_ids": listed(ID, 1, MAX_BATCH)}, some), **either,
        },
        "WeatherSourceRequest": _asked(
            {"tenant_id": ID, "source_id": nullable(ID), "asset_ids": assets},
            {"valid_from": nullable(TIME)},
        ),
        "WarmRequest": _asked(
            {"tenant_id": ID},
            {
                "asset_ids": nullable(assets), "feature_set": nullable(chosen),
                "timestamp": nullable(TIME),
            },
        ),
        "CacheRequest": _asked(
            {"tenant_id": ID, "asset_ids": assets}, {"feature_set": nullable(chosen)}
        ),
        "DefinitionsRequest": _asked(
            {"feature_sets": listed(_ref("DefinedFeatureSet"), 0, MAX_NAMES)},
            {"schema": {"const": SCHEMA}, "applied_by": _WHO},
        ),
        "FeatureSetRequest": _asked({"feature_set": {"type": "string", "enum": versions}}),
        "ModelRequest": _asked({"model": MODEL}),
        "CreateKeyRequest": {
            **_asked(
                {
                    "name": ID,
                    "scopes": listed({"type": "string", "enum": [*SCOPES]}, 1, len(SCOPES)),
                },
                {
                    "tenants": nullable(listed(ID, 1, MAX_TENANTS)), "all_tenants": FLAG,
                    "expires": nullable(WIDTH), "created_by": _WHO,
                },
            ),
            "oneOf": [
                {
                    "required": ["tenants"],
                    "properties": {
                        "tenants": {"type": "array"}, "all_tenants": {"const": False}
                    },
                },
                {
                    "required": ["all_tenants"],
                    "properties": {"tenants": {"type": "null"}, "all_tenants": {"const": True}},
                },
            ],
        },
        "KeyRequest": _asked({"id": TEXT}),
        "BindRequest": _asked(
            {"model": MODEL, "feature_set": {"type": "string", "enum": versions}},
            {"policy": nullable(POLICY), "bound_by": _WHO},
        ),
        "RolloutRequest": {
            **_asked(
                {},
                {
                    "to": {"type": "integer", "minimum": 1, "maximum": 999_999_999},
                    "percent": {"type": "number", "minimum": 0, "maximum": 100,
                                "description": "With at most two decimals"},
                    "finish": {"const": True}, "abort": {"const": True}, "begun_by": _WHO,
                },
            ),
            "oneOf": [
                {"required": [*some], "properties": dict.fromkeys(others, False)}
                for some, others in (
                    (("to", "percent"), ("finish", "abort")),
                    (("finish",), ("to", "percent", "abort")),
                    (("abort",), ("to", "percent", "finish")),
                )
            ],
        },
        **_defined(),
        "Observations": _asked({"tenant_id": ID, "rows": _rows("Observation")}),
        "Observation": fields(
            {"timestamp": TIME, "asset_id": ID, "value": NUMBER},
            {
                "feature_type": nullable(ID | {"maxLength": MAX_SERIES_LENGTH}),
                "quality": nullable({"type": "integer"}),
            },
        ),
        "Weather": _asked({"tenant_id": ID, "rows": _rows("WeatherRow")}),
        "WeatherRow": {
            **fields({"timestamp": TIME, "asset_id": ID}, {"issued_at": nullable(TIME)} | measured),
            "anyOf": [fields({name: NUMBER}) for name in measured],
        },
        "Attributes": _asked({"tenant_id": ID, "rows": _rows("Attribute")}),
        "Attribute": fields(
            {"asset_id": ID, "key": NAME, "value": {"anyOf": [NUMBER, ID, {"type": "null"}]}},
            {"valid_from": nullable(TIME)},
        ),
    }  # fmt: skip


def _defined() -> Schema:
    """The definitions of a document, by names that nothing else here has."""
    text = json.dumps(json_schema()["$defs"]).replace("#/$defs/", "#/components/schemas/Defined")
    return {f"Defined{name}": schema for name, schema in json.loads(text).items()}


_FEATURES = table({"type": ["number", "null"]})
_VERSION: Schema = {
    "version": nullable(COUNT), "fingerprint": TEXT, "policy": {"type": ["string", "number"]},
}  # fmt: skip
_NAMED: Schema = {"feature_set": nullable(TEXT), **_VERSION}
_ENTRY: Schema = {
    "features": _FEATURES, "missing": listed(TEXT, 0), "violations": listed(TEXT, 0),
    "degraded": FLAG, "cache_hit": FLAG,
}  # fmt: skip
_KEY: Schema = {
    "id": TEXT, "name": TEXT, "tenants": nullable(listed(TEXT, 1)), "scopes": listed(TEXT, 0),
    "state": {"type": "string", "enum": ["valid", "expired", "revoked"]}, "created_at": TIME,
    "created_by": TEXT, "expires_at": nullable(TIME), "revoked_at": nullable(TIME),
}  # fmt: skip
_ANSWERS: Schema = {
    "FeatureVector": fields(
        {"tenant_id": ID, "asset_id": ID, "timestamp": TIME, **_NAMED, **_ENTRY,
         "feature_count": COUNT, "computed_at": TIME},
        {"reason": TEXT},
    ),
    "BatchVectors": fields(
        {"tenant_id": ID, "timestamp": TIME, "feature_set": nullable(TEXT),
         **{name: nullable(schema) for name, schema in _VERSION.items()},
         # Under a rollout entities of one batch may have two versions: then each names its own.
         "results": table(fields(_ENTRY, {**_VERSION, "error": TEXT, "reason": TEXT}))}
    ),
    "FeatureSet": fields(
        {"name": TEXT, "version": COUNT, "fingerprint": TEXT, "description": TEXT,
         "owner": TEXT, "use_cases": listed(TEXT, 0), "missing": {"type": ["string", "number"]},
         "on_violation": {"type": "string", "enum": [*ON_VIOLATION]},
         "series": TEXT, "feature_count": COUNT, "features": listed(TEXT, 1),
         "definitions": listed(table({}), 1),
         "state": {"type": "string", "enum": ["active", "retired"]}, "default": FLAG,
         "applied_at": nullable(TIME), "applied_by": nullable(TEXT),
         "models": listed(TEXT, 0), "rollout": nullable(_ref("Rollout"))}
    ),
    "Rollout": fields(
        {"feature_set": TEXT, "from": COUNT, "to": COUNT, "percent": NUMBER, "begun_at": TIME,
         "begun_by": TEXT}
    ),
    "Model": fields(
        {"model": MODEL, "feature_set": TEXT, "fingerprint": TEXT, "policy": TEXT, "current": FLAG,
         "bound_at": TIME, "bound_by": TEXT}
    ),
    "Models": fields({"models": listed(_ref("Model"), 0)}),
    "Key": fields(_KEY),
    "CreatedKey": fields({**_KEY, "key": TEXT}),
    "Keys": fields({"keys": listed(_ref("Key"), 0)}),
    "RegistryPlan": fields(
        {"revision": COUNT, "allowed": FLAG, "changes": listed(_ref("RegistryChange"), 0),
         "warnings": listed(TEXT, 0)}
    ),
    "RegistryChange": fields(
        {"feature_set": TEXT,
         "action": {"type": "string", "enum": [*get_args(Action)]}, "fingerprint": TEXT,
         "default": FLAG, "retired": FLAG, "against": nullable(TEXT),
         "differences": listed(
             fields({"feature": nullable(TEXT), "field": TEXT, "before": {}, "after": {},
                     "text": TEXT}), 0),
         "reads": fields({"series": table(TEXT), "weather": table(TEXT),
                          "attributes": listed(TEXT, 0), "views": table(TEXT)}),
         "features": table(TEXT), "cold": FLAG, "notes": listed(TEXT, 0),
         "models": table(TEXT)}
    ),
    "FeatureSets": fields({"feature_sets": listed(_ref("FeatureSet"), 0)}),
    "IngestResult": fields(
        {"accepted": COUNT, "replaced": COUNT, "unchanged": COUNT, "duplicates": COUNT,
         "rejected": COUNT, "aged": COUNT, "unreadable": table(COUNT), "outside": table(COUNT),
         "reasons": listed(
             fields({"row": nullable(COUNT), "field": nullable(TEXT), "value": {}, "why": TEXT}),
             0),
         "warnings": listed(TEXT, 0)},
        # Of a dry run.
        {"dry_run": {"type": "boolean"}, "rows": listed(table({}), 0), "detected": listed(TEXT, 0),
         "options": table({})},
    ),
    "Mapped": fields(
        {"tenant_id": ID, "source_id": nullable(ID), "assets": COUNT, "changed": COUNT}
    ),
    "Assets": fields(
        {"tenant_id": ID},
        {"asset_ids": listed(ID, 0),
         # With details.
         "assets": listed(_ref("Asset"), 0), "next": nullable(ID)},
    ),
    "Asset": fields(
        {"asset_id": ID,
         "series": listed(
             fields({"name": TEXT, "first": TIME, "last": TIME,
                     "cadence_seconds": nullable(NUMBER), "gaps": COUNT,
                     "flat_since": nullable(TIME)}),
             0),
         "station": nullable(ID), "attributes": table({"type": ["number", "string"]})},
    ),
    "Tenants": fields({"tenants": listed(ID, 0)}),
    "Freshness": fields(
        {"tenant_id": ID, "assets": COUNT, "today": COUNT, "yesterday": COUNT, "week": COUNT,
         "older": COUNT, "stalest": listed(_ref("Asset"), 0)}
    ),
    "Warmed": fields({"assets": COUNT, "warmed": COUNT, "computed": COUNT}),
    "Invalidated": fields({"assets": COUNT, "invalidated": COUNT}),
    "CacheStats": fields(
        {"kind": TEXT, "entries": nullable(COUNT), "bytes": nullable(COUNT),
         "max_bytes": nullable(COUNT), "ttl_seconds": COUNT, "hits": COUNT, "misses": COUNT,
         "evicted": nullable(COUNT), "hit_rate": NUMBER}
    ),
    "Status": {
        "type": "object", "required": ["database", "mode", "bytes", "relations", "series"],
        "properties": {"database": TEXT, "mode": TEXT, "bytes": nullable(COUNT),
                       "relations": listed({"type": "object"}, 0),
                       "series": listed({"type": "object"}, 0)},
    },
    "Health": fields({"status": TEXT, "version": TEXT, "database": TEXT, "granularity": TEXT}),
    "Readiness": fields(
        {"status": {"type": "string", "enum": ["ok", "degraded", "down"]},
         "parts": table(fields({"state": TEXT, "detail": TEXT}))}
    ),
    "Problem": fields({"detail": TEXT, "field": nullable(TEXT)}),
}  # fmt: skip


def components(registry: Registry) -> Schema:
    """Every named schema; names of sets and features are those of the registry."""
    return _requests(registry) | _ANSWERS

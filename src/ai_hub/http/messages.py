"""What requests say, as typed values, and the decoding that names field, value and expectation."""

from __future__ import annotations

import re
from typing import Any, TypeVar

import msgspec

from ai_hub.errors import InvalidInput


class GetRequest(msgspec.Struct, forbid_unknown_fields=True):
    """One entity's features; every built-in feature without `feature_set` and `feature_names`."""

    tenant_id: str
    asset_id: str
    feature_set: str | None = None
    feature_names: list[str] | None = None
    timestamp: str | None = None
    missing: str | int | float | None = None


class BatchRequest(msgspec.Struct, forbid_unknown_fields=True):
    """The features of 1 to 1,000 entities of one tenant."""

    tenant_id: str
    asset_ids: list[str]
    feature_set: str | None = None
    feature_names: list[str] | None = None
    timestamp: str | None = None
    missing: str | int | float | None = None


class WeatherSourceRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Assets that take their weather from a source."""

    tenant_id: str
    source_id: str
    asset_ids: list[str]


class ExportRequest(msgspec.Struct, forbid_unknown_fields=True):
    """A training set; `output_path` is relative to the export root."""

    tenant_id: str
    feature_set: str
    start_time: str
    end_time: str
    asset_ids: list[str] | None = None
    output_path: str | None = None
    missing: str | int | float | None = None
    compression: str = "snappy"
    horizons: list[str] = []
    indicators: bool = False
    frequency: str | None = None


class CacheRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Assets whose cached vectors are made ready or forgotten, of one set or all."""

    tenant_id: str
    asset_ids: list[str]
    feature_set: str | None = None


class FeatureVector(msgspec.Struct):
    """One entity's answer, as `POST /ai/features/get` gives it."""

    tenant_id: str
    asset_id: str
    timestamp: str
    feature_set: str | None
    version: int | None
    fingerprint: str
    features: dict[str, int | float | None]
    feature_count: int
    missing: list[str]
    degraded: bool
    cache_hit: bool
    computed_at: str


class BatchEntry(msgspec.Struct):
    """One entity's part of a batch."""

    features: dict[str, int | float | None]
    missing: list[str]
    degraded: bool
    cache_hit: bool


class BatchVectors(msgspec.Struct):
    """The answers of a batch by asset, as `POST /ai/features/batch` gives them."""

    tenant_id: str
    timestamp: str
    feature_set: str | None
    version: int | None
    fingerprint: str
    results: dict[str, BatchEntry]


class Problem(msgspec.Struct):
    """Why a request was refused: a sentence, and the field it is about."""

    detail: str
    field: str | None = None


encode = msgspec.json.Encoder().encode

_T = TypeVar("_T")
_PLACE = re.compile(r"^(?P<what>.*?)(?: - at `(?P<path>[^`]*)`)?$", re.DOTALL)
_STEP = re.compile(r"\.([^.\[]+)|\[(\d+)\]")
_NAMED = re.compile(r"`([^`]*)`")
_EXPECTED = re.compile(r"Expected `([^`]*)`, got `[^`]*`")


class Malformed(InvalidInput):
    """A body that is not JSON."""


def decode(body: bytes, into: type[_T]) -> _T:
    """A JSON body as a request. Raises Malformed, or InvalidInput naming the field."""
    try:
        return msgspec.json.decode(body, type=into)
    except msgspec.ValidationError as error:
        raise refused(body, error) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed("body", body[:60].decode("utf-8", "replace"), f"JSON ({error})") from None


def refused(body: bytes, error: msgspec.ValidationError) -> InvalidInput:
    """msgspec's refusal of a body in our words, with the value it was about."""
    match = _PLACE.match(str(error))
    what, path = (match["what"], match["path"] or "$") if match else (str(error), "$")
    value: Any = msgspec.json.decode(body)
    steps = _STEP.findall(path)
    for name, index in steps:
        if index:
            value = value[int(index)]
        elif isinstance(value, dict):
            value = value.get(name)
    field = path.removeprefix("$").removeprefix(".")
    expected = _EXPECTED.search(what)
    if expected:
        return InvalidInput(field or "body", value, expected[1])
    named = _NAMED.search(what)
    name = named[1] if named else "body"
    if what.startswith("Object missing required field"):
        return InvalidInput(name, None, "a value: the field is required")
    if what.startswith("Object contains unknown field"):
        found = value.get(name) if isinstance(value, dict) else value
        return InvalidInput(name, found, "no such field")
    return InvalidInput(field or "body", value, what)

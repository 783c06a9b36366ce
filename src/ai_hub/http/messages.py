"""What requests say, as typed values, and the decoding that names field, value and expectation."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any, TypeVar

import msgspec

from ai_hub.errors import InvalidInput


class GetRequest(msgspec.Struct, forbid_unknown_fields=True):
    """One entity's features: of a set, of names, of what a model is bound to, or every built-in."""

    tenant_id: str
    asset_id: str
    feature_set: str | None = None
    feature_names: list[str] | None = None
    timestamp: str | None = None
    missing: str | int | float | None = None
    model: str | None = None


class ExplainRequest(msgspec.Struct, forbid_unknown_fields=True):
    """One entity's features, explained: what a GetRequest asks for, or some of a set or model."""

    tenant_id: str
    asset_id: str
    feature_set: str | None = None
    feature_names: list[str] | None = None
    timestamp: str | None = None
    missing: str | int | float | None = None
    model: str | None = None


class ChartRequest(msgspec.Struct, forbid_unknown_fields=True):
    """The readings of one entity over a range, with a feature of a set and a column of weather."""

    tenant_id: str
    asset_id: str
    feature_set: str
    start_time: str
    end_time: str
    feature: str | None = None
    weather: str | None = None
    points: int | float = 800


class BatchRequest(msgspec.Struct, forbid_unknown_fields=True):
    """The features of 1 to 1,000 entities of one tenant."""

    tenant_id: str
    asset_ids: list[str]
    feature_set: str | None = None
    feature_names: list[str] | None = None
    timestamp: str | None = None
    missing: str | int | float | None = None
    model: str | None = None


class WeatherSourceRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Assets that take their weather from a source (null: from their own rows) from a time on.

    Without `valid_from` an asset's first mapping holds always, and a later one from now on.
    """

    tenant_id: str
    source_id: str | None
    asset_ids: list[str]
    valid_from: str | None = None


class ExportRequest(msgspec.Struct, forbid_unknown_fields=True):
    """A training set, of `feature_set` or `model`; `output_path` is relative to the export root,
    or a URL that the settings allow.

    With `parts` it is a folder, with others in it by `partition_by`. The answer comes when the
    export has ended, or after `wait_seconds`.
    """

    tenant_id: str
    start_time: str
    end_time: str
    feature_set: str | None = None
    asset_ids: list[str] | None = None
    output_path: str | None = None
    missing: str | int | float | None = None
    compression: str = "snappy"
    horizons: list[str | dict[str, str | int | None]] = []
    indicators: bool = False
    frequency: str | None = None
    model: str | None = None
    parts: bool = False
    partition_by: list[str] | None = None
    buckets: int | float | None = None
    format: str = "parquet"
    wait_seconds: int | float = 10


class HistoryRequest(msgspec.Struct, forbid_unknown_fields=True):
    """What was of some assets over a time: series, features of `feature_set`, `model` or by their
    names, and weather, all of it or some columns."""

    tenant_id: str
    asset_ids: list[str]
    start_time: str
    end_time: str
    series: list[str] | None = None
    feature_set: str | None = None
    features: list[str] | None = None
    weather: bool | list[str] = False
    missing: str | int | float | None = None
    indicators: bool = False
    frequency: str | None = None
    limit: int | float = 100_000
    model: str | None = None


class BaselineRequest(msgspec.Struct, forbid_unknown_fields=True):
    """A time of history of `feature_set` or `model`: by default the year before now, of the one
    tenant that there is."""

    tenant_id: str | None = None
    feature_set: str | None = None
    start_time: str | None = None
    end_time: str | None = None
    model: str | None = None


class DriftRequest(BaselineRequest, forbid_unknown_fields=True):
    """At most seven days of `feature_set` or `model`, by default the last ones, and what they are
    compared with, by default the newest baseline."""

    source: str | None = None
    baseline_id: str | None = None


class WarmRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Assets (by default those seen in the last day) whose vectors are made ready at a time."""

    tenant_id: str
    asset_ids: list[str] | None = None
    feature_set: str | None = None
    timestamp: str | None = None


class CacheRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Assets whose cached vectors are forgotten, of one set or all."""

    tenant_id: str
    asset_ids: list[str]
    feature_set: str | None = None


class DefinitionsRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Feature sets to plan or apply, as in a definitions file; who applies them is noted."""

    feature_sets: list[Any]
    schema: int = 1
    applied_by: str = ""


class FeatureSetRequest(msgspec.Struct, forbid_unknown_fields=True):
    """A version of a feature set, as `name@version`."""

    feature_set: str


class ModelRequest(msgspec.Struct, forbid_unknown_fields=True):
    """A version of a model, as `name@version`."""

    model: str


class BindRequest(msgspec.Struct, forbid_unknown_fields=True):
    """A version of a model and that of a feature set; without a policy, it is that of the set."""

    model: str
    feature_set: str
    policy: str | int | float | None = None
    bound_by: str = ""


class RolloutRequest(msgspec.Struct, forbid_unknown_fields=True):
    """A version for a percentage of the entities, or the end of its rollout, one way or another."""

    to: int | float | None = None
    percent: int | float | None = None
    finish: bool = False
    abort: bool = False
    begun_by: str = ""


class CreateKeyRequest(msgspec.Struct, forbid_unknown_fields=True):
    """What an access key is called, for whom it is and what it allows, and for how long."""

    name: str
    scopes: list[str]
    tenants: list[str] | None = None
    all_tenants: bool = False
    expires: str | None = None
    created_by: str = ""


class KeyRequest(msgspec.Struct, forbid_unknown_fields=True):
    """An access key, by its id."""

    id: str


class DeleteRequest(msgspec.Struct, forbid_unknown_fields=True):
    """What to remove of a tenant: of assets (null: all), of one series (null: all), of a time."""

    tenant_id: str
    asset_ids: list[str] | None = None
    series: str | None = None
    start_time: str | None = None
    end_time: str | None = None
    weather: bool = False
    dry_run: bool = False


class ArchiveRequest(msgspec.Struct, forbid_unknown_fields=True):
    """What to seal, and where: days before a time, of a tenant or (null) of all."""

    before: str
    to: str
    tenant_id: str | None = None
    drop: bool = False


class UnarchiveRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Why rows that are in the archive alone are given up (null: they come back)."""

    lost: str | None = None


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
_WORDS = {
    "array": "a list",
    "bool": "true or false",
    "float": "a number",
    "int": "a whole number",
    "object": "an object",
    "str": "a string",
}
_SHOWN_BYTES = 60
_SHOWN_NAME = 80
_MOST_SHOWN = 64 * 1024
"""Bytes of a body whose values are quoted. To find one in a larger body takes a second reading."""
_MOST_DIGITS = 1_000


class _Unshown:
    def __repr__(self) -> str:
        return "what stands there in a large body"


_UNSHOWN = _Unshown()


class Malformed(InvalidInput):
    """A body that is not JSON."""


def decode(body: bytes, into: type[_T]) -> _T:
    """A JSON body as a request. Raises Malformed, or InvalidInput naming the field."""
    try:
        return msgspec.json.decode(body, type=into)
    except msgspec.ValidationError as error:
        raise refused(body, error, into) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _unreadable(body, error) from None


def refused(body: bytes, error: msgspec.ValidationError, into: type) -> InvalidInput:
    """msgspec's refusal of a body in our words, with the value it was about."""
    value: Any
    try:
        if len(body) <= _MOST_SHOWN:
            value = _read(body)
        else:
            # Whether it is JSON at all, which is found much faster than what is in it.
            msgspec.json.decode(body, type=msgspec.Raw)
            value = _UNSHOWN
    except (ValueError, RecursionError, msgspec.DecodeError) as deeper:
        return _malformed(body, deeper)
    match = _PLACE.match(str(error))
    what, path = (match["what"], match["path"] or "$") if match else (str(error), "$")
    for name, index in _STEP.findall(path):
        if isinstance(value, list) and index:
            value = value[int(index)]
        elif isinstance(value, dict):
            value = value.get(name)
    field = path.removeprefix("$").removeprefix(".") or "body"
    named = _NAMED.search(what)
    if what.startswith("Object missing required field") and named:
        return InvalidInput(named[1], None, "a value: the field is required")
    if what.startswith("Object contains unknown field") and named:
        found = value.get(named[1]) if isinstance(value, dict) else value
        known = ", ".join(getattr(into, "__struct_fields__", ()))
        return InvalidInput(named[1][:_SHOWN_NAME], found, f"no fields but {known}")
    return InvalidInput(field, value, in_words(what))


def in_words(what: str) -> str:
    """What msgspec expected, as people say it."""
    expected = _EXPECTED.search(what)
    if not expected:
        return "a number that a float can hold" if "out of range" in what else what
    kinds = expected[1].replace("int | float", "float").split(" | ")
    return " or ".join(_WORDS.get(kind, kind) for kind in kinds)


def _unreadable(body: bytes, error: Exception) -> InvalidInput:
    """Why msgspec cannot read a body: a value that JSON does not have, or that it is not JSON."""
    if len(body) > _MOST_SHOWN:
        return _malformed(body, error)
    try:
        found: object = _read(body)
    except (ValueError, RecursionError):
        return _malformed(body, error)
    # The standard library reads half a surrogate pair and what Python writes for NaN.
    above: list[tuple[str, Iterator[tuple[object, object]]]] = [("", iter([("", found)]))]
    while above:
        path, within = above[-1]
        for key, value in within:
            if isinstance(value, dict | list):
                members = value.items() if isinstance(value, dict) else enumerate(value)
                above.append((_place(path, key), iter(members)))
                break
            expected = ""
            if isinstance(value, float) and not math.isfinite(value):
                expected = "a finite number"
            elif isinstance(value, str) and not value.isascii() and _plain(value) != value:
                expected = "a string without lone surrogates"
            if expected:
                field = _place(path, key).removeprefix(".") or "body"
                return InvalidInput(field, value, expected)
        else:
            above.pop()
    return _malformed(body, error)


def _place(path: str, key: object) -> str:
    """The place of a member below a path."""
    if isinstance(key, int):
        return f"{path}[{key}]"
    return f"{path}.{_plain(str(key))}" if key else path


def _read(body: bytes) -> Any:
    return json.loads(body, parse_int=_whole)


def _whole(digits: str) -> int | float:
    # Python neither reads nor prints integers of more than some thousand digits.
    return int(digits) if len(digits) < _MOST_DIGITS else float(digits)


def _plain(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


def _malformed(body: bytes, error: Exception) -> Malformed:
    return Malformed("body", body[:_SHOWN_BYTES].decode("utf-8", "replace"), f"JSON ({error})")

"""The JSON Schema of a document of definitions, made of the kinds themselves, for editors.

What it lets through, `document.read_document` may still refuse (a zone that is none, an input that
is no feature of the set), and never the other way round.
"""

from __future__ import annotations

from dataclasses import MISSING, Field, fields
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from ai_hub.definitions.builtin_features import BY_NAME
from ai_hub.definitions.document import KINDS, SCHEMA
from ai_hub.definitions.feature_set import MAX_VERSION, FeatureSet
from ai_hub.definitions.holidays import MAX_DAYS, HolidayDates
from ai_hub.definitions.kinds import Feature, fields_of
from ai_hub.definitions.valid_range import ValidRange, ValidValues
from ai_hub.definitions.values import MAX_NAMES, MAX_TEXT

Schema = dict[str, Any]

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_NUMBER_OR_NULL: Schema = {"type": ["number", "null"]}
_SHAPES: dict[type, Schema] = {
    ValidRange: {
        "anyOf": [
            {"type": "array", "items": _NUMBER_OR_NULL, "minItems": 2, "maxItems": 2},
            {
                "type": "object",
                "properties": {"low": _NUMBER_OR_NULL, "high": _NUMBER_OR_NULL},
                "minProperties": 1,
                "additionalProperties": False,
            },
        ]
    },
    ValidValues: {
        "type": "object",
        "properties": {
            "values": {
                "type": "array",
                "items": {"type": "number"},
                "minItems": 1,
                "maxItems": MAX_NAMES,
            }
        },
        "required": ["values"],
        "additionalProperties": False,
    },
    HolidayDates: {
        "type": "object",
        "properties": {
            "days": {"type": "array", "items": {"type": "integer"}, "maxItems": MAX_DAYS},
            "last_year": {"type": "integer"},
        },
        "required": ["days", "last_year"],
        "additionalProperties": False,
    },
}
_NAME = "^[A-Za-z_][A-Za-z0-9_]{0,62}$"


def json_schema() -> Schema:
    """The schema of a definitions file, and of what plan and apply take over HTTP."""
    named = {"enum": [*BY_NAME], "description": "A built-in feature, by its name"}
    return {
        "$schema": _DIALECT,
        "title": "Feature sets of ai-hub",
        "type": "object",
        "properties": {
            "schema": {"const": SCHEMA, "description": "The form of this document"},
            "feature_sets": {
                "type": "array",
                "maxItems": MAX_NAMES,
                "items": {"$ref": "#/$defs/FeatureSet"},
            },
        },
        "required": ["feature_sets"],
        "additionalProperties": False,
        "$defs": {
            "FeatureSet": _feature_set(),
            "Feature": {
                "anyOf": [named, *({"$ref": f"#/$defs/{name}"} for name in KINDS)],
            },
            **{name: _kind(name, kind) for name, kind in KINDS.items()},
        },
    }


def _feature_set() -> Schema:
    hints = get_type_hints(FeatureSet)
    features = {
        "type": "array",
        "minItems": 1,
        "maxItems": MAX_NAMES,
        "items": {"$ref": "#/$defs/Feature"},
    }
    properties = {
        field.name: features if field.name == "features" else _field(field, hints[field.name])
        for field in fields(FeatureSet)
    }
    # A set of a document has a name and a version; one of a request has neither.
    properties["name"] = {"type": "string", "pattern": _NAME}
    properties["version"] = {"type": "integer", "minimum": 1, "maximum": MAX_VERSION}
    return {
        "type": "object",
        "properties": properties,
        "required": ["name", "version", "features"],
        "additionalProperties": False,
    }


def _kind(name: str, kind: type[Feature]) -> Schema:
    hints = get_type_hints(kind)
    known = fields_of(kind)
    needed = [one.name for one in known if one.default is MISSING]
    return {
        "type": "object",
        "description": (kind.__doc__ or "").partition("\n\n")[0].replace("\n    ", " "),
        "properties": {
            "kind": {"const": name},
            **{field.name: _field(field, hints[field.name]) for field in known},
        },
        "required": ["kind", *needed],
        "additionalProperties": False,
    }


def _field(field: Field[Any], hint: object) -> Schema:
    if field.name == "name":
        return {"type": "string", "pattern": _NAME}
    schema = _type(hint)
    default = field.default
    if isinstance(default, str):
        return schema if not default else {**schema, "default": str(default)}
    if default is None or isinstance(default, int | float):
        return schema if default is None else {**schema, "default": default}
    return schema if default in (MISSING, ()) else {**schema, "default": str(default)}


def _type(hint: object) -> Schema:
    """What a field of a type may be in JSON."""
    origin, inside = get_origin(hint), get_args(hint)
    if origin in (UnionType, Union):
        return {"anyOf": [_type(one) for one in inside]}
    if origin is Literal:
        return {"enum": [*inside]}
    if origin in (tuple, frozenset):
        items = [one for one in inside if one is not ...]
        each = _type(items[0]) if len(set(items)) == 1 else {"anyOf": [*map(_type, items)]}
        return {"type": "array", "items": each, "maxItems": MAX_NAMES}
    if not isinstance(hint, type):
        raise TypeError(f"{hint!r} has no JSON")
    plain: dict[type, Schema] = {
        NoneType: {"type": "null"},
        bool: {"type": "boolean"},
        int: {"type": "integer"},
        float: {"type": "number"},
        str: {"type": "string", "maxLength": MAX_TEXT},
    }
    if hint in plain:
        return plain[hint]
    if hint in _SHAPES:
        return _SHAPES[hint]
    # A value of our own, which is written as a text: a width, say.
    first = (hint.__doc__ or hint.__name__).partition("\n")[0]
    return {"type": "string", "minLength": 1, "description": first}

"""Feature sets as plain values, and back: the words of files, requests and the registry.

    {"schema": 1, "feature_sets": [{"name": "ramps", "version": 1, "features": [
        "hour_of_day", {"kind": "Rolling", "name": "avg_48h", "stat": "mean", "window": "48h"}]}]}

A feature is the name of a built-in one, or its kind and the fields of that kind. Fields at their
default are left out. All of it follows from the kinds themselves: a new one, or a new field, is
read and written without a word here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, fields
from typing import Any, get_args

from ai_hub.definitions.builtin_features import builtin_of
from ai_hub.definitions.feature_set import FeatureSet
from ai_hub.definitions.holidays import HolidayDates
from ai_hub.definitions.kinds import Derived, Feature, fields_of, is_default
from ai_hub.definitions.valid_range import ValidRange, ValidValues, valid_document
from ai_hub.definitions.values import MAX_NAMES, check_list
from ai_hub.errors import InvalidDefinition, InvalidInput, did_you_mean

SCHEMA = 1
"""The form of a document, as a number: raised when an older release could misread a newer form."""

KINDS: Mapping[str, type[Feature]] = {kind.__name__: kind for kind in get_args(Feature)}
"""Every kind of feature by its name."""

Place = tuple[str | int, ...]
"""Where in a document: names of members, and positions in lists."""

_LEFT_TO_KIND = "kind"
_SET_FIELDS = tuple(field.name for field in fields(FeatureSet))
_NEEDED = ("name", "version", "features")
_TOP = ("schema", "feature_sets")


def document_of(feature_sets: Iterable[FeatureSet]) -> dict[str, object]:
    """Feature sets as a document."""
    return {"schema": SCHEMA, "feature_sets": [_plain_set(one) for one in feature_sets]}


def text_of(feature_set: FeatureSet) -> str:
    """One feature set as the registry keeps it: a document in JSON."""
    return json.dumps(document_of([feature_set]), ensure_ascii=False, separators=(",", ":"))


def set_of_text(text: str) -> FeatureSet:
    """The feature set of a text of the registry. Raises InvalidDefinition."""
    (found,) = read_document(json.loads(text))
    return found


def read_document(document: object) -> tuple[FeatureSet, ...]:
    """The feature sets of a document, in its order.

    Raises InvalidDefinition, which names the place, the value and what is expected there.
    """
    top = _mapping(document, (), "document", "a document with feature_sets")
    _known(top, _TOP, (), "document")
    schema = top.get("schema", SCHEMA)
    if type(schema) is not int or schema != SCHEMA:
        hint = "A newer release of ai-hub wrote it." if type(schema) is int and schema > 1 else ""
        raise InvalidDefinition(("schema",), "schema", schema, str(SCHEMA), hint)
    if "feature_sets" not in top:
        raise InvalidDefinition((), "feature_sets", None, "a list of feature sets")
    try:
        given = check_list("feature_sets", top["feature_sets"], "feature sets", MAX_NAMES)
    except InvalidInput as error:
        raise _at(error, ("feature_sets",), "feature_sets") from None
    return unique(read_set(one, ("feature_sets", i)) for i, one in enumerate(given))


def unique(feature_sets: Iterable[FeatureSet]) -> tuple[FeatureSet, ...]:
    """The sets, each of them a version of its own. Raises InvalidDefinition."""
    found: dict[str, FeatureSet] = {}
    for i, one in enumerate(feature_sets):
        if one.label in found:
            place: Place = ("feature_sets", i, "version")
            raise InvalidDefinition(
                place, f"{one.label}.version", one.version, "each version of a set once"
            )
        found[one.label] = one
    return tuple(found.values())


def read_set(plain: object, place: Place = ()) -> FeatureSet:
    """One feature set from plain values. Raises InvalidDefinition."""
    given = _mapping(plain, place, _shown(place), "a feature set with name, version and features")
    label = _label(given) or _shown(place)
    _known(given, _SET_FIELDS, place, label)
    for name in _NEEDED:
        if given.get(name) is None:
            raise InvalidDefinition((*place, name), f"{label}.{name}", None, "a value")
    try:
        features = check_list("features", given["features"], "features", MAX_NAMES)
    except InvalidInput as error:
        raise _at(error, (*place, "features"), f"{label}.features") from None
    read = [_feature(one, (*place, "features", i), label) for i, one in enumerate(features)]
    try:
        return FeatureSet(**{**given, "features": read})
    except InvalidInput as error:
        # It is a derived feature that is no such arithmetic, or a circle of some.
        field = "features" if error.field == "expression" else error.field
        for i, one in enumerate(read):
            if isinstance(one, Derived) and ("expression", one.expression) == (
                error.field,
                error.value,
            ):
                where = (*place, "features", i, "expression")
                raise _at(error, where, f"{label}.{one.name}.expression") from None
        raise _at(error, (*place, field), f"{label}.{field}") from None


def plain_feature(feature: Feature) -> dict[str, object]:
    """A feature as its kind and its fields, without those at their default.

    What is said of a built-in feature is its default.
    """
    plain: dict[str, object] = {_LEFT_TO_KIND: type(feature).__name__}
    known = builtin_of(feature)
    for field in fields_of(feature):
        value = getattr(feature, field.name)
        said = known is None or value != getattr(known, field.name)
        said |= field.name not in ("unit", "description", "valid")
        if said and not is_default(field, value):
            plain[field.name] = _plain(value)
    return plain


def _plain_set(feature_set: FeatureSet) -> dict[str, object]:
    plain: dict[str, object] = {}
    bare = FeatureSet(feature_set.name, feature_set.version, feature_set.features)
    for field in fields(feature_set):
        value = getattr(feature_set, field.name)
        if field.name == "features":
            plain[field.name] = [plain_feature(one) for one in feature_set.features]
        elif field.name in _NEEDED or value != getattr(bare, field.name):
            plain[field.name] = _plain(value)
    return plain


def _plain(value: object) -> object:
    """A value of a field as JSON has it: a width, say, by its text."""
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, tuple | list):
        return [_plain(one) for one in value]
    if isinstance(value, ValidRange | ValidValues):
        return valid_document(value)
    return value.document() if isinstance(value, HolidayDates) else str(value)


def _feature(plain: object, place: Place, label: str) -> object:
    """A feature; a text stays what it is, for the set to look up."""
    where = f"{label}.features[{place[-1]}]"
    if isinstance(plain, str):
        return plain
    given = dict(_mapping(plain, place, where, "a built-in feature's name, or kind and fields"))
    name = given.get("name")
    if isinstance(name, str) and name.isidentifier() and len(name) < 64:
        where = f"{label}.{name}"
    kind = given.pop(_LEFT_TO_KIND, None)
    made = KINDS.get(kind) if isinstance(kind, str) else None
    if made is None:
        hint = did_you_mean(kind, KINDS)
        raise InvalidDefinition(
            (*place, "kind"), f"{where}.kind", kind, f"one of {', '.join(KINDS)}", hint
        )
    known = {field.name: field for field in fields_of(made)}
    _known(given, known, place, where, f"a field of {kind}")
    for field in known.values():
        needed = field.default is MISSING and field.default_factory is MISSING
        if needed and given.get(field.name) is None:
            raise InvalidDefinition(
                (*place, field.name), f"{where}.{field.name}", None, f"a value: {kind} needs it"
            )
    values = {key: tuple(one) if isinstance(one, list) else one for key, one in given.items()}
    try:
        build: Callable[..., Feature] = made
        return build(**values)
    except InvalidInput as error:
        raise _at(error, (*place, error.field), f"{where}.{error.field}") from None


def _mapping(value: object, place: Place, where: str, expected: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise InvalidDefinition(place, where, value, expected)
    return value


def _known(
    given: Mapping[str, Any],
    known: Iterable[str],
    place: Place,
    where: str,
    what: str = "a known field",
) -> None:
    """Raise InvalidDefinition for a member that is none of those known."""
    for name in given:
        if name not in known:
            hint, expected = did_you_mean(name, known), f"{what}: {', '.join(known)}"
            raise InvalidDefinition(
                (*place, name), f"{where}.{name}"[:160], given[name], expected, hint
            )


def _label(given: Mapping[str, Any]) -> str:
    """What to call a set that may be wrong: its name and version where they are such."""
    name, version = given.get("name"), given.get("version")
    if not isinstance(name, str) or not name.isidentifier() or len(name) > 63:
        return ""
    return f"{name}@{version}" if type(version) is int and 0 < version < 10**9 else name


def _shown(place: Place) -> str:
    """A place as people write it: feature_sets[0]."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)
    return "".join(parts).removeprefix(".") or "feature set"


def _at(error: InvalidInput, place: Place, where: str) -> InvalidDefinition:
    """The same refusal, with its place in the document."""
    return InvalidDefinition(place, where, error.value, error.expected, error.hint)

"""What applying feature sets to a registry would change, field by field."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ai_hub.definitions.feature_set import FeatureSet, definition_of
from ai_hub.definitions.freezing import Dates, frozen, library_dates, notes
from ai_hub.definitions.registry import Registry
from ai_hub.errors import RegistryConflict, UnknownFeatureSet

Action = Literal["create", "describe", "update semantics", "none", "refuse"]
"""A new version; other words about one that is there; one whose fingerprint this release makes
anew, with the definition as it was; no change; another definition, which no version takes."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A field that is another: of a feature, or (None) of the set; None where it is not there."""

    feature: str | None
    field: str
    before: object
    after: object

    def __str__(self) -> str:
        match self.feature, self.field, self.before, self.after:
            case str(name), "kind", None, _:
                return f"+ {name}: {self.after}"
            case str(name), "kind", _, None:
                return f"- {name}: {self.before}"
            case None, field, before, after:
                return f"~ {field}: {_shown(before)} -> {_shown(after)}"
            case name, field, before, after:
                return f"~ {name}.{field}: {_shown(before)} -> {_shown(after)}"

    def document(self) -> dict[str, object]:
        """The same as plain values."""
        return {
            "feature": self.feature,
            "field": self.field,
            "before": self.before,
            "after": self.after,
        }


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of one version; its differences are from `against`, the version that is there,
    or of a new one the newest before it."""

    feature_set: FeatureSet
    action: Action
    against: str | None = None
    differences: tuple[Difference, ...] = ()
    is_default: bool = False
    is_retired: bool = False
    notes: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """`name@version`."""
        return self.feature_set.label


def changes_of(
    registry: Registry,
    stored: Mapping[str, str],
    feature_sets: Iterable[FeatureSet],
    dates: Dates = library_dates,
    views: Mapping[str, str] | None = None,
) -> tuple[Change, ...]:
    """What applying the sets would do; `stored` are the fingerprints that were applied, by label.

    What is not among the sets stays as it is. Holidays become `dates`, those of a version that is
    there stay as they are; `views` have the hash of what each view says now. Raises InvalidInput
    for holidays that nobody knows.
    """
    found = []
    first_of: set[str | None] = set()
    for given in feature_sets:
        known = _known(registry, given.label)
        one = frozen(given, known, dates, views or {})
        if known is None:
            # A name alone means the first version that came.
            earlier = registry.versions(one.name)
            is_default = not earlier and one.name not in first_of
            first_of.add(one.name)
            newest = max(earlier, key=lambda other: other.version or 0, default=None)
            found.append(
                Change(
                    one,
                    "create",
                    newest.label if newest else None,
                    differences(newest, one) if newest else (),
                    is_default,
                )
            )
            continue
        action: Action = "none"
        if known.fingerprint != one.fingerprint:
            action = "refuse"
        elif stored.get(one.label, one.fingerprint) != one.fingerprint:
            action = "update semantics"
        elif one.label in stored and _words(known) != _words(one):
            action = "describe"
        found.append(
            Change(
                one,
                action,
                known.label,
                differences(known, one),
                registry.is_default(known),
                registry.is_retired(known),
                notes(known, dates),
            )
        )
    return tuple(found)


def check_allowed(registry: Registry, changes: Iterable[Change]) -> None:
    """Raise RegistryConflict if versions would have another definition: all of them are named, each
    with its differences."""
    refused = [one for one in changes if one.action == "refuse"]
    if not refused:
        return
    first = refused[0].feature_set
    advice = ", ".join(
        f"{one.feature_set.name}@{next_version(registry, one.feature_set.name)}" for one in refused
    )
    raise RegistryConflict(
        "version",
        ", ".join(one.label for one in refused) if len(refused) > 1 else first.label,
        "a version whose definition is unchanged",
        f"Raise the version: apply the new definition as {advice}.\n"
        + "\n".join(said(one) for one in refused),
    )


def said(change: Change) -> str:
    """The differences of a change, a line for each."""
    lines = (f"  {one}" for one in change.differences)
    return "\n".join([f"{change.label} is there and differs:", *lines])


def next_version(registry: Registry, name: str | None) -> int:
    """The version after the newest one of a set."""
    return 1 + max((one.version or 0 for one in registry.versions(name)), default=0)


def differences(before: FeatureSet, after: FeatureSet) -> tuple[Difference, ...]:
    """Where two sets differ, features by name: fields of the set, then of its features."""
    return described_differences(before.document(), after.document())


def described_differences(
    before: Mapping[str, Any], after: Mapping[str, Any]
) -> tuple[Difference, ...]:
    """The same of two sets as `FeatureSet.document` describes them."""
    found = [
        Difference(None, name, before[name], after[name])
        for name in ("missing", "on_violation", "series", "description", "owner", "use_cases")
        if before[name] != after[name]
    ]
    old = {one["name"]: one for one in before["definitions"]}
    new = {one["name"]: one for one in after["definitions"]}
    kept = [name for name in new if name in old]
    if kept != [name for name in old if name in new]:
        found.append(Difference(None, "order", before["features"], after["features"]))
    for name in dict.fromkeys((*old, *new)):
        found += _of_feature(name, old.get(name), new.get(name))
    return tuple(found)


def _of_feature(
    name: str, old: Mapping[str, Any] | None, new: Mapping[str, Any] | None
) -> list[Difference]:
    if old is None or new is None:
        return [Difference(name, "kind", old and in_words(old), new and in_words(new))]
    if old["kind"] != new["kind"]:
        return [Difference(name, "definition", in_words(old), in_words(new))]
    return [
        Difference(name, field, old.get(field), new.get(field))
        for field in dict.fromkeys((*old, *new))
        if old.get(field) != new.get(field)
    ]


_BESIDE = ("kind", "name", "unit", "description", "valid")


def in_words(definition: Mapping[str, Any]) -> str:
    """What a feature is, in a line: `Lag(by=24h, tolerance=1h, series=value)`."""
    inside = (f"{key}={value}" for key, value in definition.items() if key not in _BESIDE)
    return f"{definition['kind']}({', '.join(inside)})"


def _known(registry: Registry, label: str) -> FeatureSet | None:
    try:
        return registry.find(label)
    except UnknownFeatureSet:
        return None


def _words(feature_set: FeatureSet) -> tuple[object, ...]:
    """What is said of a set beside its definition, and of its features."""
    plain = tuple(tuple(definition_of(one).items()) for one in feature_set.features)
    return feature_set.description, feature_set.owner, feature_set.use_cases, str(plain)


def _shown(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    return str(value) if value not in (None, "") else "none"

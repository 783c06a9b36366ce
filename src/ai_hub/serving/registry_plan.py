"""What a change of the registry writes, and what it is called before it is made."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from ai_hub.definitions.changes import Change, changes_of, check_allowed
from ai_hub.definitions.document import set_of_text, text_of
from ai_hub.definitions.feature_set import SEMANTICS, FeatureSet
from ai_hub.definitions.kinds import Feature
from ai_hub.definitions.registry import Registry
from ai_hub.definitions.vocabulary import WEATHER_COLUMNS
from ai_hub.engines.reads import reads_in_words, reads_of
from ai_hub.errors import InvalidInput, RegistryConflict, StoreError, UnknownFeatureSet, named
from ai_hub.stores.registry_table import (
    RegistryChange,
    StoredModel,
    StoredRegistry,
    StoredSet,
    WithoutData,
)

BUILT_IN = Registry()
"""What every registry has."""
MAX_VERSIONS = 10_000
"""Versions that a registry may hold: every process keeps all of them."""


@dataclass(frozen=True, slots=True)
class RegistryPlan:
    """What applying feature sets changes: what becomes of each, and what looks wrong with it.

    `models` are those that are bound, of any set.
    """

    changes: tuple[Change, ...]
    warnings: tuple[str, ...]
    revision: int
    models: tuple[StoredModel, ...] = ()

    @property
    def is_allowed(self) -> bool:
        """Whether they can be applied: no version gets another definition."""
        return all(one.action != "refuse" for one in self.changes)

    def document(self) -> dict[str, Any]:
        """The same as plain values, as HTTP and `ai-hub plan --json` give it."""
        return {
            "revision": self.revision,
            "allowed": self.is_allowed,
            "changes": [_change(one, self.models) for one in self.changes],
            "warnings": list(self.warnings),
        }


def registry_of(own: Registry, stored: StoredRegistry) -> Registry:
    """A process's own registry and what was applied to its database.

    Raises StoreError for a definition that this release cannot read.
    """
    sets, retired = [], []
    for one in stored.sets:
        try:
            sets.append(_read(one.document))
        except (InvalidInput, ValueError) as error:
            raise StoreError(
                f"The registry has {label_of(one)}, which this release cannot read ({error}). "
                "Upgrade ai-hub here."
            ) from error
        if one.state == "retired":
            retired.append(label_of(one))
    return own.with_applied(sets, retired, stored.defaults)


_read = lru_cache(maxsize=MAX_VERSIONS)(set_of_text)


def applying(
    stored: StoredRegistry, wanted: Iterable[FeatureSet], views: Mapping[str, str]
) -> tuple[Change, ...]:
    """What becomes of each set that is applied, with views that say what they do now."""
    fingerprints = {label_of(one): one.fingerprint for one in stored.sets}
    return changes_of(registry_of(BUILT_IN, stored), fingerprints, wanted, views=views)


def applied(stored: StoredRegistry, changes: Sequence[Change], at: int, by: str) -> RegistryChange:
    """What applying writes: rows, and the defaults of names that are new.

    Raises RegistryConflict, with the differences, for a version that would have another
    definition, and InvalidInput where there would be too many.
    """
    check_allowed(registry_of(BUILT_IN, stored), changes)
    known = {label_of(one): one for one in stored.sets}
    count = len(known.keys() | {one.label for one in changes})
    if count > MAX_VERSIONS:
        raise InvalidInput("feature_sets", count, f"at most {MAX_VERSIONS:,} versions in all")
    rows, defaults = [], {}
    for change in changes:
        chosen = change.feature_set
        name, version = str(chosen.name), chosen.version or 0
        row = known.get(chosen.label) or StoredSet(
            name, version, "active", "", 0, "", 0, "", stored.revision + 1
        )
        if change.action in ("create", "describe", "update semantics"):
            rows.append(
                replace(
                    row,
                    fingerprint=chosen.fingerprint,
                    semantics=SEMANTICS,
                    document=text_of(chosen),
                    applied_at=at,
                    applied_by=by,
                )
            )
        if change.action == "create" and change.is_default:
            defaults[name] = version
    return RegistryChange(tuple(rows), defaults)


def retired(stored: StoredRegistry, label: str) -> RegistryChange:
    """What serving a version no more writes.

    Raises RegistryConflict for a built-in version, for a default one, one that models are bound to
    and one that is rolled out, InvalidInput without a version, and UnknownFeatureSet.
    """
    registry = registry_of(BUILT_IN, stored)
    chosen = version_of(registry, label)
    if _is_built_in(chosen):
        raise RegistryConflict("feature_set", label, "no built-in version, which stays")
    if registry.is_default(chosen):
        raise RegistryConflict(
            "feature_set",
            label,
            "a version that is not the default one",
            f"Make another version of {chosen.name} the default first.",
        )
    bound = [one.label for one in stored.models if one.set_label == chosen.label]
    if bound:
        raise RegistryConflict(
            "feature_set",
            label,
            "a version that no model is bound to",
            f"Bound to it: {named(bound)}. Unbind what is out of use (ai-hub models unbind "
            f"{bound[0]}).",
        )
    if any((one.name, one.to_version) == (chosen.name, chosen.version) for one in stored.rollouts):
        raise RegistryConflict(
            "feature_set",
            label,
            "a version that is not being rolled out",
            f"Abort its rollout first (ai-hub rollout {chosen.name} --abort).",
        )
    rows = (one for one in stored.sets if label_of(one) == chosen.label and one.state != "retired")
    return RegistryChange(tuple(replace(one, state="retired") for one in rows))


def made_default(stored: StoredRegistry, label: str) -> RegistryChange:
    """What letting a name alone mean a version writes.

    Raises InvalidInput without a version, UnknownFeatureSet, RetiredFeatureSet, and
    RegistryConflict while a rollout of the name is under way.
    """
    registry = registry_of(BUILT_IN, stored)
    chosen = registry.get(version_of(registry, label).label)
    if registry.is_default(chosen) or chosen.version is None:
        return RegistryChange()
    for rollout in stored.rollouts:
        if rollout.name == chosen.name:
            raise RegistryConflict(
                "feature_set",
                label,
                "a set without a rollout under way",
                f"Finish or abort that to {rollout.name}@{rollout.to_version} first (ai-hub "
                f"rollout {rollout.name} --finish, or --abort).",
            )
    return RegistryChange(defaults={str(chosen.name): chosen.version})


def version_of(registry: Registry, label: object) -> FeatureSet:
    """The version that a label with a version names. Raises InvalidInput or UnknownFeatureSet."""
    if isinstance(label, str) and "@" not in label:
        raise InvalidInput("feature_set", label, "a name with its version, such as my_set@1")
    return registry.find(label)


def _is_built_in(feature_set: FeatureSet) -> bool:
    try:
        BUILT_IN.find(feature_set.label)
    except UnknownFeatureSet:
        return False
    return True


def label_of(one: StoredSet) -> str:
    """`name@version`."""
    return f"{one.name}@{one.version}"


def doubts(feature_sets: Iterable[FeatureSet], without: WithoutData) -> tuple[str, ...]:
    """What looks wrong with new sets, a sentence each."""
    return tuple(
        doubt
        for feature_set in feature_sets
        for feature in feature_set.computed
        for doubt in _doubts(f"{feature_set.label}: {feature.name}", feature, without)
    )


def _doubts(what: str, feature: Feature, without: WithoutData) -> Iterator[str]:
    reads = reads_of([feature])
    for name in without.series & reads.series.keys():
        told = f"{what} reads the series {name!r}, of which no asset has a reading."
        if name in WEATHER_COLUMNS:
            told += f" The weather's {name} is Latest({feature.name!r}, {name!r})."
        yield told
    for name in without.weather & reads.weather.keys():
        yield f"{what} reads the weather's {name}, of which no station or asset has a value."
    for key in reads.attributes:
        if key in without.attributes:
            yield f"{what} reads the attribute {key!r}, which no asset has."


def _change(change: Change, models: Iterable[StoredModel]) -> dict[str, Any]:
    chosen = change.feature_set
    return {
        "feature_set": change.label,
        "action": change.action,
        "fingerprint": chosen.fingerprint,
        "default": change.is_default,
        "retired": change.is_retired,
        "notes": list(change.notes),
        "against": change.against,
        "differences": [{**one.document(), "text": str(one)} for one in change.differences],
        "reads": reads_of(chosen.computed).document(),
        "features": {one.name: reads_in_words(one) for one in chosen.computed},
        "models": {one.label: one.set_label for one in models if one.feature_set == chosen.name},
        "cold": change.action in ("create", "update semantics"),
    }

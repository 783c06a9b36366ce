"""Names to definitions: `name`, `name@version` and feature names, as one unchanging value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ai_hub.definitions.builtin import FEATURE_SETS
from ai_hub.definitions.builtin_features import FEATURES
from ai_hub.definitions.feature_set import FeatureSet
from ai_hub.definitions.kinds import Derived, Feature
from ai_hub.errors import (
    InvalidInput,
    RetiredFeatureSet,
    UnknownFeature,
    UnknownFeatureSet,
)


class Registry:
    """The feature sets and single features that requests can name.

    A change makes another registry: a request that began with one ends with it. `retired` are the
    labels of versions that nobody is served any more; `defaults` say which version a name alone
    means, where that is not the first of it.
    """

    def __init__(
        self,
        feature_sets: Iterable[FeatureSet] = FEATURE_SETS,
        features: Iterable[Feature] = FEATURES,
        retired: Iterable[str] = (),
        defaults: Mapping[str, int] | None = None,
    ) -> None:
        self._given = tuple(features)
        self._retired = frozenset(retired)
        self._defaults = dict(defaults or {})
        self._sets: dict[str, dict[int, FeatureSet]] = {}
        self._features = {feature.name: feature for feature in self._given}
        for feature_set in feature_sets:
            self._add(feature_set)

    def _add(self, feature_set: FeatureSet) -> None:
        name, version = feature_set.name, feature_set.version
        if name is None or version is None:
            raise InvalidInput("name", name, "a named feature set")
        versions = self._sets.setdefault(name, {})
        known = versions.get(version)
        if known is not None and known.fingerprint != feature_set.fingerprint:
            raise InvalidInput(
                "version",
                feature_set.label,
                "a version whose definition is unchanged",
                f"Register the new definition as {name}@{max(versions) + 1}.",
            )
        versions[version] = feature_set
        if feature_set.label in self._retired:
            return
        # A single name means the built-in feature, or else the one that first brought the name.
        for feature in feature_set.features:
            if not isinstance(feature, Derived):
                self._features.setdefault(feature.name, feature)

    def with_set(self, feature_set: FeatureSet) -> Registry:
        """This one and a set. A version that exists is taken again only with the same definition.

        Raises InvalidInput.
        """
        return Registry([*self.versions(), feature_set], self._given, self._retired, self._defaults)

    def with_applied(
        self,
        feature_sets: Iterable[FeatureSet],
        retired: Iterable[str],
        defaults: Mapping[str, int],
    ) -> Registry:
        """This one and what was applied to a database, which wins where they disagree."""
        applied = {one.label: one for one in feature_sets}
        own = [applied.pop(one.label, one) for one in self.versions()]
        return Registry([*own, *applied.values()], self._given, retired, defaults)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The names of the features that can be asked for by themselves."""
        return tuple(self._features)

    def get(self, name: object) -> FeatureSet:
        """The set called `name` (its default version) or `name@version`.

        Raises UnknownFeatureSet, or RetiredFeatureSet.
        """
        found = self.find(name)
        if found.label in self._retired:
            raise RetiredFeatureSet(found.label, self._default(found.name))
        return found

    def find(self, name: object) -> FeatureSet:
        """The same, a retired one too. Raises UnknownFeatureSet."""
        found = self._find(name) if isinstance(name, str) else None
        if found is None:
            raise UnknownFeatureSet(name, sorted(self._sets))
        return found

    def _find(self, name: str) -> FeatureSet | None:
        base, at, version = name.partition("@")
        versions = self._sets.get(base)
        if versions is None:
            return None
        if not at:
            return versions[self._default(base)]
        number = (
            int(version) if version.isascii() and version.isdigit() and len(version) < 10 else 0
        )
        return versions.get(number)

    def _default(self, name: str | None) -> int:
        versions = self._sets[name or ""]
        chosen = self._defaults.get(name or "")
        return chosen if chosen in versions else next(iter(versions))

    def is_retired(self, feature_set: FeatureSet) -> bool:
        """Whether nobody is served this version any more."""
        return feature_set.label in self._retired

    def is_default(self, feature_set: FeatureSet) -> bool:
        """Whether the name alone means this version."""
        return self._default(feature_set.name) == feature_set.version

    def select(self, names: Sequence[str] | None) -> FeatureSet:
        """Single features in the order asked for; every built-in one if None."""
        if names is None:
            return FeatureSet.unnamed(self._given)
        picked = []
        for name in names:
            feature = self._features.get(name) if isinstance(name, str) else None
            if feature is None:
                raise UnknownFeature(name, self._features)
            picked.append(feature)
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise InvalidInput("feature_names", twice, "each name once")
        if not picked:
            raise InvalidInput("feature_names", list(names), "at least one feature name")
        return FeatureSet.unnamed(tuple(picked))

    def sets(self) -> tuple[FeatureSet, ...]:
        """Every set in every version that is served, by name and version."""
        return tuple(
            self._sets[name][version]
            for name in sorted(self._sets)
            for version in sorted(self._sets[name])
            if self._sets[name][version].label not in self._retired
        )

    def versions(self, name: str | None = None) -> tuple[FeatureSet, ...]:
        """Every version, retired ones too, in the order in which they came; of one set, or all."""
        return tuple(
            one
            for known, versions in self._sets.items()
            if name in (None, known)
            for one in versions.values()
        )

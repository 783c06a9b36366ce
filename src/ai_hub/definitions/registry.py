"""Names to definitions: `name`, `name@version` and feature names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ai_hub.definitions.builtin import FEATURE_SETS
from ai_hub.definitions.builtin_features import FEATURES
from ai_hub.definitions.feature_set import FeatureSet
from ai_hub.definitions.kinds import Derived, Feature
from ai_hub.errors import InvalidInput, UnknownFeature, UnknownFeatureSet


class Registry:
    """The feature sets and single features that requests can name."""

    def __init__(
        self,
        feature_sets: Iterable[FeatureSet] = FEATURE_SETS,
        features: Iterable[Feature] = FEATURES,
    ) -> None:
        self._sets: dict[str, dict[int, FeatureSet]] = {}
        self._features = {feature.name: feature for feature in features}
        for feature_set in feature_sets:
            self.register(feature_set)

    def register(self, feature_set: FeatureSet) -> None:
        """Add a set. A version that exists is accepted again only with the same definition."""
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
        # A single name means the built-in feature, or else the one that first brought the name.
        for feature in feature_set.features:
            if not isinstance(feature, Derived):
                self._features.setdefault(feature.name, feature)

    def get(self, name: object) -> FeatureSet:
        """The set called `name` (its default version, the first registered) or `name@version`."""
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
            return next(iter(versions.values()))
        number = (
            int(version) if version.isascii() and version.isdigit() and len(version) < 10 else 0
        )
        return versions.get(number)

    def select(self, names: Sequence[str] | None) -> FeatureSet:
        """Single features in the order asked for; every registered one if None."""
        if names is None:
            return FeatureSet.unnamed(tuple(self._features.values()))
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
        """Every set in every version, by name and version."""
        return tuple(
            self._sets[name][version]
            for name in sorted(self._sets)
            for version in sorted(self._sets[name])
        )

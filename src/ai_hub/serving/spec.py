"""What a request asks for: features under a policy, and what they are called in a cache."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from ai_hub.definitions.feature_set import FeatureSet
from ai_hub.definitions.registry import Registry
from ai_hub.definitions.values import MAX_NAMES, check_list
from ai_hub.definitions.vocabulary import Missing, check_missing
from ai_hub.engines.plan import Plan
from ai_hub.errors import InvalidInput

_MOST_KEPT = 4096


@dataclass(frozen=True, slots=True)
class Spec:
    """A plan and a missing policy; the cache field and the JSON members that name them."""

    plan: Plan
    missing: Missing | None
    field: str
    members: bytes

    @property
    def feature_set(self) -> FeatureSet:
        """The features asked for."""
        return self.plan.feature_set

    @property
    def policy(self) -> Missing:
        """The missing policy that applies: the request's, else the set's.

        Without one of the request, features with a policy of their own follow that.
        """
        return self.feature_set.missing if self.missing is None else self.missing


def spec_of(feature_set: FeatureSet, missing: Missing | None) -> Spec:
    """The spec of a feature set under a request's policy (None: the default one)."""
    policy = feature_set.policy_name(missing)
    field = f"{_prefix(feature_set)}{feature_set.fingerprint}:{policy}"
    members = msgspec.json.encode(
        {
            "feature_set": feature_set.name,
            "version": feature_set.version,
            "fingerprint": feature_set.fingerprint,
            "policy": feature_set.missing if missing is None else missing,
        }
    )
    return Spec(Plan.of(feature_set), missing, field, members[1:-1])


def _prefix(feature_set: FeatureSet) -> str:
    return f"{feature_set.label}:"


class Specs:
    """Specs by what a request says, each built once; another registry has others."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._kept: dict[object, Spec] = {}

    def of(
        self,
        feature_set: object = None,
        feature_names: Sequence[str] | None = None,
        missing: object = None,
    ) -> Spec:
        """The spec of a set by name, of single features by name, or of every feature.

        Raises InvalidInput (both given, a wrong policy), UnknownFeatureSet or UnknownFeature.
        """
        names = None
        if feature_names is not None:
            names = tuple(check_list("feature_names", feature_names, "feature names", MAX_NAMES))
        # True and 1.0 are one key in Python; the type tells a wrong policy from a right one.
        asked = (feature_set, names, missing, type(missing))
        try:
            spec = self._kept.get(asked)
        except TypeError:
            spec = None
        return spec or self._build(asked, feature_set, names, missing)

    def of_sets(self, feature_set: str | None) -> list[Spec]:
        """The spec of one set by name, or (None) those of every registered one."""
        named = feature_set is not None
        chosen = [self._registry.get(feature_set)] if named else self._registry.sets()
        return [self.of(one.label) for one in chosen]

    def prefix(self, feature_set: str | None) -> str:
        """What the cache fields of a set's specs begin with; those of every spec, if None."""
        return "" if feature_set is None else _prefix(self._registry.get(feature_set))

    def _build(
        self, asked: object, feature_set: object, names: tuple[str, ...] | None, missing: object
    ) -> Spec:
        if feature_set is not None and names is not None:
            raise InvalidInput(
                "feature_names", list(names), "either feature_set or feature_names, not both"
            )
        policy = None if missing is None else check_missing(missing)
        if feature_set is not None:
            chosen = self._registry.get(feature_set)
        else:
            chosen = self._registry.select(names)
        spec = spec_of(chosen, policy)
        if len(self._kept) >= _MOST_KEPT:
            self._kept.clear()
        self._kept[asked] = spec
        return spec

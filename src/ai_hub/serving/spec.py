"""What a request asks for: features under a policy, and what they are called in a cache."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import msgspec

from ai_hub.definitions.feature_set import FeatureSet
from ai_hub.definitions.registry import Registry
from ai_hub.definitions.values import MAX_NAMES, check_list
from ai_hub.definitions.vocabulary import Missing, check_missing
from ai_hub.engines.plan import Plan
from ai_hub.errors import InvalidInput, UnknownModel
from ai_hub.serving.models import checked
from ai_hub.serving.rollouts import part_of
from ai_hub.stores.registry_table import StoredRegistry

_MOST_KEPT = 4096


@dataclass(frozen=True, slots=True)
class Spec:
    """A plan and a missing policy; the cache field and the JSON members that name them.

    With a `split` it is the default version of a name that means a newer one for some entities.
    `rejects`: an asset has no answer where a value of it is outside its range.
    """

    plan: Plan
    missing: Missing | None
    field: str
    members: bytes
    label: str = "@"
    split: Split | None = None
    rejects: bool = False

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

    def of_asset(self, tenant_id: str, asset_id: str) -> Spec:
        """The spec that an entity is answered by."""
        split = self.split
        if split is None or part_of(split.name, tenant_id, asset_id) >= split.share:
            return self
        return split.newer

    def of_assets(self, tenant_id: str, asset_ids: Sequence[str]) -> list[Part]:
        """The specs that entities are answered by, each with those of it in their order."""
        found: dict[str, Part] = {}
        for asset_id in asset_ids:
            spec = self.of_asset(tenant_id, asset_id)
            found.setdefault(spec.field, (spec, []))[1].append(asset_id)
        return [*found.values()]


@dataclass(frozen=True, slots=True)
class Split:
    """What a name means for the entities of the first `share` parts while it is rolled out."""

    name: str
    share: int
    newer: Spec


Part = tuple[Spec, list[str]]
"""Entities that are answered by one spec."""


def spec_of(feature_set: FeatureSet, missing: Missing | None) -> Spec:
    """The spec of a feature set under a request's policy (None: the default one)."""
    policy = feature_set.policy_name(missing)
    field = f"{feature_set.label}:{feature_set.fingerprint}:{policy}"
    members = msgspec.json.encode(
        {
            "feature_set": feature_set.name,
            "version": feature_set.version,
            "fingerprint": feature_set.fingerprint,
            "policy": feature_set.missing if missing is None else missing,
        }
    )
    return Spec(
        Plan.of(feature_set),
        missing,
        field,
        members[1:-1],
        feature_set.label,
        rejects=feature_set.on_violation == "reject",
    )


class Specs:
    """Specs by what a request says, each built once; another registry has others."""

    def __init__(self, registry: Registry, stored: StoredRegistry | None = None) -> None:
        stored = stored or StoredRegistry()
        self._registry = registry
        self._models = {one.label: one for one in stored.models}
        self._rollouts = {one.name: one for one in stored.rollouts}
        self._kept: dict[object, Spec] = {}

    def of(
        self,
        feature_set: object = None,
        feature_names: Sequence[str] | None = None,
        missing: object = None,
        model: object = None,
    ) -> Spec:
        """The spec of a set by name, of single features, of a model, or of every feature.

        Raises InvalidInput (two of them given, a wrong policy), UnknownFeatureSet, UnknownFeature,
        UnknownModel, or RegistryConflict for another policy or fingerprint than that of the model.
        """
        if model is not None:
            return self._of_model(model, feature_set, feature_names, missing)
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

    def _of_model(
        self, model: object, feature_set: object, feature_names: object, missing: object
    ) -> Spec:
        for field, value in (("feature_set", feature_set), ("feature_names", feature_names)):
            if value is not None:
                raise InvalidInput(field, value, f"either model or {field}, not both")
        found = self._models.get(model) if isinstance(model, str) else None
        if found is None:
            raise UnknownModel(model, self._models)
        return self.of(found.set_label, None, checked(self._registry, found, missing))

    def one_set(self, feature_set: object, missing: object = None, model: object = None) -> Spec:
        """The spec of a set by name (its default version under a rollout), or of a model.

        Raises what `of` raises, and InvalidInput where neither is given.
        """
        if feature_set is None and model is None:
            raise InvalidInput("feature_set", None, "a value: the name of a set, or else a model")
        return self.of(feature_set, None, missing, model)

    def of_sets(self, feature_set: str | None) -> list[Spec]:
        """The specs that one set by name has (two under a rollout), or (None) all there are."""
        if feature_set is None:
            return [self.of(one.label) for one in self._registry.sets()]
        spec = self.of(feature_set)
        both = [spec.label] if spec.split is None else [spec.label, spec.split.newer.label]
        return [self.of(label) for label in both]

    def prefixes(self, feature_set: str | None) -> list[str]:
        """What the cache fields of a set's specs begin with; those of every spec, if None."""
        return (
            [""] if feature_set is None else [f"{one.label}:" for one in self.of_sets(feature_set)]
        )

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
        rollout = self._rollouts.get(feature_set) if isinstance(feature_set, str) else None
        if rollout is not None:
            newer = self._registry.get(f"{rollout.name}@{rollout.to_version}")
            split = Split(rollout.name, rollout.share, spec_of(newer, policy))
            spec = replace(spec, split=split)
        if len(self._kept) >= _MOST_KEPT:
            self._kept.clear()
        self._kept[asked] = spec
        return spec

"""Models and what they are bound to: what binding writes, and when a request for one is refused."""

from __future__ import annotations

import re
from typing import Any

from ai_hub.definitions.registry import Registry
from ai_hub.definitions.values import iso
from ai_hub.definitions.vocabulary import Missing, check_missing, read_missing
from ai_hub.errors import InvalidInput, RegistryConflict, UnknownModel
from ai_hub.serving.registry_plan import BUILT_IN, registry_of, version_of
from ai_hub.stores.registry_table import RegistryChange, StoredModel, StoredRegistry

MAX_MODELS = 10_000
"""Models that may be bound: every process keeps all of them."""
_MODEL = re.compile(r"([A-Za-z0-9_][A-Za-z0-9_.-]{0,99})@([1-9][0-9]{0,8})")
_OWN = "+own"


def bound(
    stored: StoredRegistry, model: str, feature_set: str, policy: object, at: int, by: str
) -> RegistryChange:
    """What binding a model to a version writes; nothing where it is bound so already.

    Raises InvalidInput without a version, UnknownFeatureSet, RetiredFeatureSet, and
    RegistryConflict for a model that is bound to another version or with another policy.
    """
    name, version = _model(model)
    registry = registry_of(BUILT_IN, stored)
    chosen = registry.get(version_of(registry, feature_set).label)
    wanted = None if policy is None else check_missing(policy, "policy")
    row = StoredModel(
        name,
        version,
        str(chosen.name),
        chosen.version or 0,
        chosen.fingerprint,
        chosen.policy_name(wanted),
        at,
        by,
    )
    known = next((one for one in stored.models if one.label == row.label), None)
    if known is not None and (known.set_label, known.policy) != (row.set_label, row.policy):
        raise RegistryConflict(
            "model",
            model,
            f"a model that is not bound to {known.set_label} with the policy {known.policy}",
            f"Unbind it first (ai-hub models unbind {model}).",
        )
    if known is not None and known.fingerprint == row.fingerprint:
        return RegistryChange()
    if known is None and len(stored.models) >= MAX_MODELS:
        raise InvalidInput("model", model, f"at most {MAX_MODELS:,} models in all")
    return RegistryChange(models=(row,))


def unbound(stored: StoredRegistry, model: str) -> RegistryChange:
    """What binding a model to nothing any more writes. Raises InvalidInput or UnknownModel."""
    _model(model)
    gone = tuple(one for one in stored.models if one.label == model)
    if not gone:
        raise UnknownModel(model, [one.label for one in stored.models])
    return RegistryChange(gone=gone)


def checked(registry: Registry, model: StoredModel, missing: object) -> Missing | None:
    """The policy that a request for a model means, None where it is that of its set's features.

    Raises RegistryConflict where its policy, or the version's fingerprint, is another one than the
    model is bound with.
    """
    chosen = registry.get(model.set_label)
    if chosen.fingerprint != model.fingerprint:
        raise RegistryConflict(
            "model",
            model.label,
            f"a model that is bound to {model.set_label} as it is now",
            f"It was bound to the fingerprint {model.fingerprint}, and that is "
            f"{chosen.fingerprint} now. See that it fits, and bind it again (ai-hub models bind "
            f"{model.label} {model.set_label} --policy {model.policy.removesuffix(_OWN)}).",
        )
    if missing is not None and chosen.policy_name(check_missing(missing)) != model.policy:
        raise RegistryConflict(
            "missing", missing, f"{model.policy}, the policy that {model.label} is bound with"
        )
    return None if model.policy.endswith(_OWN) else read_missing(model.policy)


def model_document(registry: Registry, model: StoredModel) -> dict[str, Any]:
    """A model as plain values; `current`: whether it is bound to its version as that is now."""
    return {
        "model": model.label,
        "feature_set": model.set_label,
        "fingerprint": model.fingerprint,
        "policy": model.policy,
        "current": registry.find(model.set_label).fingerprint == model.fingerprint,
        "bound_at": iso(model.bound_at),
        "bound_by": model.bound_by,
    }


def _model(label: object) -> tuple[str, int]:
    """The name and version of a model. Raises InvalidInput."""
    match = _MODEL.fullmatch(label) if isinstance(label, str) else None
    if match is None:
        raise InvalidInput("model", label, "a model's name with its version, such as load-model@3")
    return match[1], int(match[2])

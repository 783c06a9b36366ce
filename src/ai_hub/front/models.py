"""What a feature store does for models: the part of the front that binds them to feature sets."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

from ai_hub.access.actor import named
from ai_hub.definitions.vocabulary import Missing
from ai_hub.errors import UnknownModel
from ai_hub.front.feature_sets import FeatureSets
from ai_hub.serving.models import bound, model_document, unbound
from ai_hub.stores.audit_log import noted
from ai_hub.stores.registry_table import RegistryChange, StoredRegistry


class Models(FeatureSets):
    """Feature sets, and the models that are bound to them."""

    async def bind_model(
        self,
        model: str,
        feature_set: str,
        policy: Missing | None = None,
        bound_by: str | None = None,
    ) -> dict[str, Any]:
        """Bind a version of a model (`load-model@3`) to a version of a feature set, as it is now.

        Such a version cannot be retired, and a request that names the model is answered by it,
        under this policy (None: that of the set and its features) or not at all. Gives the model as
        plain values. Raises InvalidInput without a version, UnknownFeatureSet, RetiredFeatureSet,
        RegistryConflict for a model that is bound to another version or policy, and StoreError.
        """
        at = time.time_ns() // 1_000
        by = named("bound_by", bound_by)

        def decide(stored: StoredRegistry) -> RegistryChange:
            return bound(stored, model, feature_set, policy, at, by)

        record = noted("bind", None, 1, model=model, feature_set=feature_set, said_by=bound_by)
        await self._change(decide, lambda _: [record])
        return self.described_model(model)

    async def unbind_model(self, model: str) -> None:
        """Let a version of a model be bound to nothing. Raises UnknownModel and StoreError."""
        record = noted("unbind", None, 1, model=model)
        await self._change(partial(unbound, model=model), lambda _: [record])

    def described_model(self, model: str) -> dict[str, Any]:
        """A version of a model that is bound, as plain values. Raises UnknownModel."""
        for one in self._stored.models:
            if one.label == model:
                return model_document(self.registry, one)
        raise UnknownModel(model, [one.label for one in self._stored.models])

    def models(self) -> list[dict[str, Any]]:
        """Every version of a model that is bound, as plain values, by name and version."""
        return [model_document(self.registry, one) for one in self._stored.models]

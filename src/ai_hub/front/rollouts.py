"""What a feature store does to bring in a version little by little: rollouts, part of the front."""

from __future__ import annotations

import time
from collections.abc import Iterable
from functools import partial
from typing import Any

from ai_hub.access.actor import named
from ai_hub.front.models import Models
from ai_hub.serving.rollouts import aborted, begun, finished, rollout_document, rollout_of, split_of
from ai_hub.stores.audit_log import noted
from ai_hub.stores.registry_table import RegistryChange, StoredRegistry


class Rollouts(Models):
    """Feature sets and models, and names that mean another version for a part of the entities."""

    async def roll_out(
        self, name: str, to: int, percent: float, begun_by: str | None = None
    ) -> dict[str, Any]:
        """Let `get` and `batch` take version `to` of a set, asked for by its name alone, for some.

        An entity is among the `percent` (to the hundredth) by a hash of the set's name, tenant and
        asset: it sees one version, and a larger percentage only moves entities from the default
        version to the new one. Gives the rollout as plain values. Raises InvalidInput,
        UnknownFeatureSet, RetiredFeatureSet, RegistryConflict for the default version and while
        another rollout of the name is under way, and StoreError.
        """
        at = time.time_ns() // 1_000
        by = named("begun_by", begun_by)

        def decide(stored: StoredRegistry) -> RegistryChange:
            return begun(stored, name, to, percent, at, by)

        record = noted(
            "rollout", None, 1, feature_set=name, to=to, percent=percent, said_by=begun_by
        )
        await self._change(decide, lambda _: [record])
        return rollout_document(rollout_of(self._stored, name))

    async def finish_rollout(self, name: str) -> None:
        """Make the version that is rolled out the default. Raises UnknownRollout and StoreError."""
        record = noted("rollout", None, 1, feature_set=name, ended="finished")
        await self._change(partial(finished, name=name), lambda _: [record])

    async def abort_rollout(self, name: str) -> None:
        """End a rollout, the default version as it was. Raises UnknownRollout and StoreError."""
        record = noted("rollout", None, 1, feature_set=name, ended="aborted")
        await self._change(partial(aborted, name=name), lambda _: [record])

    def rollouts(self) -> list[dict[str, Any]]:
        """Every rollout under way, as plain values, by name."""
        return [rollout_document(one) for one in self._stored.rollouts]

    def rollout_split(self, name: str, tenant_id: str, asset_ids: Iterable[str]) -> dict[str, int]:
        """The version that each asset is answered by, while a rollout is under way.

        Raises UnknownRollout.
        """
        return split_of(rollout_document(rollout_of(self._stored, name)), tenant_id, asset_ids)

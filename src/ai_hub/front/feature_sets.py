"""What a feature store does with definitions: the part of the front that is about feature sets."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from contextvars import copy_context
from dataclasses import replace
from functools import partial
from typing import Any

from ai_hub.access.actor import named
from ai_hub.access.keys import Keys
from ai_hub.config import Settings
from ai_hub.definitions.changes import Change
from ai_hub.definitions.document import unique
from ai_hub.definitions.feature_set import FeatureSet
from ai_hub.definitions.freezing import frozen
from ai_hub.definitions.registry import Registry
from ai_hub.definitions.values import iso
from ai_hub.engines.reads import Reads, reads_of
from ai_hub.front.base import Front
from ai_hub.serving.access_keys import known_keys
from ai_hub.serving.registry_plan import (
    RegistryPlan,
    applied,
    applying,
    doubts,
    label_of,
    made_default,
    registry_of,
    retired,
)
from ai_hub.serving.rollouts import rollout_document
from ai_hub.serving.spec import Specs
from ai_hub.serving.views import definitions_of
from ai_hub.stores.audit_log import AuditRecord, noted
from ai_hub.stores.registry_table import (
    Decision,
    RegistryChange,
    RegistryTable,
    StoredRegistry,
    WithoutData,
)
from ai_hub.stores.views import Views

Told = Callable[[RegistryChange], Iterable[AuditRecord]]
"""What the audit log says of a change."""


class FeatureSets(Front):
    """The registry that answers go by: what this process registered, and what was applied.

    `registry`, `specs` and `known_keys` are replaced, never changed: a request keeps those that it
    began with.
    """

    def __init__(self, settings: Settings, registry: Registry, now: Callable[[], int]) -> None:
        super().__init__(settings, now)
        self.registry = registry
        self.specs = Specs(registry)
        self.known_keys = Keys()
        self._own = registry
        self._stored = StoredRegistry()

    @property
    def _table(self) -> RegistryTable:
        """The registry of the database."""
        return self._open.store.registry_table

    @property
    def _views(self) -> Views:
        """The views of the database."""
        return self._open.store.views

    def register(self, feature_set: FeatureSet) -> None:
        """Make a feature set known to this process by its name and version, until it ends.

        Raises InvalidInput for a version that is known with another definition, and for a set that
        reads a view: that has to be applied.
        """
        feature_set = frozen(feature_set)
        self.registry.with_set(feature_set)
        if feature_set.label not in map(label_of, self._stored.sets):
            self._own = self._own.with_set(feature_set)
        self._go_by(self._stored, registry_of(self._own, self._stored))

    async def plan(self, feature_sets: Iterable[FeatureSet]) -> RegistryPlan:
        """What `apply` would change, and what looks wrong; nothing is changed.

        Raises InvalidInput for a version that comes twice and for a view that cannot be read, and
        StoreError.
        """
        wanted = unique(feature_sets)
        stored = await self._table.load()
        await self._hear(stored)
        views = await definitions_of(self._views, wanted)
        changes = await asyncio.to_thread(applying, stored, wanted, views)
        return RegistryPlan(changes, await self._warnings(changes), stored.revision, stored.models)

    async def apply(
        self, feature_sets: Iterable[FeatureSet], applied_by: str | None = None
    ) -> RegistryPlan:
        """Have every process on this database serve these feature sets, all of them or none.

        What is applied already is no change, and what is not among them stays as it is. Raises
        RegistryConflict, with the differences, for a version that has another definition,
        InvalidInput for one that comes twice or reads a view that cannot be read, and StoreError.
        """
        wanted, at = unique(feature_sets), time.time_ns() // 1_000
        by = named("applied_by", applied_by)
        changes: tuple[Change, ...] = ()
        views = await definitions_of(self._views, wanted)

        def decide(stored: StoredRegistry) -> RegistryChange:
            nonlocal changes
            changes = applying(stored, wanted, views)
            return applied(stored, changes, at, by)

        def told(change: RegistryChange) -> list[AuditRecord]:
            sets = [label_of(one) for one in change.sets]
            return [noted("apply", None, len(sets), sets=sets, said_by=applied_by)]

        stored = await self._change(decide, told)
        return RegistryPlan(changes, await self._warnings(changes), stored.revision, stored.models)

    async def retire(self, feature_set: str) -> None:
        """Serve a version (`name@version`) no more; exports that were made with it stay readable.

        Raises RegistryConflict for a built-in version, a default one, one that models are bound to
        (the message names them) and one that is rolled out, InvalidInput without a version,
        UnknownFeatureSet, and StoreError.
        """
        record = noted("retire", None, 1, feature_set=feature_set)
        await self._change(partial(retired, label=feature_set), lambda _: [record])

    async def set_default(self, feature_set: str) -> None:
        """Let a name alone mean this version (`name@version`).

        Raises UnknownFeatureSet, RetiredFeatureSet, InvalidInput without a version,
        RegistryConflict while the name is rolled out, and StoreError.
        """
        record = noted("default", None, 1, feature_set=feature_set)
        await self._change(partial(made_default, label=feature_set), lambda _: [record])

    def described(self, feature_set: str) -> dict[str, Any]:
        """A version (a retired one too) as plain values, with its state in the registry.

        Raises UnknownFeatureSet.
        """
        return self._described(self.registry.find(feature_set))

    def listed(self) -> list[dict[str, Any]]:
        """Every version, retired ones too, as `described` gives it; by name and version."""
        order = sorted(self.registry.versions(), key=lambda one: (one.name or "", one.version or 0))
        return [self._described(one) for one in order]

    def _described(self, chosen: FeatureSet) -> dict[str, Any]:
        row = next((one for one in self._stored.sets if label_of(one) == chosen.label), None)
        return chosen.document() | {
            "state": "retired" if self.registry.is_retired(chosen) else "active",
            "default": self.registry.is_default(chosen),
            "applied_at": None if row is None else iso(row.applied_at),
            "applied_by": None if row is None else row.applied_by,
            "models": [one.label for one in self._stored.models if one.set_label == chosen.label],
            "rollout": next(
                (rollout_document(r) for r in self._stored.rollouts if r.name == chosen.name), None
            ),
        }

    async def _change(self, decide: Decision, told: Told) -> StoredRegistry:
        """Change the registry, with the audit records that `told` makes of what is to change."""
        # A store may decide in a thread that does not know who asks.
        asked = copy_context()

        def decided(stored: StoredRegistry) -> RegistryChange:
            change = decide(stored)
            return replace(change, audit=tuple(asked.run(told, change))) if change else change

        stored = await self._table.change(decided)
        await self._hear(stored)
        return stored

    async def _warnings(self, changes: Iterable[Change]) -> tuple[str, ...]:
        """What looks wrong with sets that are new."""
        new = [one.feature_set for one in changes if one.action == "create"]
        features = [feature for one in new for feature in one.computed]
        reads = await asyncio.to_thread(reads_of, features)
        if reads == Reads({}, {}):
            return ()
        asked = [*reads.series], [*reads.weather], reads.attributes
        without = await self._table.without_data(*asked)
        if without == WithoutData():
            return ()
        return await asyncio.to_thread(doubts, new, without)

    async def _hear(self, stored: StoredRegistry) -> None:
        """Go by what was applied. Raises StoreError if it cannot be read."""
        while stored.revision > self._stored.revision:
            own = self._own
            registry = await asyncio.to_thread(registry_of, own, stored)
            # A set may have been registered meanwhile, or something newer heard.
            if own is self._own and stored.revision > self._stored.revision:
                self._go_by(stored, registry)

    def _go_by(self, stored: StoredRegistry, registry: Registry) -> None:
        """Answer by a stored registry from here on."""
        self._stored = stored
        self.registry, self.specs = registry, Specs(registry, stored)
        self.known_keys = Keys(known_keys(stored.keys))

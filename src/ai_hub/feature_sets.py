"""What a feature store does with definitions: the part of the front that is about feature sets."""

from __future__ import annotations

from ai_hub.definitions.document import set_of_text
from ai_hub.definitions.feature_set import FeatureSet
from ai_hub.definitions.registry import Registry
from ai_hub.errors import InvalidInput, StoreError
from ai_hub.serving.spec import Specs
from ai_hub.stores.registry_table import StoredRegistry


class FeatureSets:
    """The registry that answers go by: what this process registered, and what was applied.

    `registry` and `specs` are replaced, never changed: a request keeps those that it began with.
    """

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.specs = Specs(registry)
        self._own = registry
        self._stored = StoredRegistry()

    def register(self, feature_set: FeatureSet) -> None:
        """Make a feature set known to this process by its name and version, until it ends.

        Raises InvalidInput for a version that is known with another definition.
        """
        self.registry.with_set(feature_set)
        self._own = self._own.with_set(feature_set)
        self._go_by(self._stored)

    def _hear(self, stored: StoredRegistry) -> None:
        """Go by what was applied. Raises StoreError if it cannot be read."""
        if stored.revision > self._stored.revision:
            self._go_by(stored)

    def _go_by(self, stored: StoredRegistry) -> None:
        """Answer by a stored registry from here on."""
        registry = registry_of(self._own, stored)
        self._stored = stored
        self.registry, self.specs = registry, Specs(registry)


def registry_of(own: Registry, stored: StoredRegistry) -> Registry:
    """A process's own registry and what was applied to its database.

    Raises StoreError for a definition that this release cannot read.
    """
    sets, retired = [], []
    for one in stored.sets:
        label = f"{one.name}@{one.version}"
        try:
            sets.append(set_of_text(one.document))
        except (InvalidInput, ValueError) as error:
            raise StoreError(
                f"The registry has {label}, which this release cannot read ({error}). "
                "Upgrade ai-hub here."
            ) from error
        if one.state == "retired":
            retired.append(label)
    return own.with_applied(sets, retired, stored.defaults)

"""AI Hub Feature Store: readings in, the same feature vectors out for serving and training."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ai_hub.client.asynchronous import AsyncClient as AsyncClient
    from ai_hub.client.waiting import Client as Client
    from ai_hub.feature_store import FeatureStore as FeatureStore

__version__ = "0.2.0"

_HOMES = {
    "FeatureStore": "ai_hub.feature_store",
    "Client": "ai_hub.client.waiting",
    "AsyncClient": "ai_hub.client.asynchronous",
    "Settings": "ai_hub.config",
    "AiHubError": "ai_hub.errors",
    "InvalidInput": "ai_hub.errors",
    "FeatureSet": "ai_hub.definitions.feature_set",
    "Calendar": "ai_hub.definitions.kinds",
    "Rolling": "ai_hub.definitions.kinds",
    "Lag": "ai_hub.definitions.kinds",
    "Bucket": "ai_hub.definitions.kinds",
    "Latest": "ai_hub.definitions.kinds",
    "Seasonal": "ai_hub.definitions.kinds",
    "Ewm": "ai_hub.definitions.kinds",
    "Age": "ai_hub.definitions.kinds",
    "Attribute": "ai_hub.definitions.kinds",
    "FromView": "ai_hub.definitions.kinds",
    "Derived": "ai_hub.definitions.kinds",
    "Target": "ai_hub.definitions.target",
    "importance_of": "ai_hub.importance.ranking",
}
__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> object:
    """Resolve a public name on first use, so that importing the package stays light."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value

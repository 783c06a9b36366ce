"""The front for scripts and notebooks: every method waits for its answer, and none is awaited."""

from __future__ import annotations

from ai_hub import feature_store
from ai_hub.blocking import blocking

FeatureStore = blocking(feature_store.FeatureStore, __name__)

"""Why features are what they are: the part of the front that explains an answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ai_hub.definitions.values import MAX_NAMES, Time, check_id, check_list
from ai_hub.definitions.vocabulary import Missing
from ai_hub.errors import InvalidInput, UnknownFeature
from ai_hub.front.vectors import Vectors


class Explaining(Vectors):
    """Feature vectors, and what is behind them."""

    async def explain(
        self,
        *,
        tenant_id: str,
        asset_id: str,
        feature_set: str | None = None,
        feature_names: Sequence[str] | None = None,
        timestamp: Time | None = None,
        missing: Missing | None = None,
        exact: bool = False,
        model: str | None = None,
    ) -> dict[str, Any]:
        """What `get` answers to the same request, with each feature explained, as plain values.

        With `feature_names` beside a set or a model, those of its features alone are explained.
        `features` is a list: of each its `name` and `value`, whether it is `missing`, the `window`
        and the `rows` that it reads (how many, the first and last time, the newest ones), the share
        of the window that they cover, their `source`, what it was `filled` with, and its
        `definition`. Where it is missing or outside its range, `cause` names why, `why` says it in
        a sentence with what to do, and `command` is what to run. It reads past the cache, so that
        it takes longer than `get`. Raises StoreError.
        """
        # The parts that explain are imported when something is to be explained.
        from ai_hub.explanation.asked import Asked
        from ai_hub.explanation.explaining import Explainer

        part = feature_set is not None or model is not None
        spec = self.specs.of(feature_set, None if part else feature_names, missing, model)
        check_id("tenant_id", tenant_id)
        check_id("asset_id", asset_id)
        spec = spec.of_asset(tenant_id, asset_id)
        names = None
        if part and feature_names is not None:
            names = _checked(feature_names, spec.feature_set.feature_names)
        at = self._effective(self._at(timestamp), exact)
        chosen = _chosen(feature_set, feature_names, model)
        asked = Asked(
            tenant_id,
            asset_id,
            at,
            chosen,
            self.settings.granularity,
            names,
            self.settings.on_server,
        )
        parts = self._open
        return await Explainer(parts.reader, parts.store, self.now).explain(spec, asked)


def _checked(feature_names: object, known: Sequence[str]) -> tuple[str, ...]:
    """Names of features of a set. Raises InvalidInput."""
    names = tuple(check_list("feature_names", feature_names, "feature names", MAX_NAMES))
    if not names:
        raise InvalidInput("feature_names", [], "at least one feature name")
    for name in names:
        if name not in known:
            raise UnknownFeature(name, known)
    return names


def _chosen(
    feature_set: str | None, feature_names: Sequence[str] | None, model: str | None
) -> tuple[str, ...]:
    """The options of a command that ask for the same features."""
    if model is not None:
        return ("--model", model)
    if feature_set is not None:
        return ("--set", feature_set)
    return tuple(word for name in feature_names or () for word in ("--feature", name))

"""What views say now, of which sets are made: asked before any of them is planned or applied."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ai_hub.definitions.document import Place
from ai_hub.definitions.feature_set import FeatureSet
from ai_hub.definitions.kinds import FromView
from ai_hub.engines.plan import ViewReads
from ai_hub.errors import InvalidDefinition, InvalidInput
from ai_hub.stores.views import Views, check_view, fault_in_words


async def definitions_of(views: Views, feature_sets: Sequence[FeatureSet]) -> dict[str, str]:
    """The hash of what each view says that some sets read.

    Raises InvalidDefinition for a view that is not there, lacks a column, has one of a wrong type,
    may not be read, or does not answer in time.
    """
    wanted = [*_read(feature_sets)]
    facts = await views.facts({feature.view for _, _, feature in wanted})
    for place, label, feature in wanted:
        try:
            check_view(feature, facts.get(feature.view))
        except InvalidInput as error:
            raise InvalidDefinition(
                (*place, error.field),
                f"{label}.{error.field}",
                error.value,
                error.expected,
                error.hint,
            ) from None
    for place, label, feature in wanted:
        fault = await views.probe(ViewReads(feature.view, None, (feature,)))
        if fault is not None:
            expected = f"a view that can be read: {feature.view} {fault_in_words(fault)}"
            raise InvalidDefinition((*place, "view"), f"{label}.view", feature.view, expected)
    return {name: one.digest for name, one in facts.items()}


def _read(feature_sets: Sequence[FeatureSet]) -> Iterator[tuple[Place, str, FromView]]:
    """The features that are read of views, each with its place and what messages call it."""
    for i, feature_set in enumerate(feature_sets):
        for j, feature in enumerate(feature_set.features):
            if isinstance(feature, FromView):
                place = ("feature_sets", i, "features", j)
                yield place, f"{feature_set.label}.{feature.name}", feature

"""What a statement reads of rows, and which of its outputs a mean fills."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from ai_hub.definitions.vocabulary import Missing
from ai_hub.engines.plan import Plan
from ai_hub.engines.sql_rows import MOST, Bound, Read, is_guarded
from ai_hub.engines.statistics import Aggregate
from ai_hub.engines.traits import Source, fill_source

_WITHIN = f"FILTER (WHERE value BETWEEN -{MOST:g} AND {MOST:g})".replace("e+", "e")
"""The values whose squares PostgreSQL can add up."""


def aggregated(parts: tuple[Aggregate, ...], rows: str, start: Bound | None = None) -> Read:
    """Aggregates of some rows, which the text says."""
    texts = [f"{part.sql} {_WITHIN}" if is_guarded(part) else str(part.sql) for part in parts]
    return Read(f"(SELECT ARRAY[{', '.join(texts)}] FROM {rows})", "statistics", parts, start)


def filled_from(plan: Plan, missing: Missing | None) -> dict[Source, list[tuple[int, int]]]:
    """The outputs that a mean may fill, and with how many values it need not, by whose mean."""
    needs: dict[str, tuple[int, int]] = {}
    for place, probe in enumerate(plan.probes):
        needs[probe.name] = (place, 1)
    for place, one in enumerate(plan.ranges, len(needs)):
        needs |= {output.name: (place, output.min_count) for output in one.outputs}
    for place, season in enumerate(plan.seasonals, len(plan.probes) + len(plan.ranges)):
        needs[season.name] = (place, season.min_count)
    wanted: dict[Source, list[tuple[int, int]]] = {}
    for feature in plan.feature_set.features:
        source = fill_source(feature)
        if source is not None and plan.feature_set.policy_of(feature, missing) == "mean":
            wanted.setdefault(source, []).append(needs[feature.name])
    return wanted


def is_missing(plan: Plan, reads: Sequence[Read], needs: Sequence[tuple[int, int]]) -> str:
    """Whether any of some outputs came out null."""
    tests = [_has_fewer(reads[place], f"q.c{place}", least) for place, least in needs]
    if plan.has_asset_zone:
        tests.append(f"q.c{len(reads)} IS NULL")
    return " OR ".join(dict.fromkeys(tests))


def _has_fewer(read: Read, name: str, least: int) -> str:
    """Whether an output holds fewer values."""
    match read.form:
        case "value":
            return f"{name} IS NULL"
        case "statistics":
            return f"{name}[1] < {least}"
        case "rows":
            return f"coalesce(array_length({name}, 1), 0) < {least}"
        case "lags":
            return f"(SELECT count(v) FROM unnest({name}) AS v) < {least}"
        case _:
            assert_never(read.form)

"""What a row of a training set has: the series, the features, targets, and where they were missing.

The same for the rows of a range and for those of a spine.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ai_hub.definitions.feature_set import SEMANTICS, FeatureSet, definition_of
from ai_hub.definitions.target import Target
from ai_hub.definitions.values import Duration, TimeRange, check_id, iso
from ai_hub.definitions.vocabulary import Missing
from ai_hub.drift.sample import Drawn, Sample
from ai_hub.engines.arrays import HistoryArrays, Masks, Points
from ai_hub.engines.columnar import values_at
from ai_hub.engines.plan import Plan, sources_for
from ai_hub.engines.targets import target_values
from ai_hub.engines.traits import FILL_WINDOW
from ai_hub.engines.vectors import vectors
from ai_hub.engines.views import Faults, several
from ai_hub.engines.violations import in_words
from ai_hub.errors import InvalidInput, OutOfRange
from ai_hub.stores.base import Chunk, ScanRequest

Values = NDArray[np.float64] | NDArray[np.int64] | NDArray[np.bool_]
KEYS = ("timestamp", "tenant_id", "asset_id")
VALUE = "value"
SEVERAL = "ai_hub.several_rows_in_view"


@dataclass(frozen=True, slots=True)
class Counts:
    """In how many rows a feature is outside its range, or is null since a view has several rows of
    the newest time."""

    violations: Counter[str] = field(default_factory=Counter)
    several: Counter[str] = field(default_factory=Counter)

    def add(self, other: Counts) -> None:
        """Count other rows as well."""
        self.violations.update(other.violations)
        self.several.update(other.several)


class Computed(NamedTuple):
    """Columns of some rows, where features of them were missing or are outside their range, and why
    those of views are null."""

    columns: dict[str, Values]
    missing: Masks
    violations: Masks
    faults: Faults

    def counts(self) -> Counts:
        """In how many rows, by feature."""
        return Counts(
            Counter({name: int(mask.sum()) for name, mask in self.violations.items()}),
            Counter({name: int(mask.sum()) for (name, _), mask in self.faults.items()}),
        )

    def first_violation(self) -> int | None:
        """The first row with one."""
        firsts = [int(mask.argmax()) for mask in self.violations.values()]
        return min(firsts, default=None)


@dataclass(frozen=True)
class Rows:
    """The columns of a training set beside its keys.

    `value`, the series at t, features, `targets`, and with `indicators` a column for each feature
    that says where it was missing. `has_value` is false where the caller has a `value` already.
    """

    tenant_id: str
    plan: Plan
    missing: Missing | None = None
    targets: tuple[Target, ...] = ()
    indicators: bool = False
    has_value: bool = True

    def __post_init__(self) -> None:
        check_id("tenant_id", self.tenant_id)
        names = [target.name for target in self.targets]
        taken = {*KEYS, VALUE, *self.taken(targets=False)}
        wrong = [name for name in names if name in taken or names.count(name) > 1]
        if wrong:
            raise InvalidInput(
                "horizons",
                list(dict.fromkeys(wrong)),
                "names of targets that no feature, no other target and no other column has",
            )

    def taken(self, targets: bool = True) -> set[str]:
        """The names of features, of what says that one is missing, and of targets."""
        features = self.feature_set.feature_names
        return {
            *features,
            *(f"{name}__missing" for name in features),
            *(target.name for target in self.targets if targets),
        }

    @property
    def feature_set(self) -> FeatureSet:
        """The features of each row."""
        return self.plan.feature_set

    def fields(self, every: bool) -> list[pa.Field]:
        """The columns; `every`: each row is an observation, so that none is without a `value`."""
        found = [pa.field(VALUE, pa.float64(), nullable=not every)] if self.has_value else []
        for feature in self.feature_set.features:
            if self.plan.is_integer(feature):
                found.append(pa.field(feature.name, pa.int64(), nullable=False))
            else:
                kept = self.feature_set.policy_of(feature, self.missing) == "keep"
                found.append(pa.field(feature.name, pa.float64(), nullable=kept))
        for target in self.targets:
            kind = pa.int64() if target.stat == "count" else pa.float64()
            found.append(pa.field(target.name, kind))
        return [*found, *(pa.field(name, pa.bool_()) for name in self._indicated)]

    def in_order(self, violations: Mapping[str, int]) -> dict[str, int]:
        """How many rows are outside their range by feature, in the set's order."""
        return {n: violations[n] for n in self.feature_set.feature_names if n in violations}

    @property
    def _indicated(self) -> list[str]:
        features = self.feature_set.features if self.indicators else ()
        return [f"{f.name}__missing" for f in features if f.name in self.plan.unsure]

    @property
    def reach(self) -> int:
        """How far a row reads from its time, back or ahead."""
        request = self.scan_request(0, 0, None)
        back = max(request.lookback, request.weather_lookback, request.view_lookback)
        return max(back, request.lookahead)

    def scan_request(
        self, start: int, end: int, asset_ids: tuple[str, ...] | None, edges: bool = False
    ) -> ScanRequest:
        """The history that rows in [start, end] need: what windows, fills and targets reach.

        `edges`: the first and the last observation too, which targets need in any case.
        """
        own = self.feature_set.series
        sources = sources_for(self.plan, self.missing)
        fills = any(source.kind == "series" for source in sources)
        weather = any(source.kind == "weather" for source in sources)
        mine = (own,) if self.has_value or self.targets else ()
        return ScanRequest(
            self.tenant_id,
            asset_ids,
            start,
            end,
            tuple(dict.fromkeys((*mine, *self.plan.series))),
            self.plan.weather,
            max(self.plan.lookback, FILL_WINDOW if fills else 0),
            max(self.plan.weather_lookback, FILL_WINDOW if weather else 0),
            max((target.horizon.micros for target in self.targets), default=0),
            own if edges or self.targets else None,
            self.plan.attributes,
            self.plan.views,
        )

    def columns(self, chunk: Chunk, points: Points) -> Computed:
        """The columns at some points of a chunk, in order; NaN where a value is null."""
        history, own = chunk.history, self.feature_set.series
        filled, masks, violations = vectors(self.plan, points, history, self.missing)
        found: dict[str, Values] = {}
        if self.has_value:
            found[VALUE] = _own_values(own, points, history)
        found |= filled
        for target in self.targets:
            assert chunk.edges is not None
            last = chunk.edges.last
            found[target.name] = target_values(target, own, points, history, last)
        nowhere = np.zeros(len(points), bool)
        for name in self._indicated:
            found[name] = masks.get(name.removesuffix("__missing"), nowhere)
        return Computed(found, masks, violations, several(self.plan, points, history))

    def drawn(self, sample: Sample, chunk: Chunk, points: Points, found: Computed) -> Drawn:
        """What a sample draws of the rows at some points."""
        ids, columns = chunk.asset_ids, found.columns
        missing, violations = found.missing, found.violations
        return sample.draw(ids, points.code, points.time, columns, missing, violations)

    def rejected(self, chunk: Chunk, points: Points, found: Computed, row: int) -> OutOfRange:
        """Why there is no export, for a row with a value outside its range."""
        why = in_words(self.plan.checked, found.columns, found.violations, row)
        return OutOfRange(chunk.asset_ids[points.code[row]], iso(int(points.time[row])), why)

    @property
    def rejects(self) -> bool:
        """Whether a row with a value outside its range is the end of the export."""
        return self.feature_set.on_violation == "reject"

    def metadata(self, times: TimeRange, count: int, counts: Counts) -> dict[str, str]:
        """What a file of such rows says of itself."""
        chosen = self.feature_set
        policy = chosen.missing if self.missing is None else self.missing
        return {
            "ai_hub.feature_set": chosen.name or "",
            "ai_hub.version": "" if chosen.version is None else str(chosen.version),
            "ai_hub.fingerprint": chosen.fingerprint,
            "ai_hub.semantics": str(SEMANTICS),
            "ai_hub.definitions": json.dumps([definition_of(f) for f in chosen.features]),
            "ai_hub.targets": json.dumps([target_fields(target) for target in self.targets]),
            "ai_hub.policy": str(policy),
            "ai_hub.missing": chosen.policy_name(self.missing),
            "ai_hub.tenant_id": self.tenant_id,
            "ai_hub.start_time": iso(times.start),
            "ai_hub.end_time": iso(times.end),
            "ai_hub.row_count": str(count),
            "ai_hub.on_violation": chosen.on_violation,
            "ai_hub.violations": json.dumps(self.in_order(counts.violations)),
        } | ({SEVERAL: json.dumps(self.in_order(counts.several))} if self.plan.views else {})


def arrow_column(field: pa.Field, values: Values) -> pa.Array:
    """One of the columns as Arrow; NaN is null where the field may be."""
    column = pa.array(values, from_pandas=field.nullable)
    return column if column.type == field.type else column.cast(field.type)


def _own_values(series: str, points: Points, history: HistoryArrays) -> NDArray[np.float64]:
    held = history.series[series]
    return held.value if points.time is held.time else values_at(series, points, history)


def target_fields(target: Target) -> dict[str, object]:
    """A target as its members, as people write them."""
    plain = {field.name: getattr(target, field.name) for field in fields(target)}
    return {
        name: str(value) if isinstance(value, Duration) else value
        for name, value in plain.items()
        if value is not None
    }

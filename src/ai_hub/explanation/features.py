"""A feature explained: what it read, and why it is what it is, as the members of a document."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ai_hub.definitions.kinds import (
    Attribute,
    Bucket,
    Calendar,
    Derived,
    Ewm,
    Feature,
    FromView,
    Latest,
    Reading,
    Rolling,
    Seasonal,
)
from ai_hub.definitions.values import FIRST_INSTANT, Duration, iso
from ai_hub.engines.extents import Extent, extent_of, fill_extent
from ai_hub.engines.traits import Input, fill_number, has_asset_zone
from ai_hub.explanation.asked import Asked, Known
from ai_hub.explanation.documents import (
    Document,
    document_of,
    policy_of,
    rows_document,
    source_of,
    window_document,
)
from ai_hub.explanation.why import (
    Why,
    why_attribute,
    why_calendar,
    why_degraded,
    why_derived,
    why_outside,
    why_readings,
    why_view,
    why_weather,
    why_zone,
)
from ai_hub.serving.spec import Spec
from ai_hub.stores.attributes import value_at
from ai_hub.stores.evidence import Found, ReadRow, Wanted


@dataclass(frozen=True, slots=True)
class Values:
    """What is answered: the features, those that were missing, and those outside their range.

    `plain` are the values before filling, of those besides that derived ones read too. `error`:
    the set rejects such values, and nothing else is answered.
    """

    features: Mapping[str, Any]
    missing: frozenset[str]
    violations: frozenset[str]
    plain: Mapping[str, Any] = field(default_factory=dict)
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Gathered:
    """The rows that each feature reads, those that fill it, and those of views."""

    rows: Mapping[str, tuple[Found, ...]]
    fills: Mapping[str, Found]
    views: Mapping[str, tuple[ReadRow, ...]]


def shown(spec: Spec, asked: Asked) -> list[Feature]:
    """The features that are explained, in the order of the answer."""
    features = spec.feature_set.features
    return [one for one in features if asked.names is None or one.name in asked.names]


def behind(spec: Spec, asked: Asked) -> list[Feature]:
    """These, and those that derived ones of them read: each after what it reads."""
    plan = spec.plan
    wanted = {feature.name for feature in shown(spec, asked)}
    for derived in reversed(plan.derived):
        if derived.name in wanted:
            wanted.update(derived.inputs)
    plain = [f for f in plan.feature_set.computed if not isinstance(f, Derived)]
    return [feature for feature in (*plain, *plan.derived) if feature.name in wanted]


def wanted_by(feature: Feature, t: int, zone: str | None) -> list[tuple[Wanted, Extent]]:
    """What a feature looks for, first what it prefers; the extent as it is defined."""
    extent = extent_of(feature, t, zone)
    if extent is None:
        return []
    if isinstance(feature, Reading):
        return [(Wanted(Input.of(feature), extent, enough(feature)), extent)]
    if isinstance(feature, Latest):
        found = [(Wanted(Input("weather", feature.column), extent, 1), extent)]
        recent = min(feature.measured_within, feature.max_age)
        if recent.micros:
            preferred = ((max(FIRST_INSTANT, t - recent.micros + 1), t),)
            measured = extent._replace(spans=preferred)
            found.insert(0, (Wanted(Input("weather", feature.column, True), measured), extent))
        return found
    return []


def fills_of(spec: Spec, missing: Iterable[str], t: int) -> dict[str, Wanted]:
    """The rows whose mean fills each missing feature that one fills."""
    filled = spec.plan.filled_from
    found = {}
    for name in missing:
        source = filled.get(name)
        if source is not None and policy_of(spec, name) == "mean":
            found[name] = Wanted(Input(source.kind, source.name), fill_extent(source, t))
    return found


def enough(feature: Reading) -> int:
    """Of how many rows a feature makes a value, at least."""
    match feature:
        case Rolling() | Bucket() | Seasonal():
            if feature.stat in ("count", "coverage"):
                return 0
            return max(feature.min_count, 2 if feature.stat in ("std", "increase") else 1)
        case Ewm():
            return feature.min_count
        case _:
            return 1


def explained(
    spec: Spec, asked: Asked, known: Known, values: Values, gathered: Gathered
) -> list[Document]:
    """Every feature of an answer, in its order."""
    whys: dict[str, Why | None] = {}
    documents: dict[str, Document] = {}
    for feature in behind(spec, asked):
        one = _One(feature, spec, asked, known, values, gathered)
        whys[feature.name] = one.why(whys)
        documents[feature.name] = one.document(whys[feature.name])
    return [documents[feature.name] for feature in shown(spec, asked)]


def degraded(spec: Spec, asked: Asked, values: Values, reason: str | None = None) -> list[Document]:
    """Every feature of an answer that the store had no part in, or (`reason`) that is archived."""
    why = why_degraded()
    if reason is not None:
        why = Why("archived", f"{reason[0].upper()}{reason[1:]}.", "ai-hub export")
    return [
        document_of(
            feature,
            values.features.get(feature.name),
            spec,
            why if feature.name in values.missing else None,
            missing=feature.name in values.missing,
            source=source_of(feature, asked, None),
        )
        for feature in shown(spec, asked)
    ]


@dataclass(frozen=True, slots=True)
class _One:
    """One feature and all there is to explain it by."""

    feature: Feature
    spec: Spec
    asked: Asked
    known: Known
    values: Values
    gathered: Gathered

    @property
    def _name(self) -> str:
        return self.feature.name

    @property
    def _zone(self) -> str | None:
        return self.known.zone(self.asked.at)

    @property
    def _is_missing(self) -> bool:
        if self._name in self.spec.feature_set.feature_names:
            return self._name in self.values.missing
        return self.values.plain[self._name] is None

    @property
    def _is_outside(self) -> bool:
        return self._name in self.values.violations

    @property
    def _extent(self) -> Extent | None:
        return extent_of(self.feature, self.asked.at, self._zone)

    @property
    def _found(self) -> Found | None:
        """The rows that were read: those that it prefers, if there are any."""
        found = self.gathered.rows.get(self._name, ())
        return next((one for one in found if one.count), found[-1] if found else None)

    def why(self, whys: Mapping[str, Why | None]) -> Why | None:
        """Why it is missing or outside its range; None where neither is."""
        feature, plain = self.feature, self.values.plain
        if self._is_outside:
            is_nulled = self._name in self.spec.plan.nulled
            return why_outside(feature, plain[self._name], is_nulled)
        if not self._is_missing:
            return None
        if has_asset_zone(feature) and self._zone is None:
            return why_zone(self.asked, self.known)
        match feature:
            case Calendar():
                return why_calendar(feature)
            case Attribute():
                return why_attribute(feature, self.asked, self.known)
            case FromView():
                extent = self._extent
                assert extent is not None
                rows = self.gathered.views.get(self._name, ())
                return why_view(feature, extent, rows, self.asked, self.known)
            case Derived():
                nulled = self.spec.plan.nulled & self.values.violations
                read = {n: None if n in nulled else plain[n] for n in feature.inputs}
                return why_derived(feature, read, whys)
            case _:
                return self._why_rows()

    def _why_rows(self) -> Why:
        feature, found, extent = self.feature, self._found, self._extent
        assert found is not None
        assert extent is not None
        wanted = wanted_by(feature, self.asked.at, self._zone)[-1][0]
        if found.count >= wanted.enough:
            return Why(
                "no_number",
                "What is taken of its values is no number that a float holds: look at the rows, "
                "and correct those that cannot be.",
            )
        read = wanted.input
        if read.kind == "weather":
            return why_weather(read, extent, found, wanted.enough, self.asked, self.known)
        return why_readings(read.name, extent, found, wanted.enough, self.asked, self.known)

    def document(self, why: Why | None) -> Document:
        """All that is shown of it."""
        feature, extent, found = self.feature, self._extent, self._found
        values = self.values.features if self.values.error is None else self.values.plain
        rows = None if found is None else rows_document(found)
        issued = None
        if found is not None and found.newest:
            issued = found.newest[0].issued
        if isinstance(feature, FromView) and extent is not None:
            held = self.gathered.views.get(self._name, ())
            fresh = [row for row in held if row.time > extent.start]
            newest = tuple(row for row in fresh if row.time == fresh[0].time)
            at = newest[0].time if newest else None
            rows = rows_document(Found(len(newest), at, at, newest))
        elif isinstance(feature, Attribute):
            rows = self._attribute_rows(feature)
        document = document_of(
            feature,
            values.get(self._name),
            self.spec,
            why,
            missing=self._is_missing,
            source=source_of(feature, self.asked, self.known) | ({} if issued is None else {
                "issued_at": iso(issued)}),
            window=None if extent is None else window_document(extent),
            rows=rows,
            coverage=None if found is None or extent is None else self._coverage(found, extent),
            outside=self._is_outside,
        )  # fmt: skip
        if self._is_missing and self.values.error is None:
            document["filled"] = self._filled()
        if isinstance(feature, Derived):
            document["inputs"] = {name: self.values.plain[name] for name in feature.inputs}
        return document

    def _attribute_rows(self, feature: Attribute) -> Document:
        changes = self.known.record.attributes.get(feature.key, ())
        held = value_at(changes, self.asked.at)
        if held is None:
            return rows_document(Found(0, None, None, ()))
        since = max(at for at, _ in changes if at <= self.asked.at)
        row = {"timestamp": iso(since), "value": held}
        return {"count": 1, "first": iso(since), "last": iso(since), "newest": [row]}

    def _coverage(self, found: Found, extent: Extent) -> float | None:
        """The share of the window that has values: by the feature's step, else by the usual one of
        the series."""
        feature = self.feature
        match feature:
            case Seasonal():
                return found.count / feature.count
            case Rolling() | Bucket() | Ewm():
                step = None if isinstance(feature, Ewm) else feature.step
                if step is None and feature.source == "observations":
                    series = self.known.record.series
                    usual = next((s.cadence for s in series if s.name == feature.series), None)
                    step = None if usual is None else Duration(usual)
                if step is None:
                    return None
                length = extent.end - extent.start
                if not length:
                    return float(found.count > 0)
                return min(1.0, found.count * step.micros / length)
            case _:
                return None

    def _filled(self) -> Document:
        """What stands in for the missing value."""
        policy = policy_of(self.spec, self._name)
        document: Document = {"policy": policy}
        found = self.gathered.fills.get(self._name)
        source = self.spec.plan.filled_from.get(self._name)
        if found is not None and source is not None:
            document["mean_of"] = source.name
            document["window"] = window_document(fill_extent(source, self.asked.at))
            document["rows"] = rows_document(found)
        elif policy == "mean":
            document["number"] = fill_number(self.feature)
        return document

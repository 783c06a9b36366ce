"""A feature explained, as the members of a document."""

from __future__ import annotations

from typing import Any, assert_never

from ai_hub.definitions.feature_set import definition_of
from ai_hub.definitions.kinds import (
    Age,
    Attribute,
    Bucket,
    Calendar,
    Derived,
    Ewm,
    Feature,
    FromView,
    Lag,
    Latest,
    Rolling,
    Seasonal,
)
from ai_hub.definitions.values import iso
from ai_hub.engines.extents import Extent
from ai_hub.explanation.asked import Asked, Known
from ai_hub.explanation.why import Why
from ai_hub.serving.spec import Spec
from ai_hub.stores.evidence import Found, ReadRow

Document = dict[str, Any]


def policy_of(spec: Spec, name: str) -> Any:
    """The missing policy of a feature in an answer."""
    chosen = spec.feature_set
    feature = next(one for one in chosen.features if one.name == name)
    return chosen.policy_of(feature, spec.missing)


def document_of(
    feature: Feature,
    value: object,
    spec: Spec,
    why: Why | None,
    *,
    missing: bool,
    source: Document,
    window: Document | None = None,
    rows: Document | None = None,
    coverage: float | None = None,
    outside: bool = False,
) -> Document:
    """All that is said of a feature."""
    return {
        "name": feature.name,
        "value": value,
        "missing": missing,
        "cause": None if why is None else why.cause,
        "why": None if why is None else why.text,
        "command": None if why is None else why.command,
        "window": window,
        "rows": rows,
        "coverage": coverage,
        "source": source,
        "violation": outside,
        "filled": None,
        "inputs": None,
        "definition": definition_of(feature),
    }


def window_document(extent: Extent) -> Document:
    """A window as instants."""
    return {"start": iso(extent.start), "end": iso(extent.end), "closed": extent.closed}


def rows_document(found: Found) -> Document:
    """Some rows: how many, and the newest."""
    return {
        "count": found.count,
        "first": None if found.first is None else iso(found.first),
        "last": None if found.last is None else iso(found.last),
        "newest": [_row(row) for row in found.newest],
    }


def _row(row: ReadRow) -> Document:
    document: Document = {"timestamp": iso(row.time), "value": row.value}
    if row.quality is not None:
        document["quality"] = row.quality
    if row.issued is not None:
        document["issued_at"] = iso(row.issued)
    return document


def source_of(feature: Feature, asked: Asked, known: Known | None) -> Document:
    """What a feature reads; the station of weather where that is known."""
    match feature:
        case Calendar():
            return {"kind": "calendar", "timezone": feature.tz}
        case Derived():
            return {"kind": "features"}
        case Attribute():
            return {"kind": "attribute", "key": feature.key}
        case FromView():
            return {"kind": "view", "view": feature.view, "column": feature.column}
        case Latest():
            column: str = feature.column
        case Rolling() | Lag() | Bucket() | Seasonal() | Ewm() | Age():
            if feature.source == "observations":
                return {"kind": "series", "series": feature.series}
            column = str(feature.column)
        case _:
            assert_never(feature)
    station = None if known is None else known.source(asked.asset_id, asked.at)
    return {"kind": "weather", "column": column, "station": station}

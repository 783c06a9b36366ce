"""One asset: its readings over time with a feature beside them, and its vector in words."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from ai_hub.definitions.kinds import Bucket, Ewm, Lag, Rolling, Seasonal
from ai_hub.definitions.values import SECOND, iso, parse_time, to_datetime, to_micros
from ai_hub.definitions.vocabulary import WEATHER_COLUMNS
from ai_hub.errors import InvalidInput
from ai_hub.page.asked import Asked
from ai_hub.page.assets import series_shown
from ai_hub.page.spans import stretches

_SPANS = (("Day", 1), ("Week", 7), ("Month", 30), ("Year", 365))
_DEFAULT_DAYS = 30
_MOST_DAYS = 5 * 365
_NO_WEATHER = "none"
_LISTED = 24
"""Times of the weather that the table has."""


async def view(asked: Asked, tenant: str | None) -> dict[str, Any]:
    """The asset, or a `part` of its page: its `chart` of a range, or the `vector` of a time."""
    asset_id = asked.word("asset_id")
    if tenant is None or asset_id is None:
        raise InvalidInput("asset_id", asset_id, "an asset of a tenant that has data")
    part = asked.word("part")
    known = await asked.store.asset(tenant, asset_id)
    label = asked.word("set") or _usual_set(asked)
    shown: dict[str, Any] = {
        "asset": known,
        "series": [series_shown(one, asked.store.now()) for one in known["series"]],
        "names": {"tenant_id": tenant, "asset_id": asset_id, "set": label},
        "sets": sorted({one["name"] for one in asked.store.listed() if one["state"] == "active"}),
        "label": label,
        "weather": asked.word("weather") or WEATHER_COLUMNS[0],
        "weathers": (*WEATHER_COLUMNS, _NO_WEATHER),
    }
    last = max((one["last"] for one in known["series"]), default=None)
    at = _time(asked, "at") or (_parsed(last, "at") if last else to_datetime(asked.store.now()))
    if part != "chart":
        shown |= await _vector(asked, tenant, asset_id, label, at)
    if part != "vector":
        features = asked.store.specs.one_set(label).feature_set.feature_names
        feature = asked.word("feature") or _first_missing(shown.get("vector")) or features[-1]
        shown |= {"feature": feature, "features": features, "at": _iso(at)}
        shown |= await _chart(asked, tenant, asset_id, label, feature, shown["weather"], at)
    return shown


def _usual_set(asked: Asked) -> str:
    names = {one.name for one in asked.store.registry.sets()}
    return "forecast_basic" if "forecast_basic" in names else min(filter(None, names))


async def _vector(
    asked: Asked, tenant: str, asset_id: str, label: str, at: datetime
) -> dict[str, Any]:
    found = await asked.store.explain(
        tenant_id=tenant, asset_id=asset_id, feature_set=label, timestamp=at
    )
    # What is missing comes first: mostly that is what somebody looks for.
    order = sorted(found["features"], key=lambda one: (not one["missing"], not one["violation"]))
    return {"vector": {**found, "features": order}, "at": found["timestamp"]}


def _first_missing(vector: dict[str, Any] | None) -> str | None:
    features = vector["features"] if vector else []
    return next((one["name"] for one in features if one["missing"]), None)


async def _chart(
    asked: Asked, tenant: str, asset_id: str, label: str, feature: str, weather: str, at: datetime
) -> dict[str, Any]:
    end = _time(asked, "to") or at
    start = _time(asked, "from") or end - timedelta(days=_DEFAULT_DAYS)
    found = await asked.store.chart(
        tenant, asset_id, start, end, feature_set=label, feature=feature,
        weather=None if weather == _NO_WEATHER else weather,  # type: ignore[arg-type]  # checked there
    )  # fmt: skip
    drawn = {name: found[name] for name in ("readings", "gaps", "feature", "series", "weather")}
    missing = stretches(found["feature"])
    drawn["feature"] = found["feature"] | {"axis": _axis(asked, label, feature)}
    drawn["missing"] = missing
    drawn |= {"start": start.timestamp(), "end": end.timestamp(), "at": at.timestamp()}
    return {
        "chart": found,
        "gaps": [_span(one) for one in found["gaps"]],
        "missing": [_span(one) for one in missing],
        "known": _known(found["weather"]),
        # What begins a tag is written in another way: the text stands in HTML.
        "drawn": json.dumps(drawn, separators=(",", ":")).replace("<", "\\u003c"),
        "moves": _moves(start, end),
        "start": _iso(start),
        "end": _iso(end),
    }


def _span(ends: Sequence[float]) -> dict[str, Any]:
    """From when to when, and for how long."""
    first, last = (iso(round(one * SECOND)) for one in ends)
    return {"start": first, "end": last, "seconds": ends[1] - ends[0]}


def _known(weather: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """What the weather was known by: how much of it was measured, and how old forecasts were."""
    if weather is None:
        return None
    names = ("time", "value", "about", "issued")
    times = [*zip(*(weather[name] for name in names), strict=True)]
    there = [one for one in times if one[1] is not None]
    ahead = [about - issued for _, _, about, issued in there if issued < about]
    values = [value for _, value, _, _ in there]
    step = max(1, len(times) // _LISTED)
    listed = [
        {"time": iso(round(time * SECOND)), "value": value}
        | (
            {"about": None, "issued": None, "ahead": None}
            if value is None
            else {
                "about": iso(round(about * SECOND)),
                "issued": iso(round(issued * SECOND)),
                "ahead": about - issued,
            }
        )
        for time, value, about, issued in times[::step][-_LISTED:]
    ]
    return {
        "column": weather["column"],
        "times": len(times),
        "unknown": len(times) - len(there),
        "forecasts": len(ahead),
        "measured": len(there) - len(ahead),
        "longest": max(ahead, default=None),
        "low": min(values, default=None),
        "high": max(values, default=None),
        "listed": listed,
    }


def _axis(asked: Asked, label: str, name: str) -> str:
    """Whether a feature is measured as the readings are, or has an axis of its own."""
    chosen = asked.store.specs.one_set(label).feature_set
    feature = next(one for one in chosen.features if one.name == name)
    alike = isinstance(feature, Lag | Seasonal | Ewm) or (
        isinstance(feature, Rolling | Bucket) and feature.stat in ("mean", "min", "max")
    )
    return "shared" if alike and getattr(feature, "source", "") == "observations" else "own"


def _moves(start: datetime, end: datetime) -> list[tuple[str, str, str, str]]:
    """Where one may go from a range: a word, a name for scripts, and the range there."""
    width = end - start
    step = width / 2
    found = [
        ("Earlier", "earlier", start - step, end - step),
        ("Later", "later", start + step, end + step),
        ("Closer", "closer", start + width / 4, end - width / 4),
        ("Wider", "wider", start - step, end + step),
    ]
    found += [(word, word.lower(), end - timedelta(days=days), end) for word, days in _SPANS]
    longest = timedelta(days=_MOST_DAYS)
    return [
        (word, name, _iso(first), _iso(last))
        for word, name, first, last in found
        if timedelta(minutes=1) <= last - first <= longest
    ]


def _time(asked: Asked, name: str) -> datetime | None:
    """A time of the query; as a field of a form says it, it is UTC. Raises InvalidInput."""
    text = asked.word(name)
    return None if text is None else _parsed(text, name)


def _parsed(text: str, name: str) -> datetime:
    """A time of a text, as answers write it or as a field of a form does. Raises InvalidInput."""
    try:
        plain = datetime.fromisoformat(text)
    except ValueError:
        return to_datetime(parse_time(text, name))
    return plain.replace(tzinfo=UTC) if plain.tzinfo is None else plain.astimezone(UTC)


def _iso(time: datetime) -> str:
    return iso(to_micros(time.replace(microsecond=0)))

"""Why a feature has no value: its cause, and one sentence with what to do about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple, assert_never

from ai_hub.definitions.kinds import Attribute, Calendar, Derived, Feature, FromView
from ai_hub.definitions.values import DEFAULT_SERIES, iso
from ai_hub.engines.extents import Extent
from ai_hub.engines.traits import ZONE_KEY, Input
from ai_hub.errors import did_you_mean, named, shown
from ai_hub.explanation.asked import Asked, Known
from ai_hub.explanation.near import is_same, nearest
from ai_hub.stores.attributes import value_at
from ai_hub.stores.evidence import Found, ReadRow
from ai_hub.stores.views import fault_in_words

Cause = Literal[
    "degraded",
    "archived",
    "unknown_asset",
    "other_series",
    "no_readings",
    "unusable",
    "stale",
    "gap",
    "not_yet",
    "too_few",
    "beyond_retention",
    "no_station",
    "no_weather",
    "issued_later",
    "not_measured",
    "no_column",
    "no_zone",
    "no_attribute",
    "view",
    "inputs",
    "no_number",
    "outside_range",
    "calendar",
]


class Why(NamedTuple):
    """A cause, the sentence that says it and what to do, and the command in it, if one helps.

    FILE, NUMBER and ZONE in a command stand for what only its user knows.
    """

    cause: Cause
    text: str
    command: str | None = None


def why_degraded() -> Why:
    """The store gave no answer."""
    command = "ai-hub status"
    return Why(
        "degraded",
        "The database did not answer, so that only calendar features have values: ask again when "
        f"it does, which `{command}` tells.",
        command,
    )


def why_outside(feature: Feature, value: object, nulled: bool) -> Why:
    """A value is outside the range that its feature has."""
    what = " and is missing by that" if nulled else ""
    command = "ai-hub apply FILE"
    return Why(
        "outside_range",
        f"Its value {value!r} is outside what is valid, {feature.valid}{what}: correct the rows "
        f"that it reads, or give a new version of the set another range with `{command}`.",
        command,
    )


def why_attribute(feature: Attribute, asked: Asked, known: Known) -> Why:
    """An attribute is no number at t."""
    key, attributes = feature.key, known.record.attributes
    changes = attributes.get(key, ())
    command = asked.set_attribute(key, "NUMBER", always=not changes)
    held = value_at(changes, asked.at)
    if isinstance(held, str):
        why = f"The attribute {key} is the text {shown(held)}, not a number"
    elif changes and changes[0][0] > asked.at:
        why = f"The attribute {key} has a value from {iso(changes[0][0])} on only"
    elif changes:
        since = max(at for at, _ in changes if at <= asked.at)
        why = f"The attribute {key} was ended at {iso(since)}"
    else:
        hint = did_you_mean(key, attributes)
        has = named(sorted(attributes)) or "none"
        why = f"The asset has no attribute {key} (it has: {has}{'; ' + hint if hint else ''})"
    return Why("no_attribute", f"{why}: set it with `{command}`.", command)


def why_zone(asked: Asked, known: Known) -> Why:
    """The asset has no zone at t."""
    changes = known.record.attributes.get(ZONE_KEY, ())
    command = asked.set_attribute(ZONE_KEY, "ZONE", always=not changes)
    return Why(
        "no_zone",
        f"It is of the asset's own zone, and the attribute {ZONE_KEY} names none at this time: set "
        f"it, such as to Europe/Berlin, with `{command}`.",
        command,
    )


def why_view(
    feature: FromView, extent: Extent, rows: tuple[ReadRow, ...], asked: Asked, known: Known
) -> Why:
    """A view has no value."""
    fault = known.faults.get(feature.name)
    if fault is not None:
        command, do = None, ""
        match fault:
            case "several" | "gone" | "failed":
                command = asked.make_view(feature.view)
                do = f": make one that gives a row of each time, with `{command}`"
            case "changed":
                command = "ai-hub apply FILE"
                do = f" (`{command}`)"
            case "refused" | "slow":
                pass
            case _:
                assert_never(fault)
        said = fault_in_words(fault).removesuffix(".")
        return Why("view", f"The view {feature.view} {said}{do}.", command)
    before = rows[0].time if rows else None
    if before is None:
        why = f"The view {feature.view} has no row of this asset with a number in {feature.column}"
    else:
        why = (
            f"The newest row of the view {feature.view} with a number in {feature.column} is of "
            f"{iso(before)}, not later than {iso(extent.start)}"
        )
    return Why("view", f"{why}: add newer rows to what it reads.")


def why_derived(
    feature: Derived, values: Mapping[str, object], whys: Mapping[str, Why | None]
) -> Why:
    """Arithmetic over other features gave no number."""
    null = [name for name in feature.inputs if values[name] is None]
    if not null:
        said = ", ".join(f"{name} = {values[name]!r}" for name in feature.inputs)
        return Why(
            "no_number",
            f"The expression gives no finite number for {said}: say what it is then, as in "
            "coalesce(..., 0), in a new version of the set, with `ai-hub apply FILE`.",
            "ai-hub apply FILE",
        )
    first = whys.get(null[0])
    its = "" if first is None else f": {first.text}"
    more = f" (as {named(null[1:])} are too)" if null[1:] else ""
    return Why(
        "inputs", f"It reads {null[0]}, which is missing{more}{its or '.'}",
        None if first is None else first.command,
    )  # fmt: skip


def why_calendar(feature: Calendar) -> Why:
    """A part of the calendar that is not known."""
    if feature.part == "is_holiday":
        command = "ai-hub apply FILE"
        return Why(
            "calendar",
            "The holidays that were frozen when the set was applied do not reach this time: apply "
            f"a new version of the set with `{command}`.",
            command,
        )
    return Why("calendar", "The local date is beyond the years 1 to 9999: ask for another time.")


def why_readings(
    name: str, extent: Extent, found: Found, enough: int, asked: Asked, known: Known
) -> Why:
    """A series has too few readings where a feature reads them."""
    around = found.around
    assert around is not None
    where = _where(extent)
    command = asked.ingest(name)
    series = {one.name for one in known.record.series}
    if around.unusable and not found.count:
        command = asked.ingest(name, "--quality-column", "none")
        count = "The one reading" if around.unusable == 1 else f"All {around.unusable:,} readings"
        return Why(
            "unusable",
            f"{count} of {name} {where} {'has' if around.unusable == 1 else 'have'} a quality "
            f"below 1, which no feature reads: if they are right, load them again as usable with "
            f"`{command}`.",
            command,
        )
    is_unknown = known.record.is_unknown
    if is_unknown and known.near and is_same(known.near[0], asked.asset_id):
        return _unknown(asked, known)
    others = series - {name}
    lost = _lost("ai_features", extent, around.before, known, command)
    if lost is not None and not (others and name not in series):
        return lost
    # What is unusable is kept for a shorter time than what is read.
    lost_too = "; which readings had a quality below 1 is not kept for so long"
    note = lost_too if known.has_lost_unusable(extent.last) else ""
    if is_unknown:
        return _unknown(asked, known, note)
    if name not in series and not found.count:
        if series:
            hint = did_you_mean(name, series)
            return Why(
                "other_series",
                f"The asset has no reading of the series {name}, but it has {named(sorted(series))}"
                f"{' (' + hint + ')' if hint else ''}: load {name} with `{command}`, or have a new "
                "version of the set read a series that is there, with `ai-hub apply FILE`.",
                command,
            )
        return Why(
            "no_readings",
            f"No usable reading of the asset is stored{note}: load some with `{command}`.",
            command,
        )
    return _holes(f"reading of {name}", where, extent, found, enough, command, note)


def why_weather(
    read: Input, extent: Extent, found: Found, enough: int, asked: Asked, known: Known
) -> Why:
    """A column of the weather has too few values where a feature reads them."""
    around = found.around
    assert around is not None
    column, where = read.name, _where(extent)
    source = known.source(asked.asset_id, asked.at)
    whose = f"of station {shown(source)}" if source != asked.asset_id else "of the asset itself"
    command = asked.ingest_weather()
    if around.later and not found.count:
        assert around.later_issue is not None
        assert around.later_about is not None
        at = asked.later(around.later_issue)
        why = (
            f"The weather {whose} about {where.removeprefix('in ')} was issued later than "
            f"{iso(asked.at)}, first at {iso(around.later_issue)}"
        )
        # What is asked for then has to be young enough still.
        if extent.each and around.later_about > at - (extent.end - extent.start):
            get = asked.get(at=at)
            return Why("issued_later", f"{why}: ask for a time when it was known, `{get}`.", get)
        return Why(
            "issued_later",
            f"{why}: if it was known earlier, load it with its issue times with `{command}`.",
            command,
        )
    if around.forecasts and not found.count:
        return Why(
            "not_measured",
            f"The weather {whose} {where} has {column} in forecasts alone, and the feature reads "
            f"measurements (issued_at not before timestamp): load these with `{command}`.",
            command,
        )
    if around.null and not found.count:
        return Why(
            "no_column",
            f"The weather {whose} {where} has no {column} in its {around.null:,} "
            f"{'row' if around.null == 1 else 'rows'}: load it with `{command}`.",
            command,
        )
    if known.record.is_unknown:
        return _unknown(asked, known)
    if around.before is None and around.after is None:
        unmapped = _no_source(source, column, asked, known)
        if unmapped is not None:
            return unmapped
    lost = _lost("weather_features", extent, around.before, known, command)
    if lost is not None:
        return lost
    if around.before is None and around.after is None and not found.count:
        more = ", and it is mapped to no station" if source == asked.asset_id else ""
        return Why(
            "no_weather",
            f"No {column} {whose} is stored{more}: load weather with `{command}`.",
            command,
        )
    return _holes(f"{column} {whose}", where, extent, found, enough, command)


def _no_source(source: str, column: str, asked: Asked, known: Known) -> Why | None:
    """An asset without weather of its own or of its station, where there are stations with some."""
    stations = [one for one in known.stations if one != source]
    if not stations:
        return None
    mappings = known.record.mappings
    likely = next(iter(nearest(source, stations)), stations[0])
    command = asked.map_to(likely, always=not mappings)
    if source != asked.asset_id:
        why = f"The asset is mapped to the station {shown(source)}, of which no {column} is stored"
    elif any(since > asked.at for since, _ in mappings):
        since = min(since for since, _ in mappings if since > asked.at)
        why = f"The asset is mapped to a station from {iso(since)} on only"
    else:
        why = f"The asset is mapped to no station, and has no {column} of its own"
    return Why(
        "no_station",
        f"{why} (stations with weather at this time: {named(map(shown, stations))}): map it with "
        f"`{command}`.",
        command,
    )


def _unknown(asked: Asked, known: Known, note: str = "") -> Why:
    command = asked.ingest(DEFAULT_SERIES)
    nothing = f"Nothing is stored of an asset {shown(asked.asset_id)} of this tenant{note}"
    if not known.near:
        return Why("unknown_asset", f"{nothing}: load its readings with `{command}`.", command)
    get = asked.get(asset_id=known.near[0])
    same = known.near[0].casefold() == asked.asset_id.casefold()
    case = ", and ids differ by case" if same else ""
    return Why(
        "unknown_asset",
        f"{nothing}; {'the nearest ids are' if known.near[1:] else 'the nearest id is'} "
        f"{named(map(shown, known.near))}{case}: ask for {shown(known.near[0])} with `{get}`, or "
        f"load readings of what you asked for with `{command}`.",
        get,
    )


def _lost(
    relation: str, extent: Extent, before: int | None, known: Known, command: str
) -> Why | None:
    """Rows may have been deleted where a feature reads."""
    since = known.deleted_before(relation)
    if since is None or extent.last >= since or before is not None:
        return None
    keep = f"ai-hub retention set {relation} none"
    kept = known.kept_for(relation)
    now = "" if kept == "none" else f" (it keeps them for {kept})"
    return Why(
        "beyond_retention",
        f"What {relation} had from before {iso(since)} is deleted{now}, and this feature reads "
        f"{_where(extent)}: keep rows with `{keep}`, and load them again with `{command}`.",
        keep,
    )


def _holes(
    what: str,
    where: str,
    extent: Extent,
    found: Found,
    enough: int,
    command: str,
    note: str = "",
) -> Why:
    """There are rows, but not where a feature reads, or too few of them."""
    around = found.around
    assert around is not None
    before, after = around.before, around.after
    if found.count:
        of = "lags" if extent.each and len(extent.spans) > 1 else "values"
        unusable = (
            f" ({around.unusable:,} more are of a quality below 1)" if around.unusable else ""
        )
        return Why(
            "too_few",
            f"Of the {enough:,} {of} that it needs, {where} has {found.count:,}{unusable}: load "
            f"what is missing with `{command}`.",
            command,
        )
    if before is not None and after is not None:
        return Why(
            "gap",
            f"There is no {what} {where}, in a gap from {iso(before)} to {iso(after)}{note}: "
            f"load what is missing with `{command}`.",
            command,
        )
    if before is not None:
        return Why(
            "stale",
            f"There is no {what} {where}, nor later, the last one being of {iso(before)}{note}: "
            f"load newer ones with `{command}`.",
            command,
        )
    if after is not None:
        return Why(
            "not_yet",
            f"There is no {what} {where}, nor earlier, the first one being of {iso(after)}"
            f"{note}: load earlier ones with `{command}`.",
            command,
        )
    return Why("no_readings", f"There is no {what} {where}: load some with `{command}`.", command)


def _where(extent: Extent) -> str:
    """`in (2025-10-09T13:30:00Z, 2025-10-09T14:30:00Z]`."""
    left = "[" if extent.closed in ("both", "left") else "("
    right = "]" if extent.closed in ("both", "right") else ")"
    return f"in {left}{iso(extent.start)}, {iso(extent.end)}{right}"

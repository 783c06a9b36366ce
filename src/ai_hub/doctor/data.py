"""Judges the data of each tenant: there, on time, whole, alive, and possible."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise

from ai_hub.definitions.values import HOUR, iso
from ai_hub.doctor.line import Line, counted, ok, shell, warning, width
from ai_hub.engines.thinning import flat_since, longest_step
from ai_hub.stores.checkup import DataFacts, SampledSeries

LATE_CADENCES, LATE_AT_LEAST = 4, HOUR
"""A series is late where it is that far behind the newest of its tenant ..."""
LATE_FOR_ALL = 26 * HOUR
"""... or that far behind now, however late they all come."""
SKEW = 5 * 60 * 1_000_000
"""Clocks of meters differ by as much."""
LATE_SHARE, DOUBTFUL_SHARE = 0.25, 0.1
FRESH_WEATHER = 24 * HOUR
"""Features take no weather that is older."""

_Judge = Callable[[str, Sequence[SampledSeries], int], Line | None]


def judge(facts: DataFacts, tenant_id: str | None, now: int) -> list[Line]:
    """The lines about data, of each tenant that something is wrong with."""
    if not facts.series:
        tenant = "TENANT" if tenant_id is None else tenant_id
        whose = "there are no readings" if tenant_id is None else f"{tenant_id} has no readings"
        said = f"{whose} that can be used"
        return [warning("readings", said, 0, _ingest(tenant), tenant_id)]
    total, sampled = sum(facts.series.values()), len(facts.sample)
    assets = sum(facts.assets.values())
    looked = "all" if sampled == total else f"{sampled:,} of {total:,}"
    lines = [
        ok(
            "readings",
            f"{counted(len(facts.series), 'tenant has', 'tenants have')} "
            f"{counted(assets, 'asset', 'assets')} with {total:,} series; {looked} are looked at",
            total,
        )
    ]
    of_tenant: dict[str, list[SampledSeries]] = {}
    for one in facts.sample:
        of_tenant.setdefault(one.tenant_id, []).append(one)
    for name, text, look in _LINES:
        wrong = [look(tenant, some, now) for tenant, some in of_tenant.items()]
        found = [line for line in wrong if line is not None]
        lines += found or [ok(name, text, 0)]
    return [*lines, *_weather(facts, now)]


def cadence_of(times: Sequence[int]) -> int | None:
    """The (lower) median step between readings; None for fewer than two."""
    steps = sorted(after - before for before, after in pairwise(times))
    return steps[(len(steps) - 1) // 2] if steps else None


def _past(one: SampledSeries, now: int) -> list[int]:
    return [time for time in one.times if time <= now + SKEW]


def late(tenant: str, some: Sequence[SampledSeries], now: int) -> Line | None:
    """Series whose newest reading is older than those of others, or than a day."""
    last = [(past[-1], one) for one in some if (past := _past(one, now))]
    newest = max((at for at, _ in last), default=now)
    behind = []
    for at, one in last:
        allowed = max(LATE_AT_LEAST, LATE_CADENCES * (cadence_of(one.times) or 0))
        if newest - at > allowed or now - at > max(LATE_FOR_ALL, allowed):
            behind.append((at, one))
    if not behind:
        return None
    at, worst = min(behind, key=lambda pair: pair[0])
    of_all = f"of {len(some):,} series of {tenant}"
    said = (
        f"{counted(len(behind), f'{of_all} is', f'{of_all} are')} late; the latest is "
        f"{_named(worst)}, whose newest reading is of {iso(at)}"
    )
    return warning("late", said, len(behind), _ingest(tenant), tenant)


def gaps(tenant: str, some: Sequence[SampledSeries], now: int) -> Line | None:
    """Steps between readings that are much longer than usual."""
    found = []
    for one in some:
        cadence = cadence_of(one.times)
        allowed = longest_step(cadence)
        found += [(b - a, a, one) for a, b in pairwise(_past(one, now)) if b - a > allowed]
    if not found:
        return None
    longest, since, worst = max(found, key=lambda gap: gap[0])
    said = (
        f"{counted(len(found), 'gap', 'gaps')} in {len({id(one) for _, _, one in found}):,} series "
        f"of {tenant}; the longest is {width(longest)}, of {_named(worst)} after {iso(since)}"
    )
    return warning("gaps", said, len(found), _ingest(tenant), tenant)


def flat(tenant: str, some: Sequence[SampledSeries], now: int) -> Line | None:
    """Series whose value stays the same, though it did not before."""
    found = []
    for one in some:
        count = len(_past(one, now))
        times, values = one.times[:count], one.values[:count]
        since = flat_since(times, values) if count else None
        if since is not None:
            found.append((times[-1] - since, since, values[-1], one))
    if not found:
        return None
    of_all = f"series of {tenant}"
    longest, since, value, worst = max(found, key=lambda run: run[0])
    said = (
        f"{counted(len(found), f'{of_all} stays', f'{of_all} stay')} the same; the longest is "
        f"{_named(worst)}, which is {value:g} since {iso(since)}, for {width(longest)}"
    )
    return warning("flat", said, len(found), _ingest(tenant), tenant)


def future(tenant: str, some: Sequence[SampledSeries], now: int) -> Line | None:
    """Readings of times that are to come."""
    found = [one for one in some if one.times[-1] > now + SKEW]
    if not found:
        return None
    worst = max(found, key=lambda one: one.times[-1])
    of_all = f"series of {tenant}"
    first = next(time for time in worst.times if time > now + SKEW)
    said = (
        f"{counted(len(found), f'{of_all} has', f'{of_all} have')} readings of times to come, such "
        f"as {_named(worst)} at {iso(worst.times[-1])}: its zone or clock is wrong"
    )
    mends = shell(
        *("ai-hub", "delete", "--tenant", tenant, "--asset", worst.asset_id),
        *("--series", worst.name, "--from", iso(first), "--yes"),
    )
    return warning("future", said, len(found), mends, tenant)


def arrivals(tenant: str, some: Sequence[SampledSeries], now: int) -> Line | None:
    """The share of readings that came in a day late or more."""
    known = [one for one in some if one.late is not None]
    rows = sum(len(one.times) for one in known)
    share = sum(one.late or 0 for one in known) / rows if rows else 0.0
    if share <= LATE_SHARE:
        return None
    said = (
        f"{share:.0%} of the newest readings of {tenant} came in a day late or more: what was "
        "served before did not have them"
    )
    return warning("arrivals", said, share, _ingest(tenant), tenant)


def quality(tenant: str, some: Sequence[SampledSeries], now: int) -> Line | None:
    """The share of readings that are stored and not used."""
    stated = sum(one.stated for one in some)
    share = sum(one.doubtful for one in some) / stated if stated else 0.0
    if share <= DOUBTFUL_SHARE:
        return None
    worst = max(some, key=lambda one: one.doubtful / max(1, one.stated))
    said = (
        f"{share:.0%} of the newest readings of {tenant} have a quality below 1 and are not used; "
        f"{_named(worst)} has the most"
    )
    return warning("quality", said, share, _ingest(tenant), tenant)


_LINES: tuple[tuple[str, str, _Judge], ...] = (
    ("late", "every series is on time", late),
    ("gaps", "no series has a gap", gaps),
    ("flat", "no series stays the same", flat),
    ("future", "no reading is of a time to come", future),
    ("arrivals", "few readings come in a day late", arrivals),
    ("quality", "few readings have a quality below 1", quality),
)


def _weather(facts: DataFacts, now: int) -> list[Line]:
    """Assets whose weather is not there, of tenants that have weather."""
    lines = []
    for tenant, stations in facts.stations.items():
        of_tenant = [one for one in facts.weather if one.tenant_id == tenant]
        without = [
            one for one in of_tenant if one.newest is None or one.newest <= now - FRESH_WEATHER
        ]
        if not without:
            continue
        source = max(stations, key=lambda name: stations[name])
        fresh = stations[source] > now - FRESH_WEATHER
        unmapped = [one.asset_id for one in without if one.station is None]
        said = counted(len(of_tenant), "asset", "assets")
        said = f"{len(without):,} of {said} of {tenant} without weather of the "
        if fresh and unmapped:
            said += f"last 24 h: {unmapped[0]} is mapped to no station, and {source} has some"
            mends = ["ai-hub", "weather-source", "--tenant", tenant, "--source", source]
            for asset in unmapped[:100]:
                mends += ["--asset", asset]
            lines.append(warning("weather", said, len(without), shell(*mends), tenant))
        else:
            named = without[0].station or without[0].asset_id
            said += f"last 24 h: the newest row of {named} is older, or there is none"
            mends = ["ai-hub", "ingest-weather", "FILE", "--tenant", tenant]
            lines.append(warning("weather", said, len(without), shell(*mends), tenant))
    if lines:
        return lines
    if not facts.stations:
        return [ok("weather", "no weather is kept: features of weather are missing", 0)]
    return [ok("weather", "every asset has weather of the last 24 h", 0)]


def _named(one: SampledSeries) -> str:
    return one.asset_id if one.name == "value" else f"{one.asset_id} ({one.name})"


def _ingest(tenant: str) -> str:
    return shell("ai-hub", "ingest", "FILE", "--tenant", tenant)


def names() -> Iterable[str]:
    """The lines that are about data."""
    return ("readings", *(name for name, _, _ in _LINES), "weather")

"""Why a feature has no value, on every store: each cause is provoked, and mended as advised."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ai_hub import FeatureStore
from ai_hub.administration import set_retention
from ai_hub.cli.app import app
from ai_hub.definitions.document import document_of
from ai_hub.definitions.feature_set import FeatureSet
from ai_hub.definitions.kinds import (
    Attribute,
    Calendar,
    Derived,
    Lag,
    Latest,
    Rolling,
    Seasonal,
)
from ai_hub.definitions.values import DAY, HOUR, iso, parse_time, to_datetime
from ai_hub.testing import WeatherRow
from conformance.kit import FILE, PLAIN, TIMESCALEDB, Deployment, Row, observation, weather_row
from conformance.kit import run as in_a_loop

T = parse_time("2025-10-09T14:30:00Z")
ASSET = "meter 1"
OWN = FeatureSet(
    "own",
    1,
    (
        Lag("lag", "24h"),
        Rolling("avg", "mean", "6h", min_count=3),
        Latest("temp", "temperature"),
        Rolling("measured", "mean", "6h", source="weather", column="humidity", measured=True),
        Lag("local", "P1D", tz="@asset"),
        Attribute("capacity", "capacity"),
        Derived("ratio", "lag / capacity"),
        Seasonal("days", "mean", "24h", 3, min_count=2),
        Calendar("hour", "hour_of_day"),
        Lag("ranged", "1h", valid=(0, 500)),
    ),
    on_violation="null",
)


@dataclass(frozen=True)
class Case:
    """What is stored, the feature that has no value by it, and what is in the file that is advised.

    A tenant of its own has each; `words` stand in the sentence. `sets` are attributes.
    """

    name: str
    cause: str
    feature: str
    words: Sequence[str]
    readings: Sequence[Row] = ()
    weather: Sequence[Row] = ()
    mapped: Sequence[tuple[str | None, int | None]] = ()
    sets: Sequence[Row] = ()
    asset: str = ASSET
    file: str = ""
    given: Mapping[str, str] = field(default_factory=dict)

    @property
    def tenant(self) -> str:
        return f"tenant of {self.name}"


def at(hours: float, value: float = 1.0, asset: str = ASSET, **more: Any) -> Row:
    return observation(asset, T + int(hours * HOUR), value, **more)


def weather(hours: float, source: str = ASSET, issued: float | None = None, **columns: Any) -> Row:
    time = T + int(hours * HOUR)
    return weather_row(
        source, WeatherRow(time, time if issued is None else T + int(issued * HOUR), columns)
    )


def csv(*rows: tuple[float, object], more: str = "", asset: str = ASSET) -> str:
    """Lines of a file of readings, by hours from T."""
    head = "timestamp,asset_id,value" + (",quality" if more else "")
    lines = (f"{iso(T + int(hours * HOUR))},{asset},{value}{more}" for hours, value in rows)
    return "\n".join((head, *lines, ""))


def weather_csv(column: str, *rows: tuple[float, float], asset: str = ASSET) -> str:
    head = f"timestamp,issued_at,asset_id,{column}"
    lines = (
        f"{iso(T + int(h * HOUR))},{iso(T + int(issued * HOUR))},{asset},20" for h, issued in rows
    )
    return "\n".join((head, *lines, ""))


LAG = "(2025-10-08T13:30:00Z, 2025-10-08T14:30:00Z]"
CASES = (
    Case("case", "unknown_asset", "lag", ("'METER-1'", "'meter 1'"), [at(-24)], asset="METER-1"),
    Case("typo", "unknown_asset", "lag", ("nearest id is 'meter 1'",), [at(-24)], asset="metr 1"),
    Case("nobody", "unknown_asset", "lag", ("Nothing is stored", "'meter 1'"), file=csv((-24, 5))),
    Case("others", "other_series", "lag", ("series value", "load, power"),
         [at(-24, series="load"), at(-24, series="power")], file=csv((-24, 5))),
    Case("attributes alone", "no_readings", "lag", ("No usable reading of the asset is stored",),
         sets=[{"key": "capacity", "value": 5.0}], file=csv((-24, 5))),
    Case("all bad elsewhere", "no_readings", "lag", ("No usable reading of the asset",),
         [at(-30, quality=0)], file=csv((-24, 5))),
    Case("bad", "unusable", "lag", ("All 2 readings of value", LAG, "quality below 1"),
         [at(-24, quality=0), at(-24.5, quality=0), at(-30)], file=csv((-24, 5), more=",0")),
    Case("all bad", "unusable", "lag", ("The one reading of value",), [at(-24, quality=0)],
         file=csv((-24, 5), more=",0")),
    Case("stale", "stale", "lag", (LAG, "last one being of 2025-10-07T14:30:00Z"), [at(-48)],
         file=csv((-24.5, 5))),
    Case("gap", "gap", "lag",
         (LAG, "in a gap from 2025-10-08T13:30:00Z to 2025-10-09T13:30:00Z"), [at(-25), at(-1)],
         file=csv((-24.5, 5))),
    Case("new", "not_yet", "lag", (LAG, "first one being of 2025-10-09T13:30:00Z"), [at(-1)],
         file=csv((-24.5, 5))),
    Case("few", "too_few", "avg", ("Of the 3 values that it needs", "has 2", "1 more are of a"),
         [at(-1), at(-2), at(-3, quality=0)], file=csv((-4, 5))),
    Case("few days", "too_few", "days", ("Of the 2 lags that it needs", "has 1"), [at(-48)],
         file=csv((-72, 5))),
    Case("no days", "stale", "days", ("last one being of 2025-10-04T14:30:00Z",), [at(-120)],
         file=csv((-72, 5), (-24, 5))),
    Case("no weather", "no_weather", "temp", ("No temperature of the asset itself", "no station"),
         [at(0)], file=weather_csv("temperature", (-1, -1))),
    Case("unmapped", "no_station", "temp", ("mapped to no station", "'JFK', 'LGA'"),
         [at(0)], [weather(-1, "JFK", temperature=1), weather(-2, "LGA", temperature=1)]),
    Case("wrong station", "no_station", "temp", ("mapped to the station 'jfk'", "'JFK', 'LGA'"),
         [at(0)], [weather(-2, "LGA", temperature=1), weather(-1, "JFK", temperature=1)],
         mapped=[("jfk", None)]),
    Case("mapped later", "no_station", "temp", ("from 2025-10-09T15:30:00Z on only",), [at(0)],
         [weather(-1, "JFK", temperature=1)], mapped=[("JFK", T + HOUR)]),
    Case("empty station", "no_weather", "temp", ("No temperature of station 'JFK'",), [at(0)],
         mapped=[("JFK", None)], file=weather_csv("temperature", (-1, -1), asset="JFK")),
    Case("later issue", "issued_later", "temp",
         ("issued later than 2025-10-09T14:30:00Z, first at 2025-10-09T15:00:30Z",), [at(0)],
         [weather(-1, issued=0.5 + 1 / 120, temperature=1), weather(-2, issued=3, temperature=1)]),
    Case("much later", "issued_later", "temp", ("first at 2025-10-12T14:30:00Z",), [at(0)],
         [weather(-1, issued=72, temperature=1)], file=weather_csv("temperature", (-1, -2))),
    Case("old weather", "stale", "temp", ("last one being of 2025-10-07T14:30:00Z",), [at(0)],
         [weather(-48, temperature=1)], file=weather_csv("temperature", (-1, -1))),
    Case("weather gap", "gap", "temp", ("in a gap from 2025-10-07T14:30:00Z",), [at(0)],
         [weather(-48, temperature=1), weather(1, temperature=1)],
         file=weather_csv("temperature", (-1, -1))),
    Case("forecasts", "not_measured", "measured", ("humidity in forecasts alone",), [at(0)],
         [weather(-1, issued=-2, humidity=50)], file=weather_csv("humidity", (-1, -1))),
    Case("null column", "no_column", "temp", ("no temperature in its 1 row",), [at(0)],
         [weather(-1, humidity=50)], file=weather_csv("temperature", (-1, -1))),
    Case("no zone", "no_zone", "local", ("timezone names none",), [at(-24)],
         given={"ZONE": "Europe/Berlin"}),
    Case("later zone", "no_zone", "local", ("timezone names none",), [at(-24)],
         sets=[{"key": "timezone", "value": "UTC", "valid_from": to_datetime(T + HOUR)}],
         given={"ZONE": "Europe/Berlin"}),
    Case("no capacity", "no_attribute", "capacity", ("no attribute capacity", "Capacity"),
         [at(-24)], sets=[{"key": "Capacity", "value": 5.0}], given={"NUMBER": "5"}),
    Case("text", "no_attribute", "capacity", ("the text 'much'",), [at(-24)],
         sets=[{"key": "capacity", "value": "much"}], given={"NUMBER": "5"}),
    Case("ended", "no_attribute", "capacity", ("ended at 2025-10-09T13:30:00Z",), [at(-24)],
         sets=[{"key": "capacity", "value": 5.0, "valid_from": to_datetime(T - DAY)},
               {"key": "capacity", "value": None, "valid_from": to_datetime(T - HOUR)}],
         given={"NUMBER": "5"}),
    Case("to come", "no_attribute", "capacity", ("from 2025-10-09T15:30:00Z on only",), [at(-24)],
         sets=[{"key": "capacity", "value": 5.0, "valid_from": to_datetime(T + HOUR)}],
         given={"NUMBER": "5"}),
    Case("inputs", "inputs", "ratio", ("reads lag, which is missing", LAG),
         [at(-25)], sets=[{"key": "capacity", "value": 5.0}], file=csv((-24.5, 5))),
    Case("by zero", "no_number", "ratio", ("no finite number for lag = 1.0, capacity = 0.0",),
         [at(-24)], sets=[{"key": "capacity", "value": 0.0}]),
    Case("outside", "outside_range", "ranged", ("612.5", "0:500", "missing by that"),
         [at(-1, 612.5)]),
)  # fmt: skip


async def prepare(store: FeatureStore, case: Case) -> None:
    if case.readings:
        await store.ingest(list(case.readings), case.tenant)
    if case.weather:
        await store.ingest_weather(list(case.weather), case.tenant)
    for source, since in case.mapped:
        await store.assign_weather_source(
            tenant_id=case.tenant, source_id=source, asset_ids=[case.asset],
            valid_from=None if since is None else to_datetime(since),
        )  # fmt: skip
    if case.sets:
        rows = [{"asset_id": case.asset, **one} for one in case.sets]
        await store.ingest_attributes(rows, case.tenant)


async def keep_all(deployment: Deployment, folder: Path) -> None:
    """Rows of a quality below 1 are kept for a week on servers, and ours are older."""
    async with deployment.open(folder) as store:
        if store.settings.on_server:
            await set_retention(store.settings, "timeseries_data", "none")


async def explained(store: FeatureStore, case: Case, name: str = "own") -> dict[str, Any]:
    found = await store.explain(
        tenant_id=case.tenant, asset_id=case.asset, feature_set=name, timestamp=to_datetime(T)
    )
    answer = await store.get(
        tenant_id=case.tenant, asset_id=case.asset, feature_set=name, timestamp=to_datetime(T)
    )
    assert {one["name"]: one["value"] for one in found["features"]} == answer.features
    assert tuple(found["missing"]) == answer.missing
    assert all((one["why"] is None) is not one["missing"] for one in found["features"])
    (feature,) = [one for one in found["features"] if one["name"] == case.feature]
    return feature


async def test_each_cause_is_named(any_cache: Deployment, tmp_path: Path) -> None:
    await keep_all(any_cache, tmp_path)
    async with any_cache.open(tmp_path) as store:
        await store.apply([OWN])
        for case in CASES:
            await prepare(store, case)
        for case in CASES:
            feature = await explained(store, case)
            assert feature["missing"], case
            assert feature["cause"] == case.cause, (case.name, feature["why"])
            absent = [word for word in case.words if word not in feature["why"]]
            assert not absent, (case.name, feature["why"])


LASTING = [
    pytest.param(
        one, id=str(one), marks=[getattr(pytest.mark, name) for name in (*one.marks, *more)]
    )
    for one, *more in ((FILE,), (PLAIN, "long"), (TIMESCALEDB, "long"))
]


@pytest.mark.parametrize("lasting", LASTING)
def test_what_is_advised_mends_it(
    lasting: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mended = [case for case in CASES if case.file or case.given or case.cause in (
        "unknown_asset", "no_station", "issued_later")]  # fmt: skip
    commands = {}

    async def begin() -> None:
        await keep_all(lasting, tmp_path)
        async with lasting.open(tmp_path) as store:
            await store.apply([OWN])
            for case in mended:
                await prepare(store, case)
                commands[case.name] = (await explained(store, case))["command"]

    in_a_loop(begin())
    monkeypatch.setenv("AI_HUB_DATABASE_URL", lasting.url(tmp_path))
    shown: dict[str, str] = {}
    for case in mended:
        file = tmp_path / f"{case.name}.csv"
        file.write_text(case.file)
        shown[case.name] = ran(commands[case.name], {"FILE": str(file), **case.given})

    async def end() -> None:
        async with lasting.open(tmp_path) as store:
            for case in mended:
                if shlex.split(commands[case.name])[1] == "get":
                    lines = shown[case.name].splitlines()
                    (line,) = [one for one in lines if f" {case.feature} " in one]
                    assert "filled" not in line, case
                    continue
                feature = await explained(store, case)
                assert not feature["missing"], (case.name, commands[case.name], feature["why"])

    in_a_loop(end())


# What a new version of the set mends: the next one has these features in place of its own.
NEW_VERSIONS = {
    "others": Lag("lag", "24h", series="load"),
    "by zero": Derived("ratio", "coalesce(lag / capacity, 0)"),
    "outside": Lag("ranged", "1h", valid=(0, 1000)),
}


@pytest.mark.parametrize("lasting", LASTING)
def test_a_new_version_that_is_advised_mends_it(
    lasting: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands = {}

    async def begin() -> None:
        async with lasting.open(tmp_path) as store:
            await store.apply([OWN])
            for case in CASES:
                if case.name in NEW_VERSIONS:
                    await prepare(store, case)
                    why = (await explained(store, case))["why"]
                    (commands[case.name],) = [
                        part for part in why.split("`") if part.startswith("ai-hub apply")
                    ]

    in_a_loop(begin())
    monkeypatch.setenv("AI_HUB_DATABASE_URL", lasting.url(tmp_path))
    for version, (name, feature) in enumerate(NEW_VERSIONS.items(), 2):
        features = tuple(feature if one.name == feature.name else one for one in OWN.features)
        file = tmp_path / f"{name}.json"
        document = document_of([replace(OWN, version=version, features=features)])
        file.write_text(json.dumps(document))
        ran(commands[name], {"FILE": str(file)})

    async def end() -> None:
        async with lasting.open(tmp_path) as store:
            for version, name in enumerate(NEW_VERSIONS, 2):
                (case,) = [one for one in CASES if one.name == name]
                feature = await explained(store, case, f"own@{version}")
                assert not feature["missing"], (name, feature["why"])

    in_a_loop(end())


def ran(command: str, given: Mapping[str, str]) -> str:
    """What a command prints that is what was advised, but for the words that stand for others."""
    name, *words = shlex.split(command)
    assert name == "ai-hub"
    for said, real in given.items():
        words = [real if word == said else word.replace(f"={said}", f"={real}") for word in words]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, (command, result.output)
    return result.output

"""A vector reads the weather of one source throughout: the one that its asset has at t."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from ai_hub import FeatureStore
from ai_hub.definitions.feature_set import FeatureSet
from ai_hub.definitions.kinds import Latest
from ai_hub.definitions.values import DAY, HOUR, MINUTE, parse_time, to_datetime
from ai_hub.definitions.vocabulary import WEATHER_COLUMNS
from ai_hub.testing import History, WeatherRow
from conformance.kit import (
    ON_STORES,
    Change,
    Deployment,
    Engine,
    folder,
    history_of,
    plain,
    read_export,
    run,
    weather_row,
    wrong,
)
from conformance.test_engines import check
from conformance.worlds import TENANT, World, worlds, write

T = parse_time("2025-10-09T14:30:00Z")
MINUTE_NOW = T + 10 * DAY
NOW = MINUTE_NOW + 17
WEATHER = FeatureSet(
    "weather",
    1,
    (
        *(Latest(f"{c}_24h", c, measured_within="0") for c in WEATHER_COLUMNS),
        *(Latest(f"{c}_9d", c, "9d", "0") for c in WEATHER_COLUMNS[:2]),
    ),
)
MISSING = st.sampled_from((None, "keep"))


@st.composite
def stations(draw: st.DrawFn) -> tuple[list[History], list[Change], list[int]]:
    """Stations with a row every few hours, who reads which since when, and times to ask for."""
    hours = st.integers(-300, 300).map(HOUR.__mul__)
    histories = []
    for _ in range(draw(st.integers(1, 3))):
        times = draw(st.sets(hours, max_size=6))
        column = st.sampled_from(({}, {"temperature": 1.0}, dict.fromkeys(WEATHER_COLUMNS, 2.0)))
        late = st.sampled_from((0, 0, -DAY, 3 * HOUR))
        rows = {(T + at, T + at + draw(late)): draw(column) for at in times}
        value = draw(st.floats(-30, 30))
        histories.append(
            History(
                {},
                [
                    WeatherRow(*key, {n: v * value for n, v in row.items()})
                    for key, row in rows.items()
                ],
            )
        )
    place = st.integers(0, len(histories) - 1)
    since = st.builds(int.__add__, hours, st.sampled_from((0, 1, -1))).map(T.__add__)
    changes = draw(
        st.lists(st.tuples(place, since, place), max_size=6, unique_by=lambda change: change[:2])
    )
    beside = [at + shift for _, at, _ in changes for shift in (-1, 0, 1)]
    asked = draw(st.lists(hours.map(T.__add__), min_size=1, max_size=5))
    return histories, changes, sorted({*asked, *beside, *range(T - 9 * DAY, T + 9 * DAY, DAY)})


@given(drawn=stations(), missing=MISSING)
def test_an_engine_reads_the_source_that_holds_at_t(
    engine: Engine, drawn: tuple[list[History], list[Change], list[int]], missing: str | None
) -> None:
    histories, changes, times = drawn
    places = range(len(histories))
    points = [(i, t) for i in places for t in times]
    check(engine, WEATHER, missing, histories, list(places), points, changes)


def test_sources_of_assets_that_are_centuries_apart(engine: Engine) -> None:
    start, end = parse_time("0001-01-02T00:00:00Z"), parse_time("9999-12-30T00:00:00Z")
    times = (start, T, end)
    histories = [
        History({}, [WeatherRow(at + i, at + i, {"temperature": float(i)}) for at in times])
        for i in range(3)
    ]
    points = [(i, at + HOUR) for i in range(3) for at in times]
    changes = [(0, T, 2), (0, end, 1), (2, start, 0)]
    check(engine, WEATHER, None, histories, [0, 1, 2], points, changes)


@ON_STORES
@given(world=worlds(most_assets=3, max_size=6), missing=MISSING, data=st.data())
def test_a_store_answers_and_exports_the_source_that_holds_at_t(
    deployment: Deployment, world: World, missing: str | None, data: st.DataObject
) -> None:
    mapped_first = data.draw(st.booleans())

    async def example(place: Path) -> None:
        async with deployment.open(place, WEATHER) as store:
            rows = World(world.observations, world.weather, (), {})
            for part in (
                (world.mapped_alone(), rows) if mapped_first else (rows, world.mapped_alone())
            ):
                await write(store, part)
            await compare(store, world, missing, place)
        if deployment.lasts:
            async with deployment.open(place, WEATHER) as again:
                await compare(again, world, missing, place)

    with folder() as place:
        run(example(Path(place)))


async def compare(store: FeatureStore, world: World, missing: str | None, place: Path) -> None:
    times = {t for mine in world.instants.values() for t in mine}
    times |= {m.valid_from + shift for m in world.mappings if m.valid_from for shift in (-1, 0)}
    for t in sorted(times):
        batch = await store.get_batch(
            tenant_id=TENANT, asset_ids=world.assets, feature_set="weather",
            timestamp=to_datetime(t), missing=missing, exact=True,
        )  # fmt: skip
        for asset in world.assets:
            assert not wrong(WEATHER, t, world.history(asset), plain(batch[asset]), missing)
    spine = [{"asset_id": a, "timestamp": to_datetime(t)} for a in world.assets for t in times]
    path = place / "rows.parquet"
    await store.export_features_to_parquet(
        TENANT, "weather", output_path=path, spine=spine, missing=missing, indicators=True
    )
    rows = read_export(path, WEATHER)
    assert len(rows) == len(spine)
    for row in rows:
        history = world.history(row.asset_id)
        assert not wrong(WEATHER, row.timestamp, history, row.vector, missing)


async def temperatures(store: FeatureStore, *shifts: int, asset: str = "a") -> list[object]:
    found = [
        await store.get_features(
            "t", asset, to_datetime(NOW + shift), ["temperature"], missing="keep"
        )
        for shift in shifts
    ]
    return [features["temperature"] for features in found]


async def with_stations(store: FeatureStore) -> None:
    """Each of a, b and c says its own degrees, for days around NOW."""
    store.now = lambda: NOW
    rows = [
        weather_row(name, WeatherRow(NOW + h * HOUR, NOW - 99 * DAY, {"temperature": degrees}))
        for name, degrees in (("a", 1.0), ("b", 2.0), ("c", 3.0))
        for h in range(-80, 80, 4)
    ]
    await store.ingest_weather(rows, "t")


async def test_the_first_mapping_holds_always_and_a_later_one_from_the_change_on(
    any_cache: Deployment, tmp_path: Path
) -> None:
    async with any_cache.open(tmp_path) as store:
        await with_stations(store)

        async def assign(source: str | None, valid_from: int | None = None) -> int:
            since = None if valid_from is None else to_datetime(valid_from)
            return await store.assign_weather_source(
                tenant_id="t", source_id=source, asset_ids=["a"], valid_from=since
            )

        ages = (-2 * DAY, -HOUR, -MINUTE, 0, MINUTE, DAY)
        # To take an asset back to its own rows, where it has them, is no mapping.
        assert [await assign(None), await assign("a")] == [0, 0]
        assert await temperatures(store, *ages) == [1.0] * 6
        assert [await assign("b"), await assign("b")] == [1, 0]
        assert await temperatures(store, *ages) == [2.0] * 6
        # The time of the change is truncated, as that of a request is.
        assert [await assign("c"), await assign("c")] == [1, 0]
        assert await temperatures(store, *ages) == [2.0, 2.0, 2.0, 3.0, 3.0, 3.0]
        # A mapping of the same instant is replaced.
        assert [await assign(None), await assign("a")] == [1, 0]
        assert await temperatures(store, *ages) == [2.0, 2.0, 2.0, 1.0, 1.0, 1.0]
        assert [await assign("c", MINUTE_NOW - HOUR), await assign("c", MINUTE_NOW - HOUR)] == [
            1,
            0,
        ]
        assert await temperatures(store, *ages) == [2.0, 3.0, 3.0, 1.0, 1.0, 1.0]
        assert await assign("b", MINUTE_NOW + 2 * MINUTE) == 1
        assert await temperatures(store, *ages) == [2.0, 3.0, 3.0, 1.0, 1.0, 2.0]
        # What holds now is no change, whatever comes after it.
        assert await assign("a") == 0
        assert await temperatures(store, 0, asset="b") == [2.0]


async def test_a_stations_rows_drop_the_vectors_of_all_that_ever_read_them(
    any_cache: Deployment, tmp_path: Path
) -> None:
    async with any_cache.open(tmp_path) as store:
        await with_stations(store)
        for source, shift in (("b", None), ("c", -HOUR), (None, HOUR)):
            await store.assign_weather_source(
                tenant_id="t", source_id=source, asset_ids=["a"],
                valid_from=None if shift is None else to_datetime(MINUTE_NOW + shift),
            )  # fmt: skip
        asked = (-DAY, 0, DAY)
        for name, degrees, expected in (
            ("b", 20.0, [20.0, 3.0, 1.0]),
            ("c", 30.0, [20.0, 30.0, 1.0]),
            ("a", 10.0, [20.0, 30.0, 10.0]),
        ):
            await temperatures(store, *asked)
            at = [MINUTE_NOW + shift for shift in asked]
            rows = [weather_row(name, WeatherRow(t, t, {"temperature": degrees})) for t in at]
            await store.ingest_weather(rows, "t")
            assert await temperatures(store, *asked) == expected


async def test_the_fill_is_of_the_source_that_holds_at_t_too(
    deployment: Deployment, tmp_path: Path
) -> None:
    rows = [
        weather_row(name, WeatherRow(T - 3 * DAY + h * HOUR, T - 9 * DAY, {"temperature": degrees}))
        for name, degrees in (("a", 1.0), ("b", 2.0))
        for h in range(3)
    ]
    mappings: dict[int, str | None] = {T: "b", T + HOUR: None}
    async with deployment.open(tmp_path, WEATHER) as store:
        await store.ingest_weather(rows, "t")
        for since, source in mappings.items():
            await store.assign_weather_source(
                tenant_id="t", source_id=source, asset_ids=["a"], valid_from=to_datetime(since)
            )
        for t in (T - 1, T, T + HOUR - 1, T + HOUR):
            answer = await store.get(
                tenant_id="t", asset_id="a", feature_set="weather", timestamp=to_datetime(t),
                exact=True,
            )  # fmt: skip
            assert not wrong(WEATHER, t, history_of([], rows, "a", mappings), plain(answer))
            assert answer.features["temperature_24h"] == (2.0 if T <= t < T + HOUR else 1.0)


async def test_a_mapping_between_two_microseconds_begins_with_the_later(
    deployment: Deployment, tmp_path: Path
) -> None:
    async with deployment.open(tmp_path) as store:
        await with_stations(store)
        since = pd.Timestamp(MINUTE_NOW, unit="us", tz="UTC") + pd.Timedelta(1, "ns")
        await store.assign_weather_source(
            tenant_id="t", source_id="b", asset_ids=["a"], valid_from=since
        )
        for shift, degrees in ((0, 1.0), (1, 2.0)):
            found = await store.get(
                tenant_id="t", asset_id="a", feature_names=["temperature"],
                timestamp=to_datetime(MINUTE_NOW + shift), exact=True,
            )  # fmt: skip
            assert found.features["temperature"] == degrees

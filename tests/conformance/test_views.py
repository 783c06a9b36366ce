"""Features of users' own views: served, in batches and exported as the reference says."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_hub import Derived, FeatureSet, FromView, Lag, Latest, Rolling
from ai_hub.definitions.values import DAY, HOUR, MINUTE, Duration, parse_time, to_datetime
from ai_hub.engines.plan import Plan
from ai_hub.stores import chunks
from ai_hub.stores.embedded import scan as embedded_scan
from ai_hub.testing import History, Observation, ViewRow, policies
from conformance.kit import (
    ON_STORES,
    SERVERS,
    UNSAID,
    Deployment,
    Vector,
    folder,
    observation,
    plain,
    read_export,
    run,
    wrong,
)
from conformance.own_views import KEYS, execute, insert, row

T = parse_time("2025-10-09T14:30:00Z")
TENANT = "tenant-1"
ASSETS = ("a", "b", "ä'\\{,}")
WIDTHS = tuple(Duration.of(width) for width in ("1h", "24h", "1us", "90m"))
NUMBERS = (0.0, 1.5, -2.25, 1e300, math.nan, math.inf, -math.inf, None)
DRAWN = FeatureSet(
    "drawn",
    1,
    (
        FromView("number_1h", "scores", "number", WIDTHS[0]),
        FromView("number_24h", "scores", "number", WIDTHS[1]),
        FromView("flag", "scores", "flag", WIDTHS[1]),
        FromView("exact", "Score Rows".replace(" ", "_"), "number", WIDTHS[2]),
        FromView("own", "scores", "number", WIDTHS[3], missing=7.5, valid=(-1.0, None)),
        Lag("lag", "1h", "2h"),
        Rolling("mean", "mean", "24h"),
        Latest("temperature", "temperature"),
        Derived("sum", "number_24h + lag"),
        Derived("some", "coalesce(number_1h, lag)"),
    ),
)
TABLES = (
    f'CREATE TABLE "Score_Rows" ({KEYS}, number FLOAT8, flag BOOLEAN)',
    'CREATE VIEW scores AS SELECT * FROM "Score_Rows"',
)

at = st.builds(
    int.__add__,
    st.sampled_from((T, T - HOUR, T - DAY, T - 90 * MINUTE, T - 30 * MINUTE)),
    st.sampled_from((0, 0, 1, -1)),
)
view_rows = st.lists(
    st.tuples(
        st.sampled_from(ASSETS[:2]),
        at,
        st.sampled_from(NUMBERS),
        st.sampled_from((True, False, None)),
    ),
    max_size=12,
)
readings = st.lists(st.tuples(st.sampled_from(ASSETS), at), max_size=6, unique=True)

times_asked = st.lists(at, min_size=1, max_size=3, unique=True)


def history_of(asset: str, rows: Sequence[Any], read: Sequence[Any]) -> History:
    found = []
    for name, time, number, flag in rows:
        if name == asset:
            known = None if number is None or not math.isfinite(number) else number
            values = {"number": known, "flag": None if flag is None else float(flag)}
            found += [ViewRow(view, time, values) for view in ("scores", "Score_Rows")]
    series = [Observation(time, i + 0.5) for i, (name, time) in enumerate(read) if name == asset]
    return History({"value": sorted(series, key=lambda o: o.timestamp)}, views=found)


@ON_STORES
@given(
    view_rows, readings, st.lists(at, min_size=1, max_size=3, unique=True), policies(), st.data()
)
def test_served_in_batches_and_exported_are_the_reference(
    deployment: Deployment, rows: Any, read: Any, times: Any, missing: Any, data: Any
) -> None:
    on_violation = data.draw(st.sampled_from(("report", "null")))
    chosen = replace(DRAWN, on_violation=on_violation)

    async def check(place: Path) -> None:
        async with deployment.open(place) as store:
            held = [observation(name, time, i + 0.5) for i, (name, time) in enumerate(read)]
            if held:
                await store.ingest(held, TENANT)
            written = [row(time, TENANT, name, n, flag) for name, time, n, flag in rows]
            others = [row(T, "other", name, 99.0, True) for name in ASSETS]
            await execute(store, *TABLES, *insert('"Score_Rows"', [*written, *others]))
            await store.apply([chosen])
            applied = store.registry.get("drawn@1")
            histories = {asset: history_of(asset, rows, read) for asset in ASSETS}
            asked: Any = {"tenant_id": TENANT, "feature_set": "drawn", "missing": missing}
            for t in times:
                exact: Any = {"timestamp": to_datetime(t), "exact": True}
                batch = await store.get_batch(**asked, **exact, asset_ids=list(ASSETS))
                for asset in ASSETS:
                    one = await store.get(**asked, **exact, asset_id=asset)
                    assert not wrong(applied, t, histories[asset], plain(one), missing)
                    assert (batch[asset].features, batch[asset].missing) == (
                        one.features,
                        one.missing,
                    )
            pairs = [(asset, t) for asset in ASSETS for t in times]
            spine = pa.table(
                {
                    "asset_id": [asset for asset, _ in pairs],
                    "timestamp": pa.array([t for _, t in pairs], pa.timestamp("us", "UTC")),
                }
            )
            table = await store.get_training_set(
                spine, "drawn", tenant_id=TENANT, missing=missing, indicators=True
            )
            unsure = [n for n in applied.feature_names if n in Plan.of(applied).unsure]
            for (asset, t), line in zip(pairs, table.to_arrow().to_pylist(), strict=True):
                got = Vector(
                    {name: line[name] for name in applied.feature_names},
                    tuple(name for name in unsure if line[f"{name}__missing"]),
                    UNSAID,
                )
                found = wrong(applied, t, histories[asset], got, missing)
                assert not [one for one in found if not one.startswith("violations: got ('what")]

    with folder() as place:
        run(check(Path(place)))


def test_an_export_in_many_parts_is_what_is_served(
    deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunks, "CHUNK_ROWS", 2)
    monkeypatch.setattr(embedded_scan, "_READ_ROWS", 5)
    if deployment in SERVERS:
        monkeypatch.setattr("ai_hub.stores.postgres.scan._PART_BYTES", 1_000)
        monkeypatch.setattr("ai_hub.stores.postgres.scan_part.BLOCK_ROWS", 10)
    read = [(name, T - k * HOUR) for name in ASSETS for k in range(12)]
    rows = [
        (name, T - k * 40 * MINUTE, float(k), k % 3 == 0)
        for name in ASSETS[:2]
        for k in (*range(20), 4, 4, 9)
    ]

    async def check() -> None:
        async with deployment.open(tmp_path) as store:
            await store.ingest([observation(name, t, i + 0.5) for i, (name, t) in enumerate(read)],
                               TENANT)  # fmt: skip
            written = [row(t, TENANT, name, n, flag) for name, t, n, flag in rows]
            await execute(store, *TABLES, *insert('"Score_Rows"', written))
            await store.apply([DRAWN])
            applied = store.registry.get("drawn@1")
            record = await store.export_features_to_parquet(
                TENANT,
                "drawn",
                to_datetime(T - 10 * HOUR),
                to_datetime(T),
                tmp_path / "exports" / "drawn.parquet",
                frequency="30m",
                indicators=True,
            )
            found = read_export(record["storage_path"], applied)
            assert len(found) == len(ASSETS) * 21
            histories = {asset: history_of(asset, rows, read) for asset in ASSETS}
            for one in found:
                history = histories[one.asset_id]
                assert not [
                    w
                    for w in wrong(applied, one.timestamp, history, one.vector)
                    if not w.startswith("violations: got ('what")
                ]

    run(check())


async def test_of_views_alone_is_answered_on_every_connection(
    on_server: Deployment, tmp_path: Path
) -> None:
    alone = FeatureSet("alone", 1, (FromView("flag", "scores", "flag", Duration.of("24h")),))
    async with on_server.open(tmp_path, alone) as store:
        await execute(store, *TABLES, *insert('"Score_Rows"', [row(T, TENANT, "a", 1.5, True)]))
        asked = {"tenant_id": TENANT, "asset_id": "a", "feature_set": "alone"}
        for i in range(2):
            # All connections are open by then, and know what was read before.
            answer = await store.get(timestamp=to_datetime(T + i * MINUTE), **asked)
            assert (answer.features, answer.degraded) == ({"flag": 1.0}, False)
            await store.prepare()

"""What is kept for drift, on every store: baselines by version, and hours that are merged."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

from ai_hub.config import Settings
from ai_hub.definitions.values import HOUR
from ai_hub.stores.drift_table import (
    KEPT,
    MOST_BASELINES,
    MOST_HOURS,
    ServedHour,
    SetOf,
    StoredBaseline,
)
from ai_hub.stores.opening import open_store
from conformance.kit import Deployment

OF = SetOf("t", "load", 1, "f")
OTHERS = (
    OF._replace(tenant_id="u"),
    OF._replace(feature_set="other"),
    OF._replace(version=2),
    OF._replace(fingerprint="g"),
)
ANY = bytes(range(256))


def baseline(number: int, of: SetOf = OF) -> StoredBaseline:
    name = f"{number:03}-{'-'.join(map(str, of))}"
    return StoredBaseline(name, *of, number % 2 == 0, 1, 2, 100 + number, 2**40, ANY * number)


def merged(a: bytes, b: bytes) -> bytes:
    return bytes(sorted(a + b))


async def test_the_newest_baselines_of_a_version_are_kept(
    deployment: Deployment, tmp_path: Path
) -> None:
    store = await open_store(Settings(database_url=deployment.url(tmp_path)))
    try:
        table = store.drift_table
        assert await table.baseline(OF, None) is None
        for other in OTHERS:
            await table.keep_baseline(baseline(1, other))
        made = [baseline(number) for number in range(1, MOST_BASELINES + 4)]
        for one in (*made[5:], *made[:5]):
            await table.keep_baseline(one)
        kept = made[: -MOST_BASELINES - 1 : -1]
        assert await table.baselines(OF) == [replace(one, document=b"") for one in kept]
        assert await table.baseline(OF, None) == kept[0]
        assert await table.baseline(OF, kept[3].baseline_id) == kept[3]
        assert await table.baseline(OF, made[0].baseline_id) is None
        for other in OTHERS:
            assert await table.baseline(other, None) == baseline(1, other)
            assert await table.baseline(other, kept[0].baseline_id) is None
    finally:
        await store.close()


async def test_hours_that_were_served_are_merged_and_forgotten(
    deployment: Deployment, tmp_path: Path
) -> None:
    store = await open_store(Settings(database_url=deployment.url(tmp_path)))
    try:
        table = store.drift_table
        hours = [ServedHour(OF, n * HOUR, bytes([n])) for n in range(1, 5)]
        await table.add_served(hours, merged, 0)
        await table.add_served([ServedHour(one, HOUR, b"z") for one in OTHERS], merged, 0)
        again = [ServedHour(OF, n * HOUR, b"\0\xff") for n in (2, 3, 5)]
        await table.add_served(again, merged, 0)
        documents = {1: b"\1", 2: b"\0\2\xff", 3: b"\0\3\xff", 4: b"\4", 5: b"\0\xff"}
        found = await table.served(OF, 0, 10 * HOUR)
        assert found == [ServedHour(OF, n * HOUR, documents[n]) for n in documents]
        assert await table.served(OF, 2 * HOUR, 4 * HOUR) == found[1:3]
        assert {*await table.served_sets(0, 10 * HOUR)} == {OF, *OTHERS}
        assert await table.served_sets(2 * HOUR, 10 * HOUR) == [OF]
        # As many as are kept, of which the first goes.
        more = [ServedHour(OF, n * HOUR, b"") for n in range(6, MOST_HOURS + 2)]
        await table.add_served([*more, ServedHour(OF, 4 * HOUR, b"")], merged, 2)
        found = await table.served(OF, 0, 10**9 * HOUR)
        assert [one.hour // HOUR for one in found] == [*range(2, MOST_HOURS + 2)]
        await table.add_served([], merged, KEPT + 1)
        assert await table.served_sets(0, 10 * HOUR) == [OF]
        found = await table.served(OF, 0, 10 * HOUR)
        assert [one.hour // HOUR for one in found] == [4, 6, 7, 8, 9]
    finally:
        await store.close()


async def test_several_processes_add_to_the_same_hours(
    on_server: Deployment, tmp_path: Path
) -> None:
    settings = Settings(database_url=on_server.url(tmp_path))
    stores = [await open_store(settings) for _ in range(3)]
    try:
        await asyncio.gather(
            *(
                store.drift_table.add_served(
                    [ServedHour(OF, hour * HOUR, bytes([place])) for hour in hours], merged, 0
                )
                for place, store in enumerate(stores)
                for hours in (range(20), range(19, -1, -1))
            )
        )
        found = await stores[0].drift_table.served(OF, 0, 20 * HOUR)
        assert [one.document for one in found] == [b"\0\0\1\1\2\2"] * 20
    finally:
        for store in stores:
            await store.close()

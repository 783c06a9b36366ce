"""The names of assets are complete, whatever is written while the table is walked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from ai_hub import FeatureStore
from ai_hub.stores.embedded import names as module
from ai_hub.stores.embedded.names import Extent, NameMap
from conformance.kit import observation

T = 1_760_020_200_000_000


class Walked:
    """A cursor, and something that happens between its query and its rows."""

    def __init__(self, cursor: duckdb.DuckDBPyConnection, happens: Callable[[], None]) -> None:
        self._cursor = cursor
        self._happens = happens

    def execute(self, query: str) -> Any:
        result = self._cursor.execute(query)
        happens, self._happens = self._happens, lambda: None
        happens()
        return result


@pytest.fixture
async def cursor(tmp_path: Path) -> duckdb.DuckDBPyConnection:
    file = tmp_path / "features.duckdb"
    async with FeatureStore.open(f"duckdb:///{file}") as store:
        await store.ingest([observation("a", T, 1.0), observation("a", T + 9, 1.0)], "t")
    return duckdb.connect(str(file))


def batch(*rows: tuple[str, int, int]) -> Any:
    return duckdb.sql(
        "SELECT make_timestamptz(time::BIGINT) AS timestamp, 't' AS tenant_id, asset_id, "
        "'value' AS feature_type, 1.0 AS value, quality FROM (VALUES "
        + ", ".join(f"({asset!r}, {time}, {quality})" for asset, time, quality in rows)
        + ") AS rows(asset_id, time, quality)"
    ).to_arrow_table()


def test_what_is_written_during_a_walk_is_noted_after_it(cursor: Any) -> None:
    names = NameMap()
    walked = Walked(cursor, lambda: names.landed(batch(("b", T, 1), ("a", T + 20, 1), ("a", T, 0))))
    assert [*names.of_tenant(walked, "t", "", "")] == ["a", "b"]  # type: ignore[arg-type]
    # The first reading of `a` was replaced by one that cannot be used.
    assert names.extents(cursor, "t", ["a", "b"]) == {"b": [Extent("value", T, T)]}


def test_a_walk_during_which_rows_were_removed_is_done_again(cursor: Any) -> None:
    names = NameMap()

    def remove() -> None:
        cursor.cursor().execute("DELETE FROM timeseries_data WHERE epoch_us(timestamp) > ?", [T])
        names.removed()

    walked = Walked(cursor, remove)
    assert names.extents(walked, "t", ["a"]) == {"a": [Extent("value", T, T)]}  # type: ignore[arg-type]


def test_a_walk_that_fails_keeps_nothing(cursor: Any) -> None:
    names = NameMap()

    def fail() -> None:
        names.landed(batch(("b", T, 1)))
        raise duckdb.Error("no")

    with pytest.raises(duckdb.Error):
        names.tenants(Walked(cursor, fail))  # type: ignore[arg-type]
    assert [*names.of_tenant(cursor, "t", "", "")] == ["a"]


def test_of_a_batch_of_very_many_series_the_table_is_asked(
    cursor: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PART", 2)
    monkeypatch.setattr(module, "_MOST_NOTED", 2)
    names = NameMap()
    assert names.tenants(cursor) == ["t"]
    # Two series in rows of more than one part are noted; the table does not have them.
    names.landed(batch(("b", T, 1), ("b", T + 1, 1), ("b", T + 2, 0)))
    assert [*names.of_tenant(cursor, "t", "", "")] == ["a", "b"]
    assert names.extents(cursor, "t", ["b"]) == {"b": [Extent("value", T, T + 1)]}
    names.landed(batch(("c", T, 1), ("d", T, 1), ("e", T, 1)))
    assert [*names.of_tenant(cursor, "t", "", "")] == ["a"]


def test_a_sample_is_the_same_each_time_and_begins_with_times_to_come(cursor: Any) -> None:
    names = NameMap()
    names.tenants(cursor)
    names.landed(batch(*((f"m{place}", T + 5, 1) for place in range(50)), ("late", T + 40, 1)))
    first = names.samples(cursor, None, 10, 4, T + 9)["t"]
    assert (first.assets, first.series, len(first.chosen)) == (52, 52, 4)
    assert first.chosen[0] == ("late", "value", T + 40)
    assert names.samples(cursor, "t", 10, 4, T + 9) == {"t": first}
    assert names.samples(cursor, "other", 10, 4, T + 9) == {}
    assert names.is_sure(cursor)
    names.landed(batch(("late", T + 40, 0)))
    assert not names.is_sure(cursor)

"""A file in bulk is stored as in parts, whatever its order, and goes on where it was stopped."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ai_hub.definitions.values import DAY, HOUR, parse_time
from ai_hub.errors import InvalidInput, StoreUnavailable
from ai_hub.intake import bulk
from ai_hub.intake.batch import Batch
from ai_hub.intake.bookmark import Bookmark
from ai_hub.intake.bulk import ingest_bulk
from ai_hub.intake.checks import check_observations
from ai_hub.intake.result import IngestResult

T = parse_time("2020-01-01T00:00:00Z")
Row = tuple[str, str, str, int]

rows = st.tuples(
    st.sampled_from("tu"),
    st.sampled_from(["a", "b", "\N{GREEK SMALL LETTER ALPHA}"]),
    st.sampled_from(("value", "load")),
    st.integers(0, 60).map(lambda days: T + days * DAY),
)
parts_of_rows = st.lists(st.lists(rows, min_size=1, max_size=12), min_size=1, max_size=8)


class Target:
    """What landed, and how often a batch may land until one fails."""

    def __init__(self, most: int = 1 << 30) -> None:
        self.stored: dict[Row, float] = {}
        self.batches: list[pa.Table] = []
        self.most = most

    async def land(self, batch: Batch) -> IngestResult:
        if len(self.batches) == self.most:
            raise StoreUnavailable("stopped")
        self.batches.append(batch.table)
        found = {
            (row["tenant_id"], row["asset_id"], row["feature_type"], row["timestamp"]): row["value"]
            for row in batch.table.to_pylist()
        }
        replaced = sum(key in self.stored and self.stored[key] != found[key] for key in found)
        unchanged = sum(self.stored.get(key) == value for key, value in found.items())
        self.stored |= found
        return batch.landed(replaced, unchanged, 0)


def tables(parts: list[list[Row]]) -> list[tuple[pa.Table, float]]:
    """Tables of parts, each row with a value of its own; the second of each part is at fault."""
    found = []
    number = 0.0
    for part in parts:
        values: list[float | None] = []
        for place in range(len(part)):
            number += 1
            values.append(None if place == 1 else number)
        tenant, asset, series, time = (list(column) for column in zip(*part, strict=True))
        columns = {
            "timestamp": pa.array(time, pa.timestamp("us", "UTC")), "tenant_id": tenant,
            "asset_id": asset, "feature_type": series, "value": pa.array(values, pa.float64()),
        }  # fmt: skip
        found.append((pa.table(columns), len(found) / len(parts)))
    return found


def check(part: pa.Table, first: int) -> Batch:
    return check_observations(part, None, first)


def bookmark(folder: Path, options: dict[str, object] | None = None) -> Bookmark:
    file = folder / "rows.csv"
    if not file.exists():
        file.write_text("timestamp,asset_id,value\n")
    return Bookmark.of(file, None, "db", "t", options or {})


def in_parts(parts: list[list[Row]]) -> Target:
    target = Target()
    for table, _ in tables(parts):
        asyncio.run(target.land(check(table, 0)))
    return target


@settings(max_examples=12, deadline=None)
@given(parts_of_rows, st.integers(1, 30), st.integers(1, 9), st.integers(1, 3), st.booleans())
def test_what_is_stored_is_what_parts_in_their_order_store(
    tmp_path_factory: pytest.TempPathFactory,
    parts: list[list[Row]],
    gathered: int,
    most: int,
    weeks: int,
    in_chunks: bool,
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bulk, "GATHERED_ROWS", gathered)
        patch.setattr(bulk, "BATCH_ROWS", most)
        patch.setattr(bulk, "_MOST_WEEKS", weeks)
        folder, target = tmp_path_factory.mktemp("bulk"), Target()
        mark = bookmark(folder)
        result = asyncio.run(ingest_bulk(iter(tables(parts)), check, target.land, mark, in_chunks))
    assert target.stored == in_parts(parts).stored
    assert result.rows == sum(map(len, parts))
    assert result.rejected == sum(len(part) > 1 for part in parts)
    assert result.accepted == len(target.stored) + result.replaced + result.duplicates
    assert result.unchanged == 0
    for batch in target.batches:
        assert 0 < batch.num_rows <= most
        found = set((batch["timestamp"].cast("int64").to_numpy() // (7 * DAY)).tolist())
        assert len(found) <= weeks or not in_chunks
    assert not mark.path.exists()


@settings(max_examples=8, deadline=None)
@given(parts_of_rows, st.integers(1, 20), st.lists(st.integers(0, 3), max_size=4))
def test_who_was_stopped_goes_on_behind_what_was_kept(
    tmp_path_factory: pytest.TempPathFactory,
    parts: list[list[Row]],
    gathered: int,
    stops: list[int],
) -> None:
    folder, target = tmp_path_factory.mktemp("bulk"), Target()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bulk, "GATHERED_ROWS", gathered)
        patch.setattr(bulk, "BATCH_ROWS", 5)
        for stop in stops:
            target.most = len(target.batches) + stop
            mark = bookmark(folder)
            before, landed = mark.place.rows, len(target.batches)
            try:
                asyncio.run(ingest_bulk(iter(tables(parts)), check, target.land, mark, True))
            except StoreUnavailable:
                assert before <= mark.place.rows <= before + sum(map(len, parts))
                assert len(target.batches) == landed + stop
                assert bookmark(folder).place == mark.place
            else:
                assert not mark.path.exists()
        target.most = 1 << 30
        result = asyncio.run(
            ingest_bulk(iter(tables(parts)), check, target.land, bookmark(folder), True)
        )
    assert target.stored == in_parts(parts).stored
    assert result.rows == sum(map(len, parts))


def test_two_batches_land_at_a_time_and_after_a_failure_no_other_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "BATCH_ROWS", 10)
    parts = [[("t", f"m{i:02d}", "value", T + HOUR) for i in range(62)]]
    under_way, most, begun, ended = 0, 0, 0, 0

    async def land(batch: Batch) -> IngestResult:
        nonlocal under_way, most, begun, ended
        begun, under_way = begun + 1, under_way + 1
        most = max(most, under_way)
        number = begun
        await asyncio.sleep(0.01 if number == 3 else 0.05)
        under_way -= 1
        if number == 3:
            raise StoreUnavailable("stopped")
        ended += 1
        return batch.landed(0, 0, 0)

    with pytest.raises(StoreUnavailable, match="stopped"):
        asyncio.run(ingest_bulk(iter(tables(parts)), check, land, bookmark(tmp_path), True))
    assert (most, begun, ended, under_way) == (2, 4, 3, 0)
    assert not (tmp_path / "rows.csv.bookmark").exists()


def test_a_bookmark_is_of_one_load_and_says_so(tmp_path: Path) -> None:
    mark = bookmark(tmp_path, {"timezone": "UTC"})
    mark.keep(bulk.Place(7, IngestResult(accepted=7, unreadable={"quality": 1})))
    assert bookmark(tmp_path, {"timezone": "UTC"}).place == mark.place
    with pytest.raises(InvalidInput, match=r"same options. Remove .*rows\.csv\.bookmark"):
        bookmark(tmp_path)
    (tmp_path / "rows.csv").write_text("timestamp,asset_id,value,quality\n")
    with pytest.raises(InvalidInput, match="unchanged"):
        bookmark(tmp_path, {"timezone": "UTC"})
    for text in ("no json", "{}", json.dumps({"load": {}, "rows": 1, "result": {}})):
        mark.path.write_text(text)
        with pytest.raises(InvalidInput, match="a bookmark of an earlier run"):
            bookmark(tmp_path)
    mark.remove()
    with pytest.raises(InvalidInput, match="can be written"):
        Bookmark(tmp_path / "absent" / "mark", {}).keep(bulk.Place(1, IngestResult()))
    for path in (Path("-"), tmp_path, tmp_path / "absent.csv"):
        with pytest.raises(InvalidInput, match="file"):
            Bookmark.of(path, None, "db", "t", {})


def test_rows_of_one_hour_are_batches_of_no_more_than_one_may_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "BATCH_ROWS", 10)
    target = Target()
    part = [("t", f"m{i:02d}", "value", T + HOUR) for i in range(25)]
    asyncio.run(ingest_bulk(iter(tables([part])), check, target.land, bookmark(tmp_path), True))
    assert [batch.num_rows for batch in target.batches] == [10, 10, 4]

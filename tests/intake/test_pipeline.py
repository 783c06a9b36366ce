"""The one way in: whatever the parts, the same result; one batch lands at a time, in order."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_hub.errors import InvalidInput, StoreUnavailable
from ai_hub.intake.batch import Batch, Part
from ai_hub.intake.checks import check_rows
from ai_hub.intake.files import DataFile
from ai_hub.intake.frames import rows_to_table
from ai_hub.intake.pipeline import ingest_parts, ingest_rows
from ai_hub.intake.read_options import ReadOptions
from ai_hub.intake.result import MAX_REASONS, IngestResult

TENANT = "t"


def table(values: list[float | None]) -> pa.Table:
    """Readings of one asset, one a microsecond; None is a row that is refused."""
    start = 1_760_000_000_000_000
    times = pa.array(range(start, start + len(values)), pa.timestamp("us", "UTC"))
    assets = pa.array(["a"] * len(values), pa.string())
    return pa.table(
        {"timestamp": times, "asset_id": assets, "value": pa.array(values, pa.float64())}
    )


def check(rows: pa.Table, first: int) -> Batch:
    return check_rows("observations", rows, TENANT, first)


OPTIONS = ReadOptions.of("observations")


def in_parts(rows: pa.Table, size: int) -> Iterator[Part]:
    """The parts of a table, as those of a frame."""
    return DataFile(rows, OPTIONS).parts(size)


class Shop:
    """Takes batches and says of each how many rows it stored; fails at one of them if told to."""

    def __init__(self, fails_at: int | None = None) -> None:
        self.batches: list[Batch] = []
        self.told: list[tuple[IngestResult, float]] = []
        self._fails_at = fails_at
        self._busy = False

    async def land(self, batch: Batch) -> IngestResult:
        assert not self._busy, "two batches at once"
        self._busy = True
        await asyncio.sleep(0)
        self._busy = False
        if len(self.batches) == self._fails_at:
            raise StoreUnavailable("away")
        self.batches.append(batch)
        return batch.landed(replaced=1, unchanged=2, aged=3)

    def tell(self, result: IngestResult, fraction: float) -> None:
        self.told.append((result, fraction))


values = st.lists(st.sampled_from([1.0, 2.0, None]), max_size=60)


@given(values, st.integers(1, 61))
def test_the_parts_make_no_difference(sent: list[float | None], size: int) -> None:
    shop = Shop()
    rows = table(sent)
    result = asyncio.run(ingest_parts(in_parts(rows, size), check, shop.land, shop.tell))
    whole = check(rows, 0)
    parts = max(1, -(-len(sent) // size))
    assert result == IngestResult(
        whole.accepted, parts, 2 * parts, whole.rejected, 3 * parts, whole.reasons
    )
    assert result.rows == len(sent)
    assert pa.concat_tables(batch.table for batch in shop.batches).equals(whole.table)
    # After each batch the result so far is told, and how far that is.
    assert shop.told[-1] == (result, 1.0)
    assert [told.rows for told, _ in shop.told] == [
        min(place * size, len(sent)) for place in range(1, parts + 1)
    ]
    assert all(before <= after for (_, before), (_, after) in pairwise(shop.told))


@given(st.integers(0, 5))
def test_what_cannot_be_read_comes_after_what_landed(good: int) -> None:
    def parts() -> Iterator[Part]:
        for _ in range(good):
            yield table([1.0, None]), 0.1
        raise InvalidInput("file", "cut.csv.gz", "a whole gzip file")

    shop = Shop()
    with pytest.raises(InvalidInput, match=r"cut\.csv\.gz"):
        asyncio.run(ingest_parts(parts(), check, shop.land, shop.tell))
    assert len(shop.batches) == len(shop.told) == good
    assert [told.accepted for told, _ in shop.told] == list(range(1, good + 1))


@given(st.integers(0, 4))
def test_nothing_lands_after_a_batch_that_did_not(landed: int) -> None:
    shop = Shop(fails_at=landed)
    parts = in_parts(table([1.0] * 50), 10)
    with pytest.raises(StoreUnavailable):
        asyncio.run(ingest_parts(parts, check, shop.land, shop.tell))
    assert len(shop.batches) == len(shop.told) == landed


async def test_naive_datetimes_are_an_error_before_anything_lands() -> None:
    shop = Shop()
    rows = [{"timestamp": datetime(2025, 10, 9), "asset_id": "a", "value": 1.0}]
    with pytest.raises(InvalidInput, match=r"timestamp: got .*, expected aware datetimes"):
        await ingest_rows(rows, TENANT, OPTIONS, shop.land)
    assert shop.batches == []


@pytest.mark.parametrize("rows", [[], pa.table({}), table([])])
async def test_no_rows_are_no_fault(rows: object) -> None:
    shop = Shop()
    told: list[int] = []
    options = ReadOptions.of("weather" if rows == [] else "observations")
    result = await ingest_rows(rows, TENANT, options, shop.land, told.append)
    assert result.rows == 0
    assert told == [0]
    with pytest.raises(InvalidInput, match="tenant_id"):
        await ingest_rows(rows, "", OPTIONS, shop.land)


def test_a_result_is_a_document_of_plain_values() -> None:
    batch = check(table([None] * (MAX_REASONS + 1)), 100)
    document = batch.landed(0, 0, 0).document()
    assert document.pop("reasons")[:1] == [
        {"row": 100, "field": "value", "value": None, "why": "expected a finite number"}
    ]
    assert document == {
        "accepted": 0, "replaced": 0, "unchanged": 0, "duplicates": 0,
        "rejected": MAX_REASONS + 1, "aged": 0, "unreadable": {}, "outside": {}, "warnings": [],
    }  # fmt: skip


@given(values, values)
def test_reasons_of_a_sum_are_the_first_ones(one: Any, other: Any) -> None:
    first, second = check(table(one), 0), check(table(other), len(one))
    total = first.landed(0, 0, 0) + second.landed(0, 0, 0)
    assert total.reasons == check(table(one + other), 0).reasons


def test_rows_of_json_are_weather_too() -> None:
    rows = rows_to_table([{"timestamp": "2025-10-09T14:00:00Z", "asset_id": "s", "humidity": 80}])
    assert check_rows("weather", rows, TENANT).accepted == 1

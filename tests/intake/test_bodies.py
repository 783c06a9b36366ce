"""Bodies within a bound on memory: refused in words, or read as a whole."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_hub.errors import InvalidInput
from ai_hub.intake import bodies
from ai_hub.intake.bodies import read_batch
from ai_hub.intake.checks import check_rows
from ai_hub.intake.files import DataFile
from ai_hub.intake.read_options import ReadOptions
from intake.hostile_bodies import BOMBS, HONEST, csv_rows, read

MB = 10**6
OPTIONS = ReadOptions.of("observations")


# Each costs seconds, most of them to make the body; the others are of the same kinds.
LONG = {"arrow dictionary of ids", "parquet rows", "csv short lines", "csv quotes", "csv bz2",
        "xlsx cells", "xlsx long text"}  # fmt: skip


def _marked(name: str) -> Any:
    return pytest.param(name, marks=[pytest.mark.long] if name in LONG else [])


# Measured one by one when a test asks, as another worker may run the test of the next.
@pytest.fixture(scope="module")
def measure() -> Iterator[Callable[[str], dict[str, Any]]]:
    """What reading the body of a name takes."""
    command = [sys.executable, "-m", "intake.hostile_bodies", "-"]
    folder = Path(__file__).parents[1]
    with subprocess.Popen(
        command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        asked, told = process.stdin, process.stdout

        def measured(name: str) -> dict[str, Any]:
            print(name, file=asked, flush=True)
            found: dict[str, Any] = json.loads(told.readline())
            assert found["name"] == name
            return found

        yield measured
    assert process.returncode == 0


@pytest.mark.parametrize("name", [_marked(one) for one in BOMBS])
def test_a_body_takes_no_more_memory_than_its_size_allows(
    measure: Callable[[str], dict[str, Any]], name: str
) -> None:
    found = measure(name)
    assert found["status"] == 0, found
    assert found["peak"] <= 8 * found["body"] + 100 * MB, found
    assert found["seconds"] < 10, found


@pytest.mark.parametrize("name", HONEST)
def test_an_honest_body_is_taken(measure: Callable[[str], dict[str, Any]], name: str) -> None:
    found = measure(name)
    assert found["said"].endswith(" accepted, 0 rejected"), found
    assert found["peak"] <= 8 * found["body"] + 100 * MB, found


row = st.fixed_dictionaries({
    "timestamp": st.sampled_from([f"2025-10-09T1{hour}:00:00Z" for hour in range(4)]),
    "asset_id": st.sampled_from(["a", "b", ""]),
    "value": st.sampled_from(["1", "2", "x"]),
})  # fmt: skip


@given(st.lists(row, min_size=1, max_size=30), st.integers(1, 10))
def test_parts_make_the_batch_that_all_rows_at_once_do(
    rows: list[dict[str, str]], size: int
) -> None:
    table = pa.Table.from_pylist(rows)
    whole = check_rows("observations", table, "t")
    found = read_batch(DataFile(table, OPTIONS), "t", 1_000, rows=size)
    assert found.table.equals(whole.table)
    for name in ("sent", "rejected", "reasons", "duplicates", "tenant_id"):
        assert getattr(found, name) == getattr(whole, name), name


def test_a_body_of_which_hardly_a_row_can_be_stored_is_refused() -> None:
    bad = csv_rows(5) + b"1,a,1\n" * 200_000
    assert read("text/csv", bad) == "refused"
    assert read("text/csv", csv_rows(20_000) + b"1,a,1\n" * 150_000) == (
        "20000 accepted, 150000 rejected"
    )


def test_more_rows_than_a_body_may_have_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "MAX_BODY_ROWS", 3)
    table = pa.Table.from_pylist([{"timestamp": "x", "asset_id": "a", "value": 1}] * 4)
    with pytest.raises(InvalidInput, match="at most 3 rows"):
        read_batch(DataFile(table, OPTIONS), "t", 100)

"""Files and their local times."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_hub.errors import InvalidInput
from ai_hub.intake.batch import Batch
from ai_hub.intake.checks import check_observations, check_weather
from ai_hub.intake.files import count_hint, read_file
from ai_hub.intake.local_time import LocalClock

BERLIN = ZoneInfo("Europe/Berlin")
HEADER = "timestamp,asset_id,value\n"


def utc(times: list[str], *series: list[str], zone: str = "Europe/Berlin") -> list[object]:
    clock = LocalClock(zone)
    column = clock.to_utc(pa.array(times), [pa.array(names) for names in series])
    assert column.type == pa.timestamp("us", "UTC")
    return [f"{time:%d %H:%M}" for time in column.to_pylist()]


def batches(path: Path, **options: object) -> list[Batch]:
    return [check_observations(t, "t") for t, _ in read_file(path, **options)]  # type: ignore[arg-type]


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_the_hour_that_comes_twice_is_taken_by_file_order() -> None:
    times = [f"2025-10-26T{t}" for t in ("01:30", "02:00", "02:30", "02:00", "02:30", "03:00")]
    assert utc(times, ["a"] * 6) == [
        "25 23:30", "26 00:00", "26 00:30", "26 01:00", "26 01:30", "26 02:00",
    ]  # fmt: skip


def test_every_series_has_a_file_order_of_its_own() -> None:
    times = ["2025-10-26T02:00"] * 4
    assert utc(times, ["a", "b", "a", "b"]) == ["26 00:00"] * 2 + ["26 01:00"] * 2
    assert utc(times, ["a"] * 4, ["x", "y", "x", "y"]) == ["26 00:00"] * 2 + ["26 01:00"] * 2


def test_the_file_order_goes_on_in_the_next_batch() -> None:
    clock = LocalClock("Europe/Berlin")
    ids = [pa.array(["a"])]
    found = [clock.to_utc(pa.array(["2025-10-26T02:00"]), ids)[0].as_py() for _ in range(2)]
    assert [time.hour for time in found] == [0, 1]


def test_an_issue_time_that_repeats_is_one_time() -> None:
    clock = LocalClock("Europe/Berlin", repeats=True)
    times = [f"2025-10-26T02:{m}" for m in ("00", "00", "30", "00", "00")]
    found = clock.to_utc(pa.array(times), [pa.array(["a"] * 5)]).to_pylist()
    assert [time.hour for time in found] == [0, 0, 0, 1, 1]


def test_a_time_that_the_clock_skipped_is_refused_and_says_so(tmp_path: Path) -> None:
    lines = [f"2025-03-30T{t},a,1\n" for t in ("01:59", "02:30", "03:00")]
    path = write(tmp_path / "x.csv", HEADER + "".join(lines))
    (batch,) = batches(path, timezone="Europe/Berlin")
    (reason,) = batch.reasons
    assert (reason.row, reason.field, reason.value) == (1, "timestamp", "2025-03-30T02:30")
    assert "Europe/Berlin skipped" in reason.why
    assert [t.hour for t in batch.table.column("timestamp").to_pylist()] == [0, 1]


def test_times_with_an_offset_and_nonsense_are_kept_as_they_are() -> None:
    clock = LocalClock("Europe/Berlin")
    column = pa.array(["2025-01-01T00:00Z", "2025-01-01", "2025-01-01 01:00", "x", None])
    table = pa.table(
        {
            "timestamp": clock.to_utc(column, [pa.array(["a"] * 5)]),
            "asset_id": ["a", "b", "c", "d", "e"],
            "value": [1] * 5,
        }
    )
    batch = check_observations(table, "t")
    assert [(r.row, r.value) for r in batch.reasons] == [(3, "x"), (4, None)]
    assert [t.isoformat() for t in batch.table.column("timestamp").to_pylist()] == [
        "2025-01-01T00:00:00+00:00",
        "2024-12-31T23:00:00+00:00",
        "2025-01-01T00:00:00+00:00",
    ]


zones = ["Europe/Berlin", "Australia/Lord_Howe", "Asia/Kathmandu", "America/St_Johns", "UTC"]


@given(
    st.sampled_from(zones),
    st.lists(st.datetimes(datetime(1975, 1, 1), datetime(2060, 1, 1)), min_size=1, max_size=20),
)
def test_unambiguous_readings_are_what_zoneinfo_says(zone: str, times: list[datetime]) -> None:
    def instant(time: datetime, fold: int) -> datetime:
        return time.replace(tzinfo=ZoneInfo(zone), fold=fold).astimezone(UTC)

    clear = [time for time in times if instant(time, 0) == instant(time, 1)]
    expected = [instant(time, 0) for time in clear]
    for column in (
        pa.array(clear, pa.timestamp("us")),
        pa.array([time.isoformat() for time in clear], pa.string()),
    ):
        assert LocalClock(zone).to_utc(column, []).to_pylist() == expected


@pytest.mark.parametrize("zone", zones)
@pytest.mark.parametrize("typed", [False, True])
def test_a_year_of_readings_in_order_is_the_year(zone: str, typed: bool, tmp_path: Path) -> None:
    start = datetime(2024, 12, 31, 12, tzinfo=UTC)
    instants = [start + timedelta(minutes=15 * step) for step in range(366 * 96)]
    local = [instant.astimezone(ZoneInfo(zone)).replace(tzinfo=None) for instant in instants]
    if typed:
        path = tmp_path / "x.parquet"
        columns = {"timestamp": local, "asset_id": [7] * len(local), "value": [1.0] * len(local)}
        pq.write_table(pa.table(columns), path, row_group_size=10_000)
    else:
        text = HEADER + "".join(f"{time.isoformat()},7,1\n" for time in local)
        path = write(tmp_path / "x.csv", text)
    parts = batches(path, timezone=zone, rows=9_000)
    assert all(batch.reasons == () for batch in parts)
    assert [t for b in parts for t in b.table.column("timestamp").to_pylist()] == instants


def test_an_unknown_zone_is_an_error() -> None:
    for zone in ("Mars/Olympus", "", "../etc"):
        with pytest.raises(InvalidInput, match="timezone"):
            LocalClock(zone)


# Files


@pytest.mark.parametrize("name", ["x.csv", "x.csv.gz", "x.tsv", "x.parquet"])
def test_a_file_is_read_in_parts_of_so_many_rows(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    times = [datetime(2025, 1, 1, tzinfo=UTC) + timedelta(minutes=m) for m in range(250)]
    if name == "x.parquet":
        columns = {"ts": times, "asset_id": [1] * 250, "value": [1.0] * 250, "note": [""] * 250}
        pq.write_table(pa.table(columns), path, row_group_size=70)
    else:
        text = "ts,asset_id,value,note\n" + "".join(f"{t.isoformat()},1,1,\n" for t in times)
        text = text.replace(",", "\t") if name == "x.tsv" else text
        data = text.encode()
        path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    parts = list(read_file(path, {"timestamp": "ts"}, rows=100))
    assert [len(table) for table, _ in parts] == [100, 100, 50]
    assert parts[-1][1] == 1.0
    assert count_hint(path) == path.stat().st_size
    found = [check_observations(table, "t").table.column("timestamp") for table, _ in parts]
    assert [time for column in found for time in column.to_pylist()] == times


def test_a_mapped_column_that_the_file_lacks_is_an_error_that_lists_what_it_has(
    tmp_path: Path,
) -> None:
    path = write(tmp_path / "x.csv", HEADER)
    with pytest.raises(InvalidInput, match=r"value: got .*asset_id.* a column named \"kwh\""):
        next(read_file(path, {"value": "kwh"}))
    with pytest.raises(InvalidInput, match="columns"):
        next(read_file(path, {"valeu": "value"}))


@pytest.mark.parametrize("name", ["gone.csv", "gone.parquet"])
def test_a_file_that_is_not_there_is_an_error(name: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"file: .*No such file"):
        next(read_file(tmp_path / name))
    with pytest.raises(InvalidInput, match=r"file: .*No such file"):
        count_hint(tmp_path / name)


@pytest.mark.parametrize("name", ["x.parquet", "x.csv.gz", "x.xlsx", "x.csv"])
def test_a_file_of_another_format_is_an_error(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(b"\xff\xfe no such format")
    with pytest.raises(InvalidInput, match="file"):
        next(read_file(path))


def test_a_file_without_rows_has_one_empty_part(tmp_path: Path) -> None:
    (batch,) = batches(write(tmp_path / "x.csv", HEADER))
    assert batch.sent == 0


def test_bad_lines_are_counted_where_they_stand(tmp_path: Path) -> None:
    good = "2025-01-01T00:00Z,a,1\n"
    path = write(tmp_path / "x.csv", HEADER + good * 3 + "bad\n" + good)
    parts = batches(path, rows=2)
    assert [(b.sent, [r.row for r in b.reasons]) for b in parts] == [(2, []), (2, [1]), (1, [])]


def test_weather_files_have_two_local_times(tmp_path: Path) -> None:
    text = "timestamp,issued_at,asset_id,temperature\n"
    text += "".join(f"2025-07-01T{h:02}:00,2025-07-01T00:00,s,20\n" for h in range(3))
    ((table, _),) = read_file(write(tmp_path / "w.csv", text), timezone="Europe/Berlin")
    batch = check_weather(table, "t")
    assert batch.reasons == ()
    assert set(batch.table.column("issued_at").to_pylist()) == {
        datetime(2025, 7, 1, tzinfo=BERLIN).astimezone(UTC)
    }

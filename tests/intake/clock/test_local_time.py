"""Local times of a source, as UTC, and starts moved to ends; files with them."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_hub.errors import InvalidInput
from ai_hub.intake.batch import Batch
from ai_hub.intake.checks import check_observations, check_weather
from ai_hub.intake.clock.local_time import LocalClock, in_utc
from ai_hub.intake.columns import plain
from ai_hub.intake.marks import remarks_of
from ai_hub.intake.row_options import RowOptions
from ai_hub.intake.times import check_times
from intake.reading import read_file

BERLIN = ZoneInfo("Europe/Berlin")
HEADER = "timestamp,asset_id,value\n"


def utc(times: Any, zone: str | None = "Europe/Berlin", **columns: Any) -> list[str]:
    """The times of a table in UTC, or why not."""
    options = {name: columns.pop(name) for name in (*OPTIONS,) if name in columns}
    table = pa.table({"timestamp": times, **columns})
    found = in_utc(table, RowOptions.of(timezone=zone, **options))
    checked = check_times("timestamp", plain(found.column("timestamp")))
    times = checked.build(checked.keys).to_pylist()
    return [
        checked.why(row) if faulty else f"{time:%m-%d %H:%M}"
        for row, (time, faulty) in enumerate(zip(times, checked.faulty, strict=True))
    ]


OPTIONS = ("ambiguous", "interval_start", "interval_end")


def with_defaults(table: pa.Table) -> pa.Table:
    if "asset_id" not in table.column_names:
        table = table.append_column("asset_id", [[str(row) for row in range(len(table))]])
    return table.append_column("value", [[1.0] * len(table)])


def batches(path: Path, **options: object) -> list[Batch]:
    return [check_observations(t, "t") for t, _ in read_file(path, **options)]  # type: ignore[arg-type]


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


AUTUMN = ["2025-10-26T01:30", "2025-10-26T02:30", "2025-10-26T02:30", "2025-10-26T03:30"]


@pytest.mark.parametrize("order", [1, -1])
def test_the_hour_that_comes_twice_is_told_by_the_order_of_the_rows(order: int) -> None:
    expected = ["10-25 23:30", "10-26 00:30", "10-26 01:30", "10-26 02:30"]
    assert utc(AUTUMN[::order], asset_id=["a"] * 4) == expected[::order]


def test_every_series_is_told_alone() -> None:
    times = [time for time in AUTUMN for _ in range(2)]
    expected = [time for time in utc(AUTUMN, asset_id=["a"] * 4) for _ in range(2)]
    for name in ("asset_id", "feature_type", "tenant_id"):
        assert utc(times, **{name: ["a", "b"] * 4}) == expected
    # Blanks around an id make no other series.
    assert utc(AUTUMN, asset_id=["a", " a", "a ", "a"]) == utc(AUTUMN, asset_id=["a"] * 4)


def test_forecasts_are_told_issue_by_issue() -> None:
    times = [time for time in AUTUMN for _ in range(2)]
    issues = ["2025-10-25T18:00Z", "2025-10-25T20:00Z"] * 4
    expected = [time for time in utc(AUTUMN, asset_id=["a"] * 4) for _ in range(2)]
    assert utc(times, asset_id=["a"] * 8, issued_at=issues) == expected
    # Measurements whose issue is a time of each: a series like others.
    late = [f"{time}:59" for time in AUTUMN]
    found = in_utc(
        pa.table({"timestamp": AUTUMN, "issued_at": late, "asset_id": ["a"] * 4}),
        RowOptions(timezone="Europe/Berlin"),
    )
    issued, times = (found.column(name).to_pylist() for name in ("issued_at", "timestamp"))
    gaps = [known - time for known, time in zip(issued, times, strict=True)]
    assert gaps == [timedelta(seconds=59)] * 4


def test_local_issue_times_are_told_by_their_step() -> None:
    """Every six hours; the times that each is about are the same for all, at noon."""
    issued = [datetime(2025, 10, 24, tzinfo=UTC) + timedelta(hours=6 * step) for step in range(17)]
    local = [time.astimezone(BERLIN).replace(tzinfo=None).isoformat() for time in issued]
    table = pa.table(
        {
            "timestamp": ["2025-10-28T12:00Z", "2025-10-28T13:00Z"] * 17,
            "issued_at": [time for time in local for _ in range(2)],
            "asset_id": ["a"] * 34,
        }
    )
    found = in_utc(table, RowOptions(timezone="Europe/Berlin")).column("issued_at").to_pylist()
    assert found == [time for time in issued for _ in range(2)]


@pytest.mark.parametrize(
    ("ambiguous", "expected"),
    [("reject", "showed it twice"), ("earlier", "10-26 00:30"), ("later", "10-26 01:30")],
)
def test_what_the_rows_do_not_show_is_as_the_caller_says(ambiguous: str, expected: str) -> None:
    (found,) = utc(["2025-10-26T02:30"], ambiguous=ambiguous)
    assert expected in found
    assert utc(["2025-10-26T03:00"], ambiguous=ambiguous) == ["10-26 02:00"]


def test_the_whole_source_is_asked_for_once_and_only_where_it_matters() -> None:
    asked: list[int] = []
    table = pa.table({"timestamp": AUTUMN, "asset_id": ["a"] * 4})

    def whole() -> Iterator[pa.Table]:
        asked.append(1)
        yield from (table.slice(row, 1) for row in range(4))

    clock = LocalClock(RowOptions(timezone="Europe/Berlin"), whole)
    parts = [clock.to_utc(table.slice(row, 1)) for row in range(4)]
    found = [time for part in parts for time in part.column("timestamp").to_pylist()]
    assert [time.hour for time in found] == [23, 0, 1, 2]
    assert asked == [1]
    clock = LocalClock(RowOptions(timezone="Europe/Berlin"), whole)
    summer = pa.table({"timestamp": ["2025-07-01T02:30", "2025-10-25T02:30"]})
    clock.to_utc(summer)
    assert asked == [1]


def test_rows_beyond_those_of_the_whole_are_not_guessed() -> None:
    clock = LocalClock(RowOptions(timezone="Europe/Berlin"), lambda: [])
    part = clock.to_utc(pa.table({"timestamp": AUTUMN, "asset_id": ["a"] * 4}))
    batch = check_observations(with_defaults(part), "t")
    assert [reason.row for reason in batch.reasons] == [1, 2]


def test_a_time_that_the_clock_skipped_is_refused_and_says_so(tmp_path: Path) -> None:
    lines = [f"2025-03-30T{t},a,1\n" for t in ("01:59", "02:30", "03:00")]
    path = write(tmp_path / "x.csv", HEADER + "".join(lines))
    (batch,) = batches(path, timezone="Europe/Berlin")
    (reason,) = batch.reasons
    assert (reason.row, reason.field, reason.value) == (1, "timestamp", "2025-03-30T02:30")
    assert "Europe/Berlin skipped" in reason.why
    assert [t.hour for t in batch.table.column("timestamp").to_pylist()] == [0, 1]


def test_the_end_of_an_interval_may_be_one_that_the_clock_skipped() -> None:
    times = ["2025-03-30T01:45", "2025-03-30T02:00", "2025-03-30T03:15"]
    found = utc(times, interval_end="15m")
    assert found == ["03-30 00:45", "03-30 01:00", "03-30 01:15"]
    assert "skipped" in utc(["2025-03-30T02:30"], interval_end="15m")[0]


def test_times_with_an_offset_and_nonsense_are_kept_as_they_are() -> None:
    times = ["2025-01-01T00:00Z", "2025-01-01", "2025-01-01 01:00", "x", None]
    table = with_defaults(in_utc(pa.table({"timestamp": times}), RowOptions(timezone="+01:00")))
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
        found = in_utc(pa.table({"timestamp": column}), RowOptions(timezone=zone))
        assert found.column("timestamp").to_pylist() == expected


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


# Dates


DAYS = [date(2025, 4, 24), date(2025, 4, 25), date(2025, 4, 26)]  # Cairo's 25th begins at 01:00


@pytest.mark.parametrize(
    "column",
    [
        [day.isoformat() for day in DAYS],
        pa.array(DAYS, pa.date32()),
        pa.array(DAYS, pa.date64()),
        pa.array(DAYS, pa.date32()).dictionary_encode(),
    ],
)
def test_a_date_is_the_first_instant_of_its_day_in_every_form(column: Any) -> None:
    assert utc(column, "Africa/Cairo") == ["04-23 22:00", "04-24 22:00", "04-25 21:00"]


def test_a_date_alone_is_taken_with_a_word_about_the_leak() -> None:
    table = pa.table({"timestamp": ["2025-01-01", "2025-01-02"]})
    for options in ({}, {"interval_start": "P1D"}, {"interval_end": "P1D"}):
        found = in_utc(table, RowOptions.of(timezone="Europe/Berlin", **options))
        remarks = remarks_of(found)
        assert [remark.about for remark in remarks] == ([] if options else ["dates"])
        batch = check_observations(with_defaults(found), "t")
        assert batch.remarks == remarks
    (remark,) = remarks_of(in_utc(table, RowOptions(timezone="Europe/Berlin")))
    assert "interval_start=P1D" in remark.text
    times = pa.table({"timestamp": ["2025-01-01 00:00"]})
    assert remarks_of(in_utc(times, RowOptions(timezone="Europe/Berlin"))) == ()


def test_a_day_that_the_clock_left_out_is_refused() -> None:
    first, second, third = utc(["2011-12-29", "2011-12-30", "2011-12-31"], "Pacific/Apia")
    assert (first, third) == ("12-29 10:00", "12-30 10:00")
    assert "skipped" in second


# Starts and ends


def test_a_start_is_moved_to_its_end_by_the_time_that_passes() -> None:
    times = ["2025-10-26T01:30", "2025-07-01T00:00:00Z", "2025-07-01T02:00+02:00"]
    assert utc(times, interval_start="1h") == ["10-26 00:30", "07-01 01:00", "07-01 01:00"]
    aware = pa.array([datetime(2025, 7, 1, tzinfo=UTC)], pa.timestamp("ns", "UTC"))
    assert utc(aware, None, interval_start=timedelta(minutes=15)) == ["07-01 00:15"]


@pytest.mark.parametrize("day", ["2025-03-30", "2025-10-26", "2025-07-01"])
def test_a_date_is_moved_to_the_end_of_its_day_however_long_it_is(day: str) -> None:
    (end,) = utc([day], interval_start="P1D")
    following = (date.fromisoformat(day) + timedelta(days=1)).isoformat()
    assert [end] == utc([following])


def test_periods_step_on_the_wall_clock() -> None:
    times = ["2025-10-25T12:00", "2025-10-25T10:00Z", "2025-01-31T00:00"]
    assert utc(times, interval_start="P1D")[:2] == ["10-26 11:00"] * 2
    assert utc(times, interval_start="P1M")[2] == "02-27 23:00"
    # An end that the clock skipped is the length of the gap later; one that it repeats the first.
    assert utc(["2025-03-29T02:30"], interval_start="P1D") == ["03-30 01:30"]
    assert utc(["2025-10-25T02:30"], interval_start="P1D") == ["10-26 00:30"]


def test_a_stated_issue_time_is_not_moved_and_a_default_one_is_the_moved_time() -> None:
    table = pa.table(
        {
            "timestamp": ["2025-07-01T00:00", "2025-07-01T00:00"],
            "issued_at": ["2025-06-30T12:00", None],
            "asset_id": ["a", "b"],
            "temperature": [1.0, 1.0],
        }
    )
    found = in_utc(table, RowOptions.of(timezone="Europe/Berlin", interval_start="1h"))
    batch = check_weather(found, "t")
    assert (
        batch.table.column("timestamp").to_pylist() == [datetime(2025, 6, 30, 23, tzinfo=UTC)] * 2
    )
    assert batch.table.column("issued_at").to_pylist() == [
        datetime(2025, 6, 30, 10, tzinfo=UTC),
        datetime(2025, 6, 30, 23, tzinfo=UTC),
    ]


def test_with_nothing_to_do_a_table_is_as_it_came() -> None:
    table = pa.table({"timestamp": ["2025-01-01", "x"]})
    assert in_utc(table, RowOptions()) is table
    assert in_utc(table, RowOptions.of(interval_end="1h")) is table


def test_a_time_moved_beyond_what_there_is_is_refused() -> None:
    (why,) = utc(["9999-12-31T23:00Z"], interval_start="2h")
    assert "between the years 1 and 9999" in why


def test_an_unknown_zone_is_an_error() -> None:
    with pytest.raises(InvalidInput, match="timezone"):
        next(read_file(Path("x.csv"), timezone="Mars/Olympus"))


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
    found = [check_observations(table, "t").table.column("timestamp") for table, _ in parts]
    assert [time for column in found for time in column.to_pylist()] == times


def test_a_mapped_column_that_the_file_lacks_is_an_error_that_lists_what_it_has(
    tmp_path: Path,
) -> None:
    path = write(tmp_path / "x.csv", HEADER)
    with pytest.raises(InvalidInput, match=r"value: got .*asset_id.* a column named \"kwh\""):
        next(read_file(path, {"value": "kwh"}))
    with pytest.raises(InvalidInput, match="options: got 'valeu_column'"):
        next(read_file(path, {"valeu": "value"}))


@pytest.mark.parametrize("name", ["gone.csv", "gone.parquet"])
def test_a_file_that_is_not_there_is_an_error(name: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"file: .*No such file"):
        next(read_file(tmp_path / name))


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


@pytest.mark.parametrize(
    "odd",
    [
        pa.array([{"a": 1}]),
        pa.array([[1]]),
        pa.array([b"\xff"]),
        pa.array([2**62], pa.date64()),
        pa.array([2**31 - 1], pa.date32()),
        pa.array([timedelta(1)]),
    ],
    ids=lambda column: str(column.type),
)
@pytest.mark.parametrize("name", ["timestamp", "issued_at"])
def test_times_of_any_other_type_are_refused_in_any_zone(name: str, odd: pa.Array) -> None:
    table = pa.table({"timestamp": ["2025-10-26T02:30"], "asset_id": ["a"], "temperature": [1.0]})
    table = table.append_column("issued_at", pa.array(["2025-10-26T02:30"]))
    table = table.set_column(table.column_names.index(name), name, odd)
    for interval in (None, "P1D"):
        given = RowOptions.of(timezone="Europe/Berlin", interval_start=interval, ambiguous="later")
        batch = check_weather(in_utc(table, given), "t")
        assert [reason.field for reason in batch.reasons] == [name]


@pytest.mark.parametrize(
    ("zone", "said"),
    [("Europe/Amsterdam", "showed it twice"), (None, "with an offset.*--timezone")],
)
def test_a_time_that_is_rejected_is_shown_as_it_came(
    tmp_path: Path, zone: str | None, said: str
) -> None:
    path = write(tmp_path / "p1.csv", HEADER + "251026021500S,m1,1\n251026024500W,m1,2\n")
    (batch,) = batches(path, timezone=zone, time_format="%y%m%d%H%M%S*")
    assert [one.value for one in batch.reasons] == ["251026021500S", "251026024500W"]
    assert all(re.search(said, one.why) for one in batch.reasons)

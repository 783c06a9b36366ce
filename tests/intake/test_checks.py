"""What a batch takes and refuses, whatever the types of its columns."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_hub.definitions.values import parse_time
from ai_hub.errors import InvalidInput
from ai_hub.intake.batch import OBSERVATIONS, WEATHER
from ai_hub.intake.checks import check_observations, check_weather
from ai_hub.intake.result import MAX_REASONS
from ai_hub.intake.row_options import RowOptions

T = "2025-01-01T00:00:00Z"
START = datetime(2025, 1, 1, tzinfo=UTC)


def table(**columns: Any) -> pa.Table:
    sizes = {len(column) for column in columns.values()}
    size = sizes.pop() if sizes else 1
    defaults = {"timestamp": [T] * size, "asset_id": ["a"] * size, "value": [1.0] * size}
    return pa.table(defaults | columns)


def refused(**columns: Any) -> list[tuple[int, str | None, object, str]]:
    batch = check_observations(table(**columns), "t")
    return [(r.row, r.field, r.value, r.why) for r in batch.reasons]


def taken(name: str, **columns: Any) -> list[object]:
    batch = check_observations(table(**columns), "t")
    assert batch.reasons == ()
    found: list[object] = batch.table.column(name).to_pylist()
    return found


def test_a_clean_batch_has_the_schema_and_the_defaults() -> None:
    batch = check_observations(table(), "t")
    assert batch.table.schema == OBSERVATIONS
    assert batch.table.to_pylist() == [
        {
            "timestamp": START,
            "tenant_id": "t",
            "asset_id": "a",
            "feature_type": "value",
            "value": 1.0,
            "quality": 1,
        }
    ]
    assert (batch.sent, batch.accepted, batch.rejected, batch.naive) == (1, 1, 0, False)


@pytest.mark.parametrize("missing", ["timestamp", "asset_id", "value"])
def test_a_missing_required_column_is_an_error_that_lists_what_came(missing: str) -> None:
    with pytest.raises(InvalidInput, match=f'{missing}: got .* a column named "{missing}"'):
        check_observations(table().drop_columns([missing]), "t")


def test_without_a_tenant_the_column_is_required() -> None:
    with pytest.raises(InvalidInput, match="tenant_id"):
        check_observations(table(), None)
    batch = check_observations(table(tenant_id=["t", "u", None]), None)
    assert batch.table.column("tenant_id").to_pylist() == ["t", "u"]
    assert [(r.row, r.field, r.value) for r in batch.reasons] == [(2, "tenant_id", None)]


def test_a_column_twice_is_an_error() -> None:
    twice = table().append_column("value", pa.array([2.0]))
    with pytest.raises(InvalidInput, match='one column named "value"'):
        check_observations(twice, "t")


def test_another_tenant_than_the_batch_s_is_refused_naming_both() -> None:
    (reason,) = refused(tenant_id=["t", None, "u"])
    assert reason == (2, "tenant_id", "u", "expected 't', the tenant of this batch")


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_aware_timestamps_of_every_unit_are_kept_in_utc(unit: str) -> None:
    for zone in ("UTC", "+02:00"):
        column = pa.array([1735689600], pa.timestamp("s", "UTC")).cast(pa.timestamp(unit, zone))
        assert taken("timestamp", timestamp=column) == [START]


@pytest.mark.parametrize(("nanos", "micros"), [(0, 0), (1, 1), (999, 1), (1000, 1), (-1, 0)])
def test_nanoseconds_are_rounded_up(nanos: int, micros: int) -> None:
    column = pa.array([nanos], pa.timestamp("ns", "UTC"))
    batch = check_observations(table(timestamp=column), "t")
    assert batch.table.column("timestamp").cast(pa.int64()).to_pylist() == [micros]


def test_times_that_a_datetime_cannot_hold_are_refused() -> None:
    column = pa.array([0, 2**62, -(2**62), 10**12], pa.timestamp("s", "UTC"))
    batch = check_observations(table(timestamp=column), "t")
    assert [(r.row, r.why) for r in batch.reasons] == [
        (row, "expected a time between the years 1 and 9999") for row in (1, 2, 3)
    ]


def test_naive_timestamps_refuse_every_row() -> None:
    batch = check_observations(table(timestamp=pa.array([0, 1], pa.timestamp("us"))), "t")
    assert batch.naive
    assert (batch.sent, batch.rejected, batch.table.num_rows) == (2, 2, 0)
    assert "name the zone of such times (--timezone, timezone=)" in batch.reasons[0].why
    assert batch.reasons[0].value == "1970-01-01 00:00:00.000000"


@pytest.mark.parametrize("column", [[1735689600], [1.5], [True], pa.array([1], pa.date32())])
def test_numbers_and_dates_are_no_times(column: Any) -> None:
    (reason,) = refused(timestamp=column)
    assert reason[1] == "timestamp"
    assert reason[3].startswith("expected a time with an offset")


def test_a_text_without_offset_refuses_its_row_only() -> None:
    (reason,) = refused(timestamp=[T, "2025-01-01T00:00:00", "2025-01-01T03:00+02:00"])
    assert reason[:3] == (1, "timestamp", "2025-01-01T00:00:00")
    assert "no offset" in reason[3]


@given(
    st.lists(
        st.one_of(
            st.none(),
            st.text(max_size=30).filter(lambda text: text.isprintable()),
            st.datetimes(timezones=st.timezones()).map(lambda time: time.isoformat()),
            st.datetimes(timezones=st.just(UTC)).map(lambda time: time.isoformat(" ")),
            st.from_regex(
                r"[0-9]{4}-[01][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-5][0-9]"
                r"(:[0-6][0-9](\.[0-9]{1,9})?)?(Z|[+-][0-2][0-9]:[0-6][0-9])",
                fullmatch=True,
            ),
        ),
        max_size=5,
    )
)
def test_text_times_are_read_as_one_by_one(texts: list[str | None]) -> None:
    def one(text: str | None) -> int | None:
        try:
            micros = parse_time(text, rounding="up")
        except InvalidInput:
            return None
        return micros if -62135596800000000 <= micros < 253402300800000000 else None

    column = pa.array(texts, pa.string())
    ids = pa.array([str(row) for row in range(len(texts))], pa.string())
    values = pa.array([1.0] * len(texts), pa.float64())
    batch = check_observations(
        pa.table({"timestamp": column, "asset_id": ids, "value": values}), "t"
    )
    micros = batch.table.column("timestamp").cast(pa.int64()).to_pylist()
    found = dict(zip(batch.table.column("asset_id").to_pylist(), micros, strict=True))
    assert found == {str(r): m for r, t in enumerate(texts) if (m := one(t)) is not None}


def test_ids_may_be_integers_dictionaries_and_large_strings() -> None:
    assert taken("asset_id", asset_id=pa.array([1001], pa.int16())) == ["1001"]
    assert taken("asset_id", asset_id=pa.array(["m"]).dictionary_encode()) == ["m"]
    assert taken("asset_id", asset_id=pa.array(["m"], pa.large_string())) == ["m"]
    assert taken("asset_id", asset_id=pa.array(["m"], pa.string_view())) == ["m"]


@pytest.mark.parametrize("column", [[None], [""], ["x" * 257], ["a\nb"], [1.5], [True], [b"a"]])
def test_what_is_no_id_is_refused(column: list[object]) -> None:
    (reason,) = refused(asset_id=column)
    assert reason[1] == "asset_id"
    assert reason[3].startswith("expected a string")


def test_a_tenant_of_another_type_is_not_taken_for_the_batch_s() -> None:
    (reason,) = refused(tenant_id=[1.5])
    assert reason[:3] == (0, "tenant_id", 1.5)
    assert "these ids are floats" in reason[3]


def test_feature_type_has_a_default_and_a_length() -> None:
    batch = check_observations(table(feature_type=["load", None, "", "y" * 65]), "t")
    assert batch.table.column("feature_type").to_pylist() == ["load", "value"]
    assert [r.why for r in batch.reasons] == ["expected a string of 1 to 64 characters"]


@pytest.mark.parametrize(
    "column",
    [
        [2],
        [2.0],
        ["2"],
        [" 2e0 "],
        ["+2."],
        [Decimal("2.00")],
        pa.array([2], pa.uint64()),
        pa.array([2], pa.float32()),
        pa.array(["2"]).dictionary_encode(),
    ],
)
def test_numbers_of_every_type_are_taken(column: Any) -> None:
    assert taken("value", value=column) == [2.0]


@pytest.mark.parametrize(
    "column",
    [[None], [math.nan], [math.inf], ["inf"], ["nan"], ["1e999"], ["1_0"], ["x"], [""], [True]],
)
def test_what_is_no_finite_number_is_refused(column: list[object]) -> None:
    (reason,) = refused(value=column)
    assert reason[1] == "value"
    assert reason[3] == "expected a finite number"


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_as_text_is_the_same_number(number: float) -> None:
    assert taken("value", value=[repr(number)]) == [number]
    assert taken("value", value=[f" {number!r}"]) == [number]


def test_quality_is_a_whole_number_and_one_by_default() -> None:
    assert taken("quality", asset_id=["a", "b"], quality=["", "0"]) == [1, 0]
    assert taken("quality", quality=[2.0]) == [2]
    assert [r[1] for r in refused(quality=[1.5, 2.0**31, math.inf])] == ["quality"] * 3


def test_a_row_with_several_faults_is_named_once_by_the_first() -> None:
    (reason,) = refused(timestamp=["x"], asset_id=[""], value=[None])
    assert reason[1] == "timestamp"


def test_the_first_reasons_are_kept_and_numbered_from_first_row() -> None:
    batch = check_observations(table(value=[None] * 30), "t", first_row=100)
    assert batch.rejected == 30
    assert [r.row for r in batch.reasons] == list(range(100, 100 + MAX_REASONS))


def test_no_rows_at_all_are_a_batch_of_nothing() -> None:
    batch = check_observations(pa.table({}), "t")
    assert (batch.sent, batch.table.schema) == (0, OBSERVATIONS)
    assert check_observations(table().slice(0, 0), "t").sent == 0


row_strategy = st.tuples(
    st.integers(0, 3),
    st.sampled_from(["a", "b", "é", "\uffff", "\U00010000"]),
    st.sampled_from([None, "value", "load"]),
    st.floats(0, 9),
)


@given(st.lists(row_strategy, max_size=30))
def test_the_last_row_of_a_key_wins_and_the_rest_is_sorted(
    rows: list[tuple[int, str, str | None, float]],
) -> None:
    columns = list(zip(*rows, strict=True)) or [(), (), (), ()]
    batch = check_observations(
        pa.table(
            {
                "timestamp": pa.array(
                    [START + timedelta(hours=hour) for hour in columns[0]],
                    pa.timestamp("us", "UTC"),
                ),
                "asset_id": pa.array(columns[1], pa.string()),
                "feature_type": pa.array(columns[2], pa.string()),
                "value": pa.array(columns[3], pa.float64()),
            }
        ),
        "t",
    )
    expected = {(asset, series or "value", hour): v for hour, asset, series, v in rows}
    found = batch.table.to_pylist()
    keys = [(r["asset_id"].encode(), r["feature_type"], r["timestamp"]) for r in found]
    assert keys == sorted(keys)
    assert batch.accepted == len(rows)
    assert {
        (r["asset_id"], r["feature_type"], (r["timestamp"] - START) // timedelta(hours=1)): r[
            "value"
        ]
        for r in found
    } == expected


@given(st.permutations(range(6)))
def test_the_order_of_rows_with_distinct_keys_does_not_matter(order: list[int]) -> None:
    whole = table(
        asset_id=["b", "a", "a", "c", "b", "é"],
        feature_type=["value", "x", "y", "value", "w", None],
        value=[1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
    )
    shuffled = check_observations(whole.take(pa.array(order)), "t").table
    assert shuffled.equals(check_observations(whole, "t").table)


# Weather


def weather(**columns: Any) -> pa.Table:
    return table(**columns).drop_columns(["value"])


def test_a_weather_row_is_issued_when_it_is_about_unless_it_says_so() -> None:
    later = "2025-01-02T00:00:00Z"
    batch = check_weather(
        weather(timestamp=[T, T, T], issued_at=[None, "", later], humidity=[1, 2, 3]), "t"
    )
    assert batch.table.schema == WEATHER
    assert batch.table.column("humidity").to_pylist() == [2.0, 3.0]
    assert batch.table.column("issued_at").to_pylist() == [START, START + timedelta(days=1)]
    assert batch.table.column("temperature").null_count == 2


def test_weather_without_any_weather_column_is_an_error() -> None:
    with pytest.raises(InvalidInput, match="temperature"):
        check_weather(weather(), "t")


@pytest.mark.parametrize("column", [[None], [math.nan], [""], ["NaN"]])
def test_a_weather_value_may_be_null(column: list[object]) -> None:
    batch = check_weather(weather(temperature=column), "t")
    assert batch.reasons == ()
    assert batch.table.column("temperature").to_pylist() == [None]


@pytest.mark.parametrize("column", [[math.inf], ["x"], [True], ["-inf"], [999.9], ["-999"]])
def test_a_weather_value_that_cannot_be_costs_the_cell_and_not_the_row(
    column: list[object],
) -> None:
    batch = check_weather(weather(temperature=column, humidity=[50]), "t")
    assert (batch.accepted, batch.reasons) == (1, ())
    assert batch.table.column("temperature").to_pylist() == [None]
    assert batch.table.column("humidity").to_pylist() == [50.0]
    assert {**batch.unreadable, **batch.outside} == {"temperature": 1}
    assert [(r.about, r.field) for r in batch.remarks] in (
        [("unreadable", "temperature")],
        [("outside", "temperature")],
    )


def test_an_issue_time_that_stands_for_null_is_the_time_itself() -> None:
    batch = check_weather(weather(issued_at=["NA"], temperature=[1]), "t")
    assert batch.table.column("issued_at").to_pylist() == [START]


def test_a_naive_issue_time_is_refused_and_named() -> None:
    issued = pa.array([0], pa.timestamp("us"))
    batch = check_weather(weather(issued_at=issued, temperature=[1]), "t")
    assert [r.field for r in batch.reasons] == ["issued_at"]
    assert not batch.naive


# What the caller says


def test_a_valid_range_is_of_the_call_or_of_the_series() -> None:
    rows = table(value=[5.0, 50.0, 500.0], feature_type=["load", None, "load"])
    for options, refused_rows in (
        (RowOptions(), []),
        (RowOptions.of(valid_range="10:"), [0]),
        (RowOptions.of(valid_ranges={"load": "0:100"}), [2]),
        (RowOptions.of(valid_ranges={"value": "0:10", "other": "0:0"}), [1]),
        (RowOptions.of(valid_range="10:", valid_ranges={"load": "0:100"}), [0]),
    ):
        batch = check_observations(rows, "t", 0, options)
        assert [reason.row for reason in batch.reasons] == refused_rows
        assert all("expected a reading in the valid range" in r.why for r in batch.reasons)


def test_a_quality_may_be_left_out() -> None:
    rows = table(quality=["0"])
    assert check_observations(rows, "t").table.column("quality").to_pylist() == [0]
    options = RowOptions.of(quality=False)
    assert check_observations(rows, "t", 0, options).table.column("quality").to_pylist() == [1]


def test_what_stands_for_null_may_be_said() -> None:
    options = RowOptions.of(null=["none yet", "-1"])
    rows = table(
        value=["-1.0", "2", "none yet"], quality=["-1", "None Yet", "0"], asset_id=["a", "b", "c"]
    )
    batch = check_observations(rows, "t", 0, options)
    assert [reason.row for reason in batch.reasons] == [0, 2]
    assert batch.table.column("quality").to_pylist() == [1]


def test_the_tenant_of_the_call_and_of_a_row_are_one_without_their_blanks() -> None:
    batch = check_observations(table(tenant_id=[" t"]), "t ")
    assert (batch.accepted, batch.tenant_id) == (1, "t")
    assert batch.table.column("tenant_id").to_pylist() == ["t"]


odd_columns = [
    pa.array([[1]]),
    pa.array([{"x": 1}]),
    pa.array([b"x"], pa.binary_view()),
    pa.array([timedelta(1)]),
    pa.array([START.time()]),
    pa.array([2**63 - 1]).view(pa.timestamp("s")),
    pa.array([None], pa.list_(pa.int8())),
    pa.DictionaryArray.from_arrays(pa.array([0]), pa.array([b"x"], pa.binary_view())),
    pa.RunEndEncodedArray.from_arrays(pa.array([1], pa.int32()), pa.array([[1]])),
]


@pytest.mark.parametrize("field", ["timestamp", "tenant_id", "asset_id", "value"])
@pytest.mark.parametrize("column", odd_columns, ids=lambda column: str(column.type))
def test_a_column_of_any_other_type_refuses_its_rows(field: str, column: pa.Array) -> None:
    whole = table(tenant_id=["t"]).drop_columns([field]).append_column(field, column)
    batch = check_observations(whole, None)
    assert [r.field for r in batch.reasons] == [field]


@pytest.mark.parametrize("text", ["2025011310:57", "13/01/2025 1"])
def test_a_time_in_a_way_that_is_not_known_can_be_said(text: str) -> None:
    (why,) = (one.why for one in check_observations(table(timestamp=[text]), "t").reasons)
    assert "--time-format" in why
    for other in ("Total", "2025-01-13", None):
        (why,) = (one.why for one in check_observations(table(timestamp=[other]), "t").reasons)
        assert "--time-format" not in why

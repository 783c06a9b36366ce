from __future__ import annotations

import subprocess
import sys
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_hub.definitions.values import (
    BUCKET_ORIGIN,
    DAY,
    HOUR,
    MINUTE,
    Duration,
    Entity,
    Granularity,
    TimeRange,
    check_id,
    id_fault,
    iso,
    key_part,
    parse_time,
    to_datetime,
    to_micros,
)
from ai_hub.errors import InvalidInput

T = 1_760_020_200_000_000  # 2025-10-09T14:30:00Z

ids = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), min_size=1, max_size=20)
key_like = st.text(st.sampled_from(":*?[]\\% A3520"), min_size=1, max_size=6).filter(
    lambda text: id_fault(text) is None
)


def entity_key(entity: Entity) -> str:
    return key_part(entity.tenant_id) + ":" + key_part(entity.asset_id)


# Ids


@pytest.mark.parametrize("value", ["a", "Zähler 7", "a" * 256, "😀", "../x", "%3A", "tenant:1"])
def test_an_ordinary_id_is_accepted_as_it_is(value: str) -> None:
    assert check_id("asset_id", value) == value


@pytest.mark.parametrize(
    "value",
    ["", "a" * 257, "a\x00", "a\nb", "\x85", "\u2028", "a\u2029", "\ud800", None, 7, b"a", ["a"]],
)
def test_an_illegal_id_is_refused_by_name(value: object) -> None:
    with pytest.raises(InvalidInput, match=r"^asset_id: got ") as caught:
        check_id("asset_id", value)
    assert caught.value.field == "asset_id"


def test_a_series_name_has_its_own_limit() -> None:
    assert id_fault("s" * 64, 64) is None
    assert id_fault("s" * 65, 64) == "a string of 1 to 64 characters"


def test_entities_check_both_ids_and_sort_by_code_point() -> None:
    with pytest.raises(InvalidInput, match="tenant_id"):
        Entity("", "a")
    with pytest.raises(InvalidInput, match="asset_id"):
        Entity("t", "\n")
    assert sorted([Entity("t", "a"), Entity("t", "Z"), Entity("T", "z")]) == [
        Entity("T", "z"),
        Entity("t", "Z"),
        Entity("t", "a"),
    ]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("asset-7_b.c/d+e", "asset-7_b.c/d+e"),
        ("a:b", "a%3Ab"),
        ("100%", "100%25"),
        ("*?[]\\", "%2A%3F%5B%5D%5C"),
        ("a b", "a%20b"),
        ("a\u00a0b", "a%C2%A0b"),
        ("\u3000", "%E3%80%80"),
        ("Zähler", "Zähler"),
    ],
)
def test_a_key_escapes_what_has_a_meaning_there(value: str, expected: str) -> None:
    assert key_part(value) == expected


@given(st.one_of(ids, key_like), st.one_of(ids, key_like), st.one_of(ids, key_like), ids)
def test_different_entities_never_share_a_key(a: str, b: str, c: str, d: str) -> None:
    entities = {Entity(x, y) for x in (a, b, c, d) for y in (a, b, c, d)}
    assert len({entity_key(entity) for entity in entities}) == len(entities)


@given(st.one_of(ids, key_like))
def test_a_key_part_holds_no_character_with_a_meaning(value: str) -> None:
    assert not any(c in ":*?[]\\" or c.isspace() for c in key_part(value))


# Instants


def test_an_aware_datetime_is_microseconds_since_the_epoch() -> None:
    assert to_micros(datetime(2025, 10, 9, 14, 30, tzinfo=UTC)) == T
    assert to_micros(datetime(2025, 10, 9, 16, 30, tzinfo=timezone(timedelta(hours=2)))) == T
    assert to_micros(datetime(2025, 10, 9, 16, 30, tzinfo=ZoneInfo("Europe/Berlin"))) == T
    assert to_micros(datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)) == -1


def test_a_repeated_hour_is_told_apart_by_its_fold() -> None:
    first = datetime(2025, 10, 26, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"))
    assert to_micros(first.replace(fold=1)) - to_micros(first) == HOUR


@pytest.mark.parametrize("value", [datetime(2025, 10, 9), None, 0])
def test_anything_but_an_aware_datetime_is_refused(value: object) -> None:
    with pytest.raises(InvalidInput, match=r"start_time: .* an aware datetime"):
        to_micros(value, "start_time")


def test_a_text_with_an_offset_is_an_instant_too() -> None:
    assert to_micros("2025-10-09T16:30:00+02:00") == T
    assert to_micros("2025-10-09T14:30:00.0000001Z", rounding="up") == T + 1
    with pytest.raises(InvalidInput, match=r"start_time: .* It has no offset: add Z for UTC"):
        to_micros("2025-10-09T14:30:00", "start_time")


def test_the_refusal_of_a_naive_datetime_says_what_to_do() -> None:
    with pytest.raises(InvalidInput, match=r"2025-10-09T00:00:00.*tzinfo=timezone\.utc"):
        to_micros(datetime(2025, 10, 9))


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (pd.Timestamp("2025-10-09"), "tz_localize"),
        (pd.NaT, "this one is missing"),
        (np.datetime64("2025-10-09"), "pandas.Timestamp"),
        (pd.Period("2025-10-09", "D"), "pandas.Timestamp"),
        (date(2025, 10, 9), "its time of the day and its zone"),
    ],
)
def test_the_refusal_of_what_has_no_zone_says_what_to_do(value: object, why: str) -> None:
    with pytest.raises(InvalidInput, match=why):
        to_micros(value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2025-10-09T14:30:00.000000001Z", T + 1),
        ("2025-10-09T14:30:00.000000Z", T),
        ("1969-12-31T23:59:59.999999001Z", 0),
        ("1969-12-31T23:59:59.999998000Z", -2),
    ],
)
def test_nanoseconds_of_a_pandas_timestamp_go_the_way_they_are_told(
    text: str, expected: int
) -> None:
    pandas = pytest.importorskip("pandas")
    stamp = pandas.Timestamp(text)
    assert to_micros(stamp, rounding="up") == expected
    assert (
        to_micros(stamp) == to_micros(stamp, rounding="down") == expected - bool(stamp.nanosecond)
    )


def test_the_definitions_need_neither_pandas_nor_numpy() -> None:
    script = (
        "import sys, ai_hub.definitions.registry, ai_hub.engines.reference\n"
        "heavy = {'pandas', 'numpy', 'polars', 'pyarrow', 'duckdb'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2025-10-09T14:30:00Z", T),
        ("2025-10-09 14:30:00Z", T),
        (" 2025-10-09T14:30Z ", T),
        ("2025-10-09T16:30:00+02:00", T),
        ("2025-10-09T09:00:00-05:30", T),
        ("2025-10-09T14:30:00.5Z", T + 500_000),
        ("2025-10-09T14:30:00.000001Z", T + 1),
        ("1970-01-01T00:00:00+00:00", 0),
        ("1969-12-31T23:59:59.999999Z", -1),
        ("2000-01-03T00:00:00Z", BUCKET_ORIGIN),
    ],
)
def test_a_time_with_an_offset_is_read(text: str, expected: int) -> None:
    assert parse_time(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2025-10-09T14:30:00.0000001Z", T + 1),
        ("2025-10-09T14:30:00.0000009Z", T + 1),
        ("2025-10-09T14:30:00.000000000Z", T),
        ("2025-10-09T14:30:00.000001000Z", T + 1),
        ("2025-10-09T14:30:00.000001000000000001Z", T + 2),
        ("2025-10-09T14:30:00.999999999Z", T + 1_000_000),
        ("2025-10-09T16:30:00.000000001+02:00", T + 1),
        ("1969-12-31T23:59:59.999999999Z", 0),
        ("1969-12-31T23:59:59.999998999Z", -1),
    ],
)
def test_digits_beyond_the_microsecond_go_the_way_they_are_told(text: str, expected: int) -> None:
    assert parse_time(text, rounding="up") == expected
    digits = text.partition(".")[2].partition("Z")[0].partition("+")[0]
    finer = bool(digits[6:].strip("0"))
    assert parse_time(text) == parse_time(text, rounding="down") == expected - finer


@pytest.mark.parametrize(
    "text", ["2025-10-09T14:30:00,0000001Z", "2025-10-09 143000.0000001Z"], ids=["comma", "basic"]
)
def test_other_spellings_of_nanoseconds_round_the_same_or_are_refused(text: str) -> None:
    with suppress(InvalidInput):
        assert (parse_time(text), parse_time(text, rounding="up")) == (T, T + 1)


@pytest.mark.parametrize(
    "text",
    [
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-05:00",
        "9999-12-31T23:59:59.999999999Z",
    ],
)
def test_a_time_that_no_utc_datetime_holds_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        parse_time(text, rounding="up")


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-05:00"])
def test_rounding_down_saves_no_time_beyond_all_years(text: str) -> None:
    with pytest.raises(InvalidInput):
        parse_time(text)


@pytest.mark.parametrize("text", ["2025-10-09T14:30:00", "2025-10-09", "2025-10-09T14:30:00.123"])
def test_a_time_without_an_offset_is_refused_with_what_to_add(text: str) -> None:
    with pytest.raises(InvalidInput, match="no offset: add Z for UTC"):
        parse_time(text)


@pytest.mark.parametrize(
    "text",
    ["", "now", "2025-13-01T00:00:00Z", "2025-10-09X14:30:00Z", "1760020200", None, 5, "2025"],
)
def test_what_is_not_a_time_is_refused(text: object) -> None:
    with pytest.raises(InvalidInput, match="start_time"):
        parse_time(text, "start_time")


@given(st.integers(-62_135_596_800_000_000, 253_402_300_799_999_999))
def test_an_instant_survives_its_text_and_its_datetime(micros: int) -> None:
    assert parse_time(iso(micros)) == micros
    assert to_micros(to_datetime(micros)) == micros


def test_an_instant_is_shown_in_utc_with_a_fraction_if_it_has_one() -> None:
    assert iso(T) == "2025-10-09T14:30:00Z"
    assert iso(-1) == "1969-12-31T23:59:59.999999Z"


# Durations


@pytest.mark.parametrize(
    ("value", "micros", "text"),
    [
        ("24h", 24 * HOUR, "24h"),
        ("90m", 90 * MINUTE, "90m"),
        ("7d", 168 * HOUR, "168h"),
        ("1w", 168 * HOUR, "168h"),
        ("60m", HOUR, "1h"),
        ("1s", 1_000_000, "1s"),
        ("5ms", 5_000, "5ms"),
        ("1us", 1, "1us"),
        (timedelta(minutes=15), 15 * MINUTE, "15m"),
        (Duration(HOUR), HOUR, "1h"),
        ("36600d", 36_600 * DAY, "878400h"),
    ],
)
def test_a_width_is_exact_and_shown_in_its_largest_unit(
    value: object, micros: int, text: str
) -> None:
    assert Duration.of(value).micros == micros
    assert Duration.of(value).seconds == micros / 1e6
    assert str(Duration.of(value)) == text


@pytest.mark.parametrize(
    "value",
    [
        "-1h",
        "1.5h",
        "24",
        "h",
        " 1h",
        "1H",
        "36601d",
        "P1D",
        "",
        None,
        24,
        True,
        timedelta(hours=-1),
    ],
)
@pytest.mark.parametrize("zero", [False, True])
def test_what_is_no_width_is_refused(value: object, zero: bool) -> None:
    with pytest.raises(InvalidInput, match="window"):
        Duration.of(value, "window", zero=zero)


@pytest.mark.parametrize("value", ["0", "0h", timedelta(0), Duration(0)])
def test_a_width_of_nothing_is_one_only_where_it_is_allowed(value: object) -> None:
    assert Duration.of(value, "tolerance", zero=True) == Duration(0)
    assert str(Duration(0)) == "0"
    with pytest.raises(InvalidInput, match="window"):
        Duration.of(value, "window")


@pytest.mark.parametrize("micros", [-1, 36_600 * DAY + 1, 1.0, True])
def test_a_duration_is_not_negative_and_at_most_a_century(micros: int) -> None:
    with pytest.raises(InvalidInput):
        Duration(micros)


# The as-of time


@pytest.mark.parametrize(
    ("step", "micros", "expected"),
    [
        ("1m", T + 59_999_999, T),
        ("1m", T, T),
        ("1m", T - 1, T - MINUTE),
        ("1h", T, T - 30 * MINUTE),
        ("1m", -1, -MINUTE),
        ("1h", -1, -HOUR),
        ("1d", T, T - 14 * HOUR - 30 * MINUTE),
    ],
)
def test_the_as_of_time_is_truncated_never_rounded_up(
    step: str, micros: int, expected: int
) -> None:
    assert Granularity.of(step).truncate(micros) == expected


@pytest.mark.parametrize("step", ["7m", "500ms", "2d", "0m", "1us", "x"])
def test_a_granularity_divides_a_day_in_whole_seconds(step: str) -> None:
    with pytest.raises(InvalidInput, match="granularity"):
        Granularity.of(step)


def test_a_time_range_may_be_of_one_instant() -> None:
    assert not TimeRange(T, T).is_empty
    assert not TimeRange(T, T + 1).is_empty


def test_a_time_range_that_rounding_turned_round_is_empty() -> None:
    start = parse_time("2025-10-09T14:30:00.0000001Z", rounding="up")
    end = parse_time("2025-10-09T14:30:00.0000009Z")
    assert TimeRange(start, end).is_empty


@pytest.mark.parametrize("end", [T - 2, T - HOUR])
def test_a_time_range_does_not_end_before_it_starts(end: int) -> None:
    with pytest.raises(InvalidInput, match=r"start_time: .* a time not after end_time"):
        TimeRange(T, end)

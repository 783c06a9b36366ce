"""Encodings: found out from bytes where these show it, and never guessed where letters matter."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_hub.errors import InvalidInput
from ai_hub.intake.checks import check_observations
from ai_hub.intake.dialect.dialect import Dialect
from ai_hub.intake.dialect.encodings import Utf8, detect_encoding
from ai_hub.intake.source import Source
from intake.reading import data_file

TEXT = "timestamp;asset_id;Wert °C;value\n2025-01-01T00:00Z;{id};1;0,5\n"


def rows(data: bytes, **options: str) -> list[dict[str, object]]:
    file = data_file(Source.of_bytes(data), dialect=Dialect.of(options))
    return [row for table, _ in file.tables() for row in table.to_pylist()]


@pytest.mark.parametrize(
    ("encoding", "found"),
    [
        ("utf-8", "utf-8"),
        ("utf-8-sig", "utf-8"),
        ("utf-16", "utf-16"),
        ("utf-16-le", "utf-16-le"),
        ("utf-16-be", "utf-16-be"),
        ("utf-32", "utf-32"),
    ],
)
def test_an_encoding_that_the_bytes_show_is_taken(encoding: str, found: str) -> None:
    data = TEXT.format(id="Büro Łódź").encode(encoding)
    assert detect_encoding(data) == found
    (row,) = rows(data)
    assert (row["asset_id"], row["value"]) == ("Büro Łódź", "0.5")
    assert rows(data, encoding="utf-8-sig" if encoding == "utf-8-sig" else encoding) == [row]


def test_letters_that_are_not_read_may_be_of_any_encoding() -> None:
    for encoding in ("cp1252", "latin-1", "cp1250"):
        data = TEXT.format(id="m1").encode(encoding)
        file = data_file(Source.of_bytes(data))
        assert file.explicit().encoding == "cp1252"
        assert [row["asset_id"] for row in rows(data)] == ["m1"]


def test_a_name_in_the_header_is_found_in_eight_bits() -> None:
    data = "Zeit;Zähler;value\n2025-01-01T00:00Z;m1;1\n".encode("cp1252")
    columns = {"timestamp": "Zeit", "asset_id": "Zähler"}
    file = data_file(Source.of_bytes(data), columns)
    assert [row["asset_id"] for table, _ in file.tables() for row in table.to_pylist()] == ["m1"]


def test_ids_whose_letters_nobody_has_named_are_refused_and_shown() -> None:
    data = TEXT.format(id="Büro").encode("cp1252") + b"2025-01-01T00:00Z;m1;1;2\n"
    file = data_file(Source.of_bytes(data))
    ((table, _),) = ((t, f) for t, f in file.tables() if len(t))
    batch = check_observations(table, "t")
    assert (batch.accepted, batch.rejected) == (1, 1)
    (reason,) = batch.reasons
    assert (reason.field, reason.value) == ("asset_id", "Büro")
    assert "--encoding cp1252" in reason.why
    for encoding, name in (("cp1252", "Büro"), ("latin-1", "Büro"), ("cp1251", "Bьro")):
        assert rows(data, encoding=encoding)[0]["asset_id"] == name


def test_a_byte_that_an_encoding_has_not_costs_its_row() -> None:
    data = TEXT.format(id="m1").encode("cp1252").replace(b"m1", b"m\x81")
    (row,) = rows(data, encoding="cp1252")
    assert str(row["asset_id"]).startswith("\x00")


def test_text_that_ends_inside_a_letter_is_an_error() -> None:
    data = TEXT.format(id="m1").encode("utf-16")[:-1]
    with pytest.raises(InvalidInput, match=r"file|body: .*text in utf-16 from beginning to end"):
        rows(data)


@given(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=50),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-32", "utf-7"]),
    st.integers(1, 9),
)
def test_any_text_is_utf_8_however_it_is_read(text: str, encoding: str, size: int) -> None:
    stream = Utf8(io.BytesIO(text.encode(encoding)), encoding, "file")
    parts = []
    while part := stream.read(size):
        assert len(part) <= size
        parts.append(part)
    marked = "\ufeff" if encoding in ("utf-8", "utf-16-be", "utf-7") else ""
    assert b"".join(parts).decode() == text.removeprefix(marked)
    stream.close()


def test_a_few_nul_bytes_cost_their_rows_and_many_are_no_text() -> None:
    lines = [f"2025-01-01T00:00Z,m{number},{number}" for number in range(100)]
    text = "\n".join(["timestamp,asset_id,value", *lines])
    data = f"{text}\n2025-01-01T00:00Z,m\0,1\n2025-01-01T00:00Z,m,\0\n".encode()
    (table, _), *_ = data_file(Source.of_bytes(data)).parts()
    batch = check_observations(table, "t")
    assert (batch.accepted, batch.rejected) == (100, 2)
    with pytest.raises(InvalidInput, match=r"expected a text.*NUL bytes.*encoding"):
        data_file(Source.of_bytes(text.encode() + b"\0" * 5_000))

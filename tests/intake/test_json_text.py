"""A long text read in pieces is what it is when it is read at once."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_hub.intake import json_text
from ai_hub.intake.json_text import NotJson, count, decode, decode_lines

texts = st.sampled_from(["a", "},{", '"}, {"', "\\", "é", "rows", '"rows":[{'])
cells = st.one_of(
    texts, st.none(), st.floats(allow_nan=False), st.lists(st.fixed_dictionaries({"x": texts}))
)
rows = st.lists(
    st.one_of(st.dictionaries(texts, cells, max_size=3), st.integers(), texts), max_size=60
)


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_text, "_PIECE", 40)
    monkeypatch.setattr(json_text, "_LONGEST_ROW", 4_000)


@given(rows, st.sampled_from([None, 1]))
def test_an_array(found: list[object], indent: int | None) -> None:
    body = json.dumps(found, indent=indent).encode()
    assert decode(body) == found or len(body) > 4_000


@given(rows, texts, st.booleans())
def test_rows_of_an_object(found: list[object], tenant: str, first: bool) -> None:
    message = {"tenant_id": tenant, "rows": found}
    if not first:
        message = dict(reversed(message.items()))
    body = json.dumps(message, ensure_ascii=first).encode()
    assert decode(body) == message or len(body) > 4_000


@given(rows, st.integers(0, 3_000), st.sampled_from([b"", b"}", b"x", b",", b"]"]))
def test_what_is_no_json_is_none_in_pieces_either(
    found: list[object], at: int, what: bytes
) -> None:
    whole = json.dumps({"tenant_id": "t", "rows": found}).encode()
    body = whole[:at] + what + whole[at + 1 :]
    try:
        told = json.loads(body)
    except ValueError:
        with pytest.raises(NotJson):
            decode(body)
    else:
        assert decode(body) == told


def test_not_a_number_and_the_second_of_two_members() -> None:
    many = b",".join(b'{"value":%d}' % n for n in range(50))
    assert str(decode(b'{"rows":[%b,{"value":NaN}]}' % many)).endswith("{'value': nan}]}")
    assert decode(b'{"rows":[%b],"rows":[{"b":1}]}' % many) == {"rows": [{"b": 1}]}
    inside = decode(b'{"x":{"rows":[%b]},"rows":[{"b":1}]}' % many)
    assert isinstance(inside, dict)
    assert inside["rows"] == [{"b": 1}]


def test_a_row_that_is_too_long_is_refused() -> None:
    long = json.dumps([{"a": 1}, {"a": "x" * 5_000}, {"a": 1}]).encode()
    with pytest.raises(NotJson):
        decode(long)
    assert decode_lines(b'{"a":1}\n"%b"\n{"a":2}' % (b"x" * 5_000), len) == [
        {"a": 1}, 5_002, {"a": 2},
    ]  # fmt: skip


@given(rows, st.lists(st.sampled_from([b"", b"oops", b"NaN", b" "]), max_size=5))
def test_lines(found: list[object], others: list[bytes]) -> None:
    lines = [json.dumps(row).encode() for row in found]
    told = decode_lines(b"\n".join([*lines, *others, *lines]), bytes.decode)
    expected = [*found, *[one.decode() for one in others if one.strip()], *found]
    assert str(told) == str(expected).replace("'NaN'", "nan")


@given(st.binary(max_size=300))
def test_bytes_are_counted(body: bytes) -> None:
    assert count(body, b"\x00") == body.count(0)

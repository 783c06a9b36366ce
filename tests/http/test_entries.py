"""Members of batches: right whatever was kept, and no more of them than there is room for."""

from __future__ import annotations

import json
from typing import Any

from ai_hub.http.entries import Entries, entry_of


def vector(number: int) -> bytes:
    return b'{"features":{"n":%d},"missing":[],"degraded":false,"feature_count":1}' % number


def told(members: list[bytes]) -> Any:
    return json.loads(b"{%b}" % b",".join(members))


def test_a_member_is_of_the_vector_that_was_found() -> None:
    entries = Entries(1_000_000, 300)
    for number in (1, 1, 2, 3):
        value = vector(number)
        for hit in (False, True, True):
            found = entries.of("t", "f", 0, ["a", 'b"c'], [(value, hit), (value, True)])
            assert found == [entry_of("a", (value, hit)), entry_of('b"c', (value, True))]
            assert told(found)["a"]["cache_hit"] is hit
            assert told(found)['b"c']["features"] == {"n": number}
    # The same asset of another tenant, set or time is another one.
    for slot in (("u", "f", 0), ("t", "g", 0), ("t", "f", 60)):
        (member,) = entries.of(*slot, ["a"], [(vector(9), True)])
        assert told([member])["a"]["features"] == {"n": 9}


def test_what_was_computed_for_one_answer_is_not_kept() -> None:
    entries = Entries(1_000_000, 300)
    entries.of("t", "f", 0, ["a"], [(vector(0), True)])
    before = entries.bytes
    for number in range(1_000):
        entries.of("t", "f", 0, [f"asset-{number}"], [(vector(number), False)])
    assert entries.bytes == before
    # Another vector takes the place of the one before.
    for number in range(9):
        entries.of("t", "f", 0, ["a"], [(vector(number), True)])
    assert entries.bytes == before


def test_they_have_a_bound_in_bytes_and_in_time() -> None:
    now = 0.0
    entries = Entries(100_000, 300, lambda: now)
    for minute in range(200):
        now += 10
        assets = [f"asset-{n}" for n in range(20)]
        entries.of("t", "f", minute, assets, [(vector(n), True) for n in range(20)])
        assert entries.bytes <= 100_000
    now += 300
    entries.of("t", "f", 1_000, ["a"], [(vector(1), False)])
    assert entries.bytes < 1_000

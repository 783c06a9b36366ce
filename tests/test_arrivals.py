"""What came in is told by the hour, for a day, and never more than there is room for."""

from __future__ import annotations

from ai_hub.arrivals import MOST_PLACES, MOST_REJECTS, Arrivals
from ai_hub.definitions.values import DAY, HOUR

NOW = 1_760_020_200_000_000


def test_rows_are_counted_for_a_day() -> None:
    found = Arrivals()
    for hours in range(30):
        found.came("weather", {"a": 2, "b": 1}, "", 0, "", NOW + hours * HOUR)
        found.came("weather", {"a": 1}, "a", 3, "why", NOW + hours * HOUR)
    last = NOW + 29 * HOUR
    assert sum(rows for (tenant, _, _), (rows, _) in found.rows.items() if tenant == "a") == 24 * 3
    assert found.rows["a", "weather", last - last % HOUR] == (3, 3)
    assert len(found.rejects) == 24
    assert found.rejects[-1] == (last, "a", "weather", 3, "why")
    assert found.of_tenants(["b"]).rejects == []
    assert {tenant for tenant, _, _ in found.of_tenants(["b"]).rows} == {"b"}


def test_there_is_room_for_so_many_and_others_share_one() -> None:
    found = Arrivals()
    found.came("weather", {f"t{n}": 1 for n in range(MOST_PLACES + 5)}, "", 0, "", NOW)
    assert len(found.rows) == MOST_PLACES + 1
    assert found.rows["other", "weather", NOW - NOW % HOUR] == (5, 0)
    for n in range(MOST_REJECTS + 5):
        found.came("weather", {}, "a", 1, str(n), NOW + n)
    assert [one[4] for one in found.rejects] == [str(n) for n in range(5, MOST_REJECTS + 5)]


def test_processes_are_added_up() -> None:
    one, other = Arrivals(), Arrivals()
    one.came("weather", {"a": 2}, "a", 1, "first", NOW)
    other.came("weather", {"a": 3}, "a", 1, "second", NOW + DAY // 48)
    one.add(other)
    assert sum(rows for rows, _ in one.rows.values()) == 5
    assert [reject[4] for reject in one.rejects] == ["first", "second"]

"""What is asked to explain a value reads by keys and by time: no chunk whole, and few chunks."""

from __future__ import annotations

from pathlib import Path

import asyncpg
import pytest

from ai_hub.definitions.values import DAY, HOUR, parse_time, to_datetime
from ai_hub.stores.postgres import evidence
from conformance.kit import TIMESCALEDB, observation

T = parse_time("2025-10-09T14:30:00Z")
_ENDS = "'2025-10-08T14:30:00Z', '2025-10-09T14:30:00Z'"
_SPANS = "'{2025-10-02T13:30:00Z,2025-10-08T13:30:00Z}', '{2025-10-02T14:30:00Z,2025-10-08T14:30Z}'"
_INSIDE = "'2025-10-02T13:30:00Z', '2025-10-08T14:30:00Z'"
_AT = "'2025-10-09T14:30:00Z'"
FEW = 8
"""Of 52 chunks; a day may lie in two of them."""
_WORDS = {"column": "temperature", "measured": "", "later": "o.issued_at > $7"}
STATEMENTS = {
    "count": (evidence._COUNT, f"'acme', 'a', 'value', {_ENDS}"),
    "newest": (evidence._NEWEST, f"'acme', 'a', 'value', {_ENDS}"),
    "latest": (evidence._LATEST, f"'acme', 'a', 'value', {_SPANS}, {_INSIDE}"),
    "quality": (evidence._QUALITY, "'acme', 'a', 'value', '{2025-10-08T14:30:00Z}'"),
    "unusable": (evidence._UNUSABLE, f"'acme', 'a', 'value', {_SPANS}, {_INSIDE}"),
    "weather": (evidence._WEATHER_NEWEST, f"'acme', 'a', {_ENDS}, {_AT}"),
    "weather_latest": (evidence._WEATHER_LATEST, f"'acme', 'a', {_SPANS}, {_INSIDE}, {_AT}"),
    "weather_rest": (evidence._WEATHER_REST, f"'acme', 'a', {_SPANS}, {_INSIDE}, {_AT}"),
    "stations": (evidence._STATIONS, f"'acme', {_ENDS}, 10"),
}


@pytest.mark.timescaledb
async def test_statements_read_by_keys_and_time(tmp_path: Path) -> None:
    async with TIMESCALEDB.open(tmp_path) as store:
        # A year of weeks, each in a chunk of its own; raw rows of then are not kept.
        rows = [observation("a", T - HOUR - week * 7 * DAY, 1.0) for week in range(52)]
        await store.ingest(rows, "acme")
        weather = [
            {"timestamp": to_datetime(T - HOUR - week * 7 * DAY), "asset_id": "a",
             "temperature": 1.0}
            for week in range(52)
        ]  # fmt: skip
        await store.ingest_weather(weather, "acme")
        connection = await asyncpg.connect(store.settings.database_url)
        try:
            await connection.execute("SET enable_seqscan = off")
            await connection.execute("SET plan_cache_mode = force_custom_plan")
            for name, (text, given) in STATEMENTS.items():
                said = text.format(**_WORDS) if "weather" in name else text
                await connection.execute(f"PREPARE {name} AS {said}")
                found = await connection.fetch(f"EXPLAIN (ANALYZE) EXECUTE {name} ({given})")
                plan = [line for (line,) in found]
                assert not [line for line in plan if "Seq Scan" in line], plan
                read = [line for line in plan if " on _hyper_" in line and "never" not in line]
                assert 1 <= len(read) <= FEW or name in ("quality", "unusable"), plan
        finally:
            await connection.close()

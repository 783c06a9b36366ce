"""What an archive asks of a PostgreSQL database without chunks."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from ai_hub.definitions.values import DAY, parse_time, to_datetime
from stores.postgres.maintained import hourly, opened

T = parse_time("2025-10-09T14:30:00Z")
MANY = """
INSERT INTO ai_features (tenant_id, asset_id, feature_type, timestamp, value)
SELECT 'other', $1, 'value', $2::timestamptz + i * INTERVAL '1 s', i
FROM generate_series(1, 30000) i
"""
NEW_BLOCKS = "SELECT brin_summarize_new_values('ai_features_ts_brin')"


@pytest.mark.postgresql
async def test_spans_are_found_in_blocks_that_no_vacuum_has_seen(tmp_path: Path) -> None:
    async with opened("plain", tmp_path, T - 300 * DAY) as world:
        await world.write(*hourly("a", T - 90 * DAY, 24))
        await world.sql.execute(MANY, "a", T - 20 * DAY)
        before = to_datetime(T) - timedelta(days=60)
        await world.store.archive(before, str(tmp_path / "history"))
        assert await world.sql.fetchval(NEW_BLOCKS) == 0
        # And of other blocks it says that there are some.
        await world.sql.execute(MANY, "b", T - 10 * DAY)
        assert await world.sql.fetchval(NEW_BLOCKS) > 0

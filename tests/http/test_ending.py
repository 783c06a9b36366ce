"""The end of a server amid ingests: its process ends, and what it acknowledged stays."""

from __future__ import annotations

import asyncio
import signal
import threading
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from acceptance.serving import serving
from ai_hub import FeatureStore
from watching import COMMAND, eventually, log

T = datetime(2025, 10, 9, 14, tzinfo=UTC)


@pytest.mark.parametrize("rows", [1, 2_000])
def test_what_was_acknowledged_outlives_a_signal(tmp_path: Path, rows: int) -> None:
    database = f"duckdb:///{tmp_path / 'features.duckdb'}"
    acknowledged: list[str] = []
    statuses: set[int] = set()

    def ingest(client: httpx.Client, name: int) -> None:
        for batch in range(10**6):
            ids = [f"{name}-{batch}-{n}" for n in range(rows)]
            content = (
                b"timestamp,asset_id,value\n"
                + "".join(f"{T.isoformat()},{one},1\n" for one in ids).encode()
            )
            try:
                answer = client.post(
                    "/ai/features/ingest?tenant_id=t", content=content,
                    headers={"content-type": "text/csv"},
                )  # fmt: skip
            except httpx.TransportError:
                return
            statuses.add(answer.status_code)
            if answer.status_code != 200:
                return
            acknowledged.extend(ids)

    with serving(COMMAND, tmp_path, database_url=database) as server:
        eventually(lambda: log(server, "serving"))
        address = f"http://127.0.0.1:{server.port}"
        with httpx.Client(base_url=address, timeout=30, trust_env=False) as client:
            threads = [threading.Thread(target=ingest, args=(client, name)) for name in range(4)]
            for one in threads:
                one.start()
            eventually(lambda: len(acknowledged) > 10 * rows)
            server.process.send_signal(signal.SIGTERM)
            assert server.process.wait(120) == 0
            for one in threads:
                one.join(20)
    assert statuses <= {200, 503}

    async def there() -> list[str]:
        async with FeatureStore.open(database, export_root=tmp_path) as store:
            return await store.seen_assets("t", T)

    assert {*acknowledged} <= {*asyncio.run(there())}

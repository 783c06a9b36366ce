"""What `test_killed_exports` starts and kills: an export to the URL of its last argument."""

from __future__ import annotations

import asyncio
import sys
from datetime import datetime
from pathlib import Path

from ai_hub import FeatureStore, Settings
from ai_hub.export import output
from ai_hub.storage import objects
from ai_hub.stores import chunks

START, END = (
    datetime.fromisoformat("2025-01-01T00:00Z"),
    datetime.fromisoformat("2025-06-01T00:00Z"),
)


def small() -> None:
    """Have parts, and pieces of their uploads, that a small history has several of."""
    chunks.CHUNK_ROWS = 200
    output.PART_ROWS = 500
    objects._PIECE = 4_000


def settings(folder: Path) -> Settings:
    return Settings(
        database_url=f"duckdb:///{folder / 'features.duckdb'}", export_root=folder / "exports"
    )


async def export(folder: Path, url: str) -> None:
    async with FeatureStore(settings(folder)) as store:
        await store.export_features_to_parquet(
            "t", "forecast_basic", START, END, output_path=url, parts=True
        )


if __name__ == "__main__":
    small()
    asyncio.run(export(Path(sys.argv[1]), sys.argv[2]))

"""Ray Data runs the worker's function: the rows are those of the local engine.

Run by `tests/test_spark.py` with the interpreter of an environment of its own.
"""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pytest
import ray

from ai_hub.export.worker import training_batches

KEYS = [("asset_id", "ascending"), ("timestamp", "ascending")]
HOUR = 3_600_000_000


@pytest.fixture(scope="session", autouse=True)
def two_workers() -> Iterator[None]:
    ray.init(num_cpus=2, include_dashboard=False, object_store_memory=100_000_000)
    yield
    ray.shutdown()


def test_groups_of_assets_give_the_rows_of_whole_tables() -> None:
    hours = [(f"meter-{n % 7}", n // 7 * HOUR, float(n * 37 % 101)) for n in range(7 * 200)]
    ids, times, values = zip(*hours, strict=True)
    observations = pa.table(
        {"asset_id": ids, "timestamp": pa.array(times, pa.timestamp("us", "UTC")), "value": values}
    )

    def rows(table: pa.Table) -> pa.Table:
        made = training_batches(table, "forecast_basic", tenant_id="acme", horizons=["24h"])
        return pa.Table.from_batches(made)

    data = ray.data.from_arrow(observations).repartition(5)
    found = data.groupby("asset_id").map_groups(rows, batch_format="pyarrow")
    table = pa.concat_tables(ray.get(found.to_arrow_refs())).sort_by(KEYS)
    expected = rows(observations)
    assert len(expected) == 1400
    assert table.select(expected.column_names).cast(expected.schema).equals(expected)

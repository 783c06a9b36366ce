"""Checked tables put together are what checking all of their rows at once gives."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_hub.intake.batch import Batch, BatchKind
from ai_hub.intake.checks import check_rows
from ai_hub.intake.merging import merged

IDS = st.sampled_from(("a", "b", "B", "é", "\U0001f600", "ﬀ", "10", "9"))
TIMES = st.integers(0, 3).map(lambda hour: f"2025-01-0{1 + hour % 2}T0{hour}:00:00Z")
VALUES = st.sampled_from((1.0, 2.5, -3.0))
ROWS: dict[BatchKind, st.SearchStrategy[dict[str, object]]] = {
    "observations": st.fixed_dictionaries({
        "timestamp": TIMES, "asset_id": IDS, "feature_type": IDS, "value": VALUES,
        "quality": st.integers(0, 2), "tenant_id": IDS,
    }),
    "weather": st.fixed_dictionaries({
        "timestamp": TIMES, "asset_id": IDS, "issued_at": TIMES, "tenant_id": IDS,
        "temperature": st.none() | VALUES, "humidity": st.none() | st.sampled_from((10.0, 20.0)),
    }),
    "attributes": st.fixed_dictionaries({
        "asset_id": IDS, "key": st.sampled_from(("capacity", "area")), "tenant_id": IDS,
        "value": st.none() | st.sampled_from(("5", "x", "y")), "valid_from": st.none() | TIMES,
    }),
}  # fmt: skip


def checked(kind: BatchKind, rows: list[dict[str, object]]) -> Batch:
    return check_rows(kind, pa.Table.from_pylist(rows), None)


@pytest.mark.parametrize("kind", ROWS)
@given(data=st.data())
def test_it_is_one_batch_of_all_rows(kind: BatchKind, data: st.DataObject) -> None:
    parts = data.draw(st.lists(st.lists(ROWS[kind], min_size=1, max_size=12), min_size=1))
    batches = [checked(kind, part) for part in parts]
    found = merged(kind, [batch.table for batch in batches], None)
    expected = checked(kind, [row for part in parts for row in part])
    assert found.table.equals(expected.table)
    assert found.duplicates + sum(one.duplicates for one in batches) == expected.duplicates
    # Of rows that were replaced in their own part, that part has the remark.
    said = [remark.about for batch in (*batches, found) for remark in batch.remarks]
    assert set(said) == {remark.about for remark in expected.remarks}
    assert found.tenant_id is None

"""Appends keep one row a key, whatever of it a batch has in common, and whoever dies after them."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ai_hub.definitions.values import DAY
from ai_hub.intake.batch import OBSERVATIONS
from ai_hub.stores.base import Landed
from ai_hub.stores.embedded import session
from ai_hub.stores.embedded.session import Cursor, Sessions
from ai_hub.stores.embedded.sources import SourceMap
from ai_hub.stores.embedded.write import OBSERVATION_TABLE, append_rows

T0 = 1_740_000_000_000_000
Key = tuple[str, str, str, int]
Stored = dict[Key, tuple[float, int]]

keys = st.tuples(
    st.sampled_from(("t", "u")),
    st.sampled_from(("a", "b")),
    st.sampled_from(("value", "load")),
    # Rows of days far apart are looked up by themselves.
    st.sampled_from([T0 + day * DAY for day in (0, 1, 5, 400)]),
)
rows = st.tuples(st.sampled_from((1.0, 2.0)), st.sampled_from((0, 1)))
batches = st.lists(st.dictionaries(keys, rows, min_size=1, max_size=8), min_size=1, max_size=6)


MEMORY = Sessions()


def table(batch: Stored) -> pa.Table:
    columns = zip(*[(*key, *batch[key]) for key in sorted(batch)], strict=True)
    tenant, asset, series, time, value, quality = (list(column) for column in columns)
    stamps = pa.array(time, pa.timestamp("us", "UTC"))
    return pa.table([stamps, tenant, asset, series, value, quality], names=OBSERVATIONS.names).cast(
        OBSERVATIONS
    )


def append(cursor: Cursor, batch: Stored) -> Landed:
    return append_rows(cursor, OBSERVATION_TABLE, table(batch), SourceMap(), lambda entities: None)


def stored(cursor: Cursor) -> Stored:
    found: Sequence[tuple[str, str, str, int, float, int]] = cursor.execute(
        "SELECT tenant_id, asset_id, feature_type, epoch_us(timestamp), value, quality "
        "FROM timeseries_data"
    ).fetchall()
    by_key = {row[:4]: row[4:] for row in found}
    assert len(by_key) == len(found)
    return by_key


@settings(max_examples=25)
@given(batches)
def test_a_later_row_of_a_key_replaces_an_earlier_one_and_is_counted(
    landing: list[Stored],
) -> None:
    cursor = MEMORY.cursor()
    cursor.execute("DELETE FROM timeseries_data")
    known: Stored = {}
    for batch in landing:
        again = [key for key in batch if key in known]
        changed = [key for key in again if known[key] != batch[key]]
        known |= batch
        landed = append(cursor, batch)
        assert (landed.replaced, landed.unchanged) == (len(changed), len(again) - len(changed))
        assert stored(cursor) == known
    cursor.close()


def test_corrections_of_many_blocks_are_there_after_a_crash(tmp_path: Path) -> None:
    file, crashed = tmp_path / "a.duckdb", tmp_path / "crashed.duckdb"
    sessions = Sessions(str(file))
    cursor = sessions.cursor()
    hours = [("t", "a", "value", T0 + 3_600_000_000 * hour) for hour in range(60_000)]
    append(cursor, dict.fromkeys(hours, (1.0, 1)))
    cursor.execute("CHECKPOINT")
    corrections: Stored = dict.fromkeys(hours[::100], (2.0, 1))
    assert append(cursor, corrections).replaced == len(corrections)
    shutil.copy(file, crashed)
    shutil.copy(f"{file}.wal", f"{crashed}.wal")
    cursor.close()
    sessions.abandon()
    after = Sessions(str(crashed))
    found = after.cursor().execute("SELECT value, count(*) FROM timeseries_data GROUP BY value")
    assert dict(found.fetchall()) == {1.0: 59_400, 2.0: 600}
    after.abandon()


def test_corrections_are_taken_up_by_the_file_when_the_log_is_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "_LOG_BYTES", 500_000)
    file = tmp_path / "a.duckdb"
    sessions = Sessions(str(file))
    cursor = sessions.cursor()
    cursor.execute("INSERT INTO timeseries_data SELECT make_timestamptz(i * 3600000000), 't', 'a', "
                   "'value', 0, 1 FROM range(500000) AS r(i)")  # fmt: skip
    cursor.execute("CHECKPOINT")
    hours = [("t", "a", "value", 3_600_000_000 * hour) for hour in range(0, 500_000, 50)]
    log, lengths = Path(f"{file}.wal"), []
    for value in range(1, 9):
        append(cursor, dict.fromkeys(hours, (float(value), 1)))
        lengths.append(log.stat().st_size if log.exists() else 0)
    assert 0 < lengths[0] < lengths[1] < max(lengths) < 900_000
    assert lengths[lengths.index(max(lengths)) + 1] < max(lengths)
    assert {value for value, _ in stored(cursor).values()} == {0.0, 8.0}
    cursor.close()
    sessions.abandon()

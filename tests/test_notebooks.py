"""What a notebook shows of an answer, a set and an export."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from ai_hub import FeatureSet, FeatureStore, Lag
from ai_hub.config import Settings
from ai_hub.notebooks import table

T = datetime(2025, 10, 9, 14, tzinfo=UTC)
ODD = "<script>alert('1 & 2')</script>"
ROWS = [{"timestamp": T - timedelta(hours=n), "asset_id": ODD, "value": n} for n in range(30)]


class Cells(HTMLParser):
    """The texts of a table, and the tags that it has."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.tags: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def shown(value: Any) -> list[str]:
    found = Cells(value._repr_html_())
    assert found.tags <= {"table", "caption", "thead", "tbody", "tr", "th", "td"}
    return found.texts


async def test_answers_sets_and_exports_are_tables_and_whatever_is_in_them_is_escaped(
    tmp_path: Path,
) -> None:
    settings = Settings(database_url="duckdb:///:memory:", export_root=tmp_path)
    async with FeatureStore(settings) as store:
        await store.ingest(ROWS, "t")
        asked = {"tenant_id": "t", "asset_id": ODD, "feature_set": "forecast_basic"}
        answer = await store.get(**asked, timestamp=T)
        texts = shown(answer)
        assert texts[0] == f"t / {ODD}, forecast_basic@1 as of 2025-10-09T14:00:00Z"
        assert texts[texts.index("lag_1h") + 1] == "1.0"
        features = await store.compute_feature_set("t", ODD, "forecast_basic", T)
        assert shown(features) == texts
        late = await store.get(**asked, timestamp=T + timedelta(days=30))
        assert "missing" in shown(late)
        training_set = await store.get_training_set(ROWS[:9], "forecast_basic", tenant_id="t")
        texts = shown(training_set)
        assert texts[0] == "forecast_basic@1: 9 rows of t, missing values: mean"
        assert texts.count(ODD) == 5
        history = await store.history("t", [ODD], T - timedelta(hours=2), T, features=["lag_1h"])
        texts = shown(history)
        assert texts[0] == "3 rows of t from 2025-10-09T12:00:00Z to 2025-10-09T14:00:00Z"
        assert texts.count(ODD) == 3
        record = await store.export_features_to_parquet("t", "forecast_basic", T, T)
        texts = shown(record)
        assert texts[0] == f"export {record['export_id']}: completed"
        assert texts[texts.index("row_count") + 1] == "1"
    own = FeatureSet("own", 1, (Lag("lag", "1h", description=ODD, unit="kWh"),))
    assert shown(own)[-4:] == ["lag", "Lag", "kWh", ODD]


def test_a_long_table_says_how_many_more_there_are() -> None:
    assert Cells(table("c", ["n"], [[n] for n in range(25)])).texts[-1] == "and 5 more"
    assert Cells(table("c", ["n"], [[n] for n in range(20)])).texts[-1] == "19"


@pytest.mark.parametrize("value", [None, 0, "", "x"])
def test_none_is_an_empty_cell(value: object) -> None:
    told = [] if value in (None, "") else [str(value)]
    assert Cells(table("c", ["n"], [[value]])).texts == ["c", "n", *told]

"""What is in an export, wherever it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from ai_hub.cli.failure import NOTHING
from cli.conftest import Run, answer, refused

HOURS = 24 * 12
OF = ("--tenant", "acme", "--set", "forecast_basic", "--horizon", "2h",
      "--start", "2025-10-02T00:00:00Z", "--end", "2025-10-12T23:00:00Z")  # fmt: skip


@pytest.fixture
def loaded(run: Run, workplace: Path) -> None:
    load = np.random.default_rng(1).normal(20, 3, HOURS)
    rows = [
        f"2025-10-{1 + hour // 24:02d}T{hour % 24:02d}:00:00Z,m,{value:.3f}"
        for hour, value in enumerate(load)
        if not 60 < hour < 90
    ]
    (workplace / "some.csv").write_text("timestamp,asset_id,value\n" + "\n".join(rows) + "\n")
    assert run("ingest", "some.csv", "--tenant", "acme").exit_code == 0


def columns(found: dict[str, list[dict[str, object]]]) -> dict[str, dict[str, object]]:
    return {str(one["name"]): one for one in found["columns"]}


@pytest.mark.usefixtures("loaded")
def test_what_is_told_is_what_is_in_the_file(run: Run) -> None:
    assert run("export", *OF, "--indicators", "-o", "train.parquet").exit_code == 0
    found, rows = answer(run("profile", "train.parquet", "--json")), pq.read_table("train.parquet")
    assert (found["rows"], found["assets"]) == (len(rows), 1)
    assert (found["feature_set"], found["tenant_id"]) == ("forecast_basic", "acme")
    assert found["start_time"] == "2025-10-02T00:00:00Z"
    assert found["targets"] == ["target_2h"]
    told = columns(found)
    assert [one for one in rows.column_names if one not in told and not one.endswith("__missing")
            ] == ["timestamp", "tenant_id", "asset_id"]  # fmt: skip
    lag, target = told["lag_24h"], told["target_2h"]
    assert (lag["role"], target["role"]) == ("feature", "target")
    assert lag["missing"] == pytest.approx(pc.mean(rows["lag_24h__missing"]).as_py())
    assert target["missing"] == rows["target_2h"].null_count / len(rows) > 0
    values = rows["lag_24h"].to_numpy()
    assert lag["mean"] == pytest.approx(values.mean())
    assert lag["std"] == pytest.approx(values.std(ddof=1))
    both = pc.is_valid(rows["target_2h"])
    x, y = (rows.filter(both)[name].to_numpy() for name in ("lag_24h", "target_2h"))
    assert lag["correlation"] == {"target_2h": pytest.approx(np.corrcoef(x, y)[0, 1])}
    assert told["hour_of_day"]["missing"] == 0.0


@pytest.mark.usefixtures("loaded")
def test_a_file_a_folder_a_url_and_an_id_say_the_same(run: Run, workplace: Path) -> None:
    record = answer(run("export", *OF, "--parts", "-o", "train", "--json"))
    assert run("export", *OF, "-o", "train.parquet").exit_code == 0
    places = ("train", "train.parquet", f"file://{workplace}/train", record["export_id"],
              f"file://{workplace}/train.parquet")  # fmt: skip
    found = [answer(run("profile", one, "--json")) | {"export": ""} for one in places]
    assert all(one == found[0] for one in found)
    # Values that were filled in cannot be told from others here.
    assert columns(found[0])["lag_24h"]["missing"] is None
    shown = run("profile", "train", "--target", "value").stdout
    assert "Moves most with value: " in shown
    assert "--indicators" in shown
    assert "█" in shown


@pytest.mark.usefixtures("loaded")
def test_one_in_object_storage(run: Run, bucket: str) -> None:
    record = answer(run("export", *OF, "-o", f"s3://{bucket}/exports", "--json"))
    assert run("export", *OF, "-o", "train.parquet").exit_code == 0
    here = answer(run("profile", "train.parquet", "--json")) | {"export": ""}
    for place in (record["storage_path"], record["export_id"]):
        assert answer(run("profile", place, "--json")) | {"export": ""} == here


@pytest.mark.usefixtures("loaded")
def test_a_picture(run: Run, workplace: Path) -> None:
    assert run("export", *OF, "-o", "train.parquet").exit_code == 0
    assert "as a picture" in run("profile", "train.parquet", "-o", "train.png").stdout
    assert (workplace / "train.png").read_bytes().startswith(b"\x89PNG")
    refused(run("profile", "train.parquet", "-o", "train.svg"), ".png")


def test_files_of_other_programs(run: Run, workplace: Path) -> None:
    table = pa.table({
        "x": [1.0, 2.0, None, float("nan")], "y": [True, False, None, True],
        "t": ["a", "b", None, "c"],
        "none": pa.array([None] * 4, pa.float64()),
    })  # fmt: skip
    pq.write_table(table, "own.parquet")
    found = answer(run("profile", "own.parquet", "--target", "y", "--json"))
    told = columns(found)
    assert {name: one["missing"] for name, one in told.items()} == {
        "x": 0.5, "y": 0.25, "t": 0.25, "none": 1.0
    }  # fmt: skip
    assert told["x"]["correlation"] == {"y": pytest.approx(-1.0)}
    assert (told["t"]["mean"], told["t"]["histogram"], told["t"]["correlation"]) == (None, None, {})
    assert run("profile", "own.parquet").exit_code == 0
    refused(run("profile", "own.parquet", "--target", "t"), "target", "a column of numbers: x")
    pq.write_table(table.slice(0, 0), "empty.parquet")
    assert answer(run("profile", "empty.parquet", "--json"), NOTHING)["rows"] == 0


def test_what_is_no_export_is_refused(run: Run, workplace: Path) -> None:
    assert run("migrate").exit_code == 0
    refused(run("profile", "load.csv"), "load.csv", "a Parquet file")
    refused(run("profile", "."), "manifest.json", "a Parquet file")
    refused(run("profile", "gone/train.parquet"), "gone/train.parquet")
    refused(run("profile", "550e8400-e29b-41d4-a716-446655440000"), "550e8400", "recorded export")

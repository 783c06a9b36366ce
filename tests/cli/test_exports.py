"""`export` and `exports` on the database file."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ai_hub.cli.failure import NOTHING
from cli.conftest import Run, answer, refused, start

RANGE = ("--start", "2025-10-09T00:00:00Z", "--end", "2025-10-10T00:00:00Z")
EXPORT = ("export", "--tenant", "acme", "--set", "forecast_basic")


@pytest.fixture(autouse=True)
def data(run: Run, workplace: Path) -> None:
    assert run("ingest", "load.csv", "--tenant", "acme").exit_code == 0


def test_a_training_set_is_written_where_told(run: Run, workplace: Path) -> None:
    output = workplace / "deep" / "train.parquet"
    record = answer(run(*EXPORT, *RANGE, "--output", output, "--json"))
    assert (record["status"], record["row_count"]) == ("completed", 4)
    assert record["storage_path"] == str(output)
    assert pq.read_table(output)["asset_id"].to_pylist() == ["meter-001"] * 3 + ["meter-002"]


def test_the_default_name_is_in_the_export_root(run: Run, workplace: Path) -> None:
    record = answer(run(*EXPORT, *RANGE, "--json"))
    name = f"forecast_basic_{record['export_id']}.parquet"
    assert [path.name for path in (workplace / "exports").iterdir()] == [name]


def test_options_reach_the_export(run: Run) -> None:
    record = answer(
        run(
            *EXPORT, *RANGE, "--asset", "meter-001", "--horizon", "1h", "--horizon", "24h",
            "--indicators", "--frequency", "6h", "--compression", "zstd", "--missing", "keep",
            "--output", "o.parquet", "--json",
        )
    )  # fmt: skip
    file = pq.ParquetFile("o.parquet")
    names = file.schema_arrow.names
    assert record["row_count"] == 3
    assert {"target_1h", "target_24h", "lag_1h__missing"} <= set(names)
    assert file.metadata.row_group(0).column(0).compression == "ZSTD"
    assert file.read()["lag_1h"].null_count == 3


def test_parts_are_a_folder_that_is_verified(run: Run, workplace: Path) -> None:
    record = answer(run(*EXPORT, *RANGE, "--parts", "--output", "train", "--json"))
    assert sorted(path.name for path in (workplace / "train").iterdir()) == [
        "manifest.json", "part-00000.parquet",
    ]  # fmt: skip
    assert "train: 4 rows" in run(*EXPORT, *RANGE, "--parts", "-o", "train").stdout
    assert record["row_count"] == 4
    assert "1 file, 0 of them wrong" in run("exports", "verify").stdout
    (workplace / "train" / "part-00000.parquet").unlink()
    assert "train: missing" in run("exports", "verify").stdout


def test_a_range_without_rows_writes_no_file(run: Run, workplace: Path) -> None:
    result = run(*EXPORT, "--start", "2020-01-01T00:00:00Z", "--end", "2020-01-02T00:00:00Z",
                 "--output", "none.parquet")  # fmt: skip
    assert result.exit_code == NOTHING
    assert "no file" in result.stderr
    assert not (workplace / "none.parquet").exists()


def test_exports_are_listed(run: Run) -> None:
    record = answer(run(*EXPORT, *RANGE, "--json"))
    assert answer(run("exports", "--tenant", "acme", "--json")) == {"exports": [record]}
    assert answer(run("exports", "--tenant", "other", "--json"), NOTHING) == {"exports": []}
    assert Path(record["storage_path"]).name in run("exports").stdout.replace("\n", "")


def test_a_file_of_others_is_replaced_with_force_only(run: Run, workplace: Path) -> None:
    (workplace / "mine.parquet").write_text("mine")
    for name in ("mine.parquet", "features.duckdb", "ai-hub.toml"):
        result = run(*EXPORT, *RANGE, "--output", name)
        refused(result, "output_path", name)
    assert (workplace / "mine.parquet").read_text() == "mine"
    answer(run(*EXPORT, *RANGE, "--output", "mine.parquet", "--force", "--json"))
    assert pq.read_metadata("mine.parquet").num_rows == 4
    refused(run(*EXPORT, *RANGE, "--output", "features.duckdb", "--force"), "features.duckdb")


@pytest.mark.parametrize("way", ["local", "server"])
def test_files_are_verified(
    run: Run, workplace: Path, way: str, request: pytest.FixtureRequest
) -> None:
    if way == "server":
        request.getfixturevalue("server")
    made = [answer(run(*EXPORT, *RANGE, "--json")) for _ in range(5)]
    old, new = (answer(run(*EXPORT, *RANGE, "-o", "again.parquet", "--json")) for _ in range(2))
    other = answer(run(*EXPORT, *RANGE, "--start", "2020-01-01T00:00:00Z", "--json"))
    assert other["status"] == "completed"
    assert "0 of them wrong" in run("exports", "verify").stdout
    paths = [Path(one["storage_path"]) for one in made]
    paths[0].unlink()
    paths[1].write_bytes(paths[1].read_bytes() + b"x")
    paths[2].write_bytes(bytes(len(paths[2].read_bytes())))
    paths[3].unlink()
    paths[3].symlink_to(paths[4])
    result = run("exports", "verify", "--tenant", "acme", "--json")
    assert result.exit_code == 1
    found = {one["export_id"]: one["file"] for one in json.loads(result.stdout)["exports"]}
    states = ("missing", "changed", "changed", "unreadable", "ok")
    expected = {one["export_id"]: state for one, state in zip(made, states, strict=True)}
    if way == "local":
        assert old["export_id"] not in found
        expected[new["export_id"]] = "ok"
    else:  # of which there are two files on the server
        expected |= {one["export_id"]: "ok" for one in (old, new)}
    assert found == expected | {other["export_id"]: "ok"}
    told = run("exports", "verify")
    assert told.exit_code == 1
    assert "4 of them wrong" in told.stdout
    assert made[0]["export_id"] in told.stdout
    assert "0 files" in run("exports", "verify", "--tenant", "other").stdout


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--start", "2025-01-01", "--end", "2025-01-02T00:00:00Z"], ["--start", "2025-01-01"]),
        (["--start", RANGE[3], "--end", RANGE[1]], ["start_time", "not after end_time"]),
        ([*RANGE, "--compression", "gzip"], ["compression", "'gzip'", "zstd"]),
        ([*RANGE, "--horizon", "soon"], ["horizons", "'soon'"]),
        ([*RANGE, "--target", "24h"], ["--target", "'24h'"]),
        ([*RANGE, "--target", "x=24h,most=1"], ["horizons", "'most'"]),
        ([*RANGE, "--target", "lag_1h=24h"], ["horizons", "lag_1h"]),
        ([*RANGE[:2]], ["--end", "--spine"]),
        ([*RANGE[2:]], ["--start", "--spine"]),
        (["--spine", "load.csv", *RANGE], ["--start", "--spine"]),
        (["--spine", "load.csv", "--asset", "a"], ["--asset", "--spine"]),
        (["--spine", "load.csv", "--frequency", "1h"], ["--frequency", "--spine"]),
        (["--spine", "load.txt"], ["spine", "load.txt", ".parquet"]),
        (["--spine", "none.csv"], ["file", "none.csv"]),
        ([*RANGE, "--frequency", "0h"], ["frequency", "'0h'"]),
        ([*RANGE, "--output", "."], ["output_path", "directory"]),
        ([*RANGE, "--set", "nope"], ["feature_set", "'nope'"]),
        ([*RANGE, "--asset", "a\0b"], ["asset_ids"]),
    ],
)
def test_bad_input_is_one_sentence(options: list[str], words: list[str], run: Run) -> None:
    refused(run(*EXPORT, *options), *words)


def test_what_fails_is_said_once(workplace: Path) -> None:
    (workplace / "file").write_text("")
    process = start(*EXPORT, *RANGE, "--output", "file/x.parquet")
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out) == (1, "")
    (line,) = err.splitlines()
    assert line.startswith("ai-hub: ")
    # A server has a log; a command has none.
    assert "export_features_to_parquet" not in err


SPINE = """timestamp,asset_id,kind,price
2025-10-09T14:00:00Z,meter-001,007,1.5
2025-10-09T13:30:00Z,meter-002,x,2
2025-10-09T14:00:00Z,meter-001,007,1.5
"""


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
@pytest.mark.parametrize("way", ["local", "server"])
def test_a_spine_has_its_own_rows(
    run: Run, workplace: Path, suffix: str, way: str, request: pytest.FixtureRequest
) -> None:
    spine = workplace / f"spine.{suffix}"
    (workplace / "spine.csv").write_text(SPINE)
    if suffix == "parquet":
        labels = {"kind": ["007", "x", "007"], "price": [1.5, 2.0, 1.5]}
        times = pa.array(["2025-10-09T14:00:00Z", "2025-10-09T13:30:00Z", "2025-10-09T14:00:00Z"])
        assets = ["meter-001", "meter-002", "meter-001"]
        pq.write_table(pa.table({"timestamp": times, "asset_id": assets, **labels}), spine)
    if way == "server":
        request.getfixturevalue("server")
    record = answer(
        run(
            *EXPORT, "--spine", spine, "--horizon", "1h", "--target", "peak=2h,stat=max,window=2h",
            "--missing", "-1", "--indicators", "--compression", "zstd",
            "--output", "deep/o.parquet", "--json",
        )
    )  # fmt: skip
    assert (record["status"], record["row_count"]) == ("completed", 3)
    assert record["file_size_bytes"] == (workplace / "deep" / "o.parquet").stat().st_size
    assert record["storage_path"] == str(workplace / "deep" / "o.parquet")
    file = pq.ParquetFile("deep/o.parquet")
    assert file.metadata.row_group(0).column(0).compression == "ZSTD"
    assert file.schema_arrow.metadata[b"ai_hub.policy"] == b"-1.0"
    table = file.read()
    assert table["kind"].to_pylist() == ["007", "x", "007"]
    assert table["price"].to_pylist() == [1.5, 2.0, 1.5]
    assert table["value"].to_pylist() == [12.5, None, 12.5]
    assert table["lag_1h"].to_pylist() == [11.5, -1.0, 11.5]
    assert table["target_1h"].to_pylist() == [None, None, None]
    assert table["peak"].to_pylist() == [None, None, None]
    assert table["lag_1h__missing"].to_pylist() == [False, True, False]


def test_what_is_wrong_in_a_spine_is_one_sentence(run: Run, workplace: Path) -> None:
    (workplace / "spine.csv").write_text(SPINE.replace("13:30:00Z", "13:30:00"))
    refused(run(*EXPORT, "--spine", "spine.csv"), "spine row 1 timestamp", "no offset")

"""Training sets over HTTP: the record, the file, and where it may be written."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from acceptance.serving import Server

RECORD = {
    "export_id", "tenant_id", "feature_set", "status", "storage_path", "row_count",
    "file_size_bytes", "file_size_mb", "started_at", "completed_at", "checksum", "replaced_by",
    "violations",
}  # fmt: skip


@pytest.fixture
def filled(server: Server, tenant: str) -> str:
    rows = [
        {"timestamp": f"2025-01-01T{hour:02}:00:00Z", "asset_id": asset, "value": float(hour)}
        for asset in ("a", "b")
        for hour in range(24)
    ]
    server.call("POST", "/ingest", {"tenant_id": tenant, "rows": rows})
    return tenant


def body(tenant: str, **more: object) -> dict[str, object]:
    return {
        "tenant_id": tenant,
        "feature_set": "forecast_basic",
        "start_time": "2025-01-01T00:00:00Z",
        "end_time": "2025-01-02T00:00:00Z",
    } | more


def refuse(server: Server, tenant: str, path: str) -> str:
    sentence = server.refusal("POST", "/export", body(tenant, output_path=path))
    assert sentence.startswith("output_path: got ")
    assert "a relative path inside the export root" in sentence
    return sentence


def test_an_export_answers_with_its_record(server: Server, filled: str) -> None:
    record = server.call("POST", "/export", body(filled))
    assert record.keys() == RECORD
    assert (record["tenant_id"], record["feature_set"]) == (filled, "forecast_basic")
    assert (record["status"], record["row_count"]) == ("completed", 48)
    path = Path(record["storage_path"])
    assert path == server.exports / filled / f"forecast_basic_{record['export_id']}.parquet"
    assert record["checksum"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert record["replaced_by"] is None
    assert record["file_size_bytes"] == path.stat().st_size
    assert record["file_size_mb"] == path.stat().st_size / 1_000_000
    assert record["started_at"] <= record["completed_at"]
    assert server.call("GET", f"/exports/{record['export_id']}") == record


def test_the_columns_are_those_asked_for(server: Server, filled: str) -> None:
    more: dict[str, Any] = {
        "asset_ids": ["b"],
        "horizons": ["1h", "24h"],
        "indicators": True,
        "missing": "keep",
        "compression": "zstd",
        "output_path": "some/where/train.parquet",
    }
    record = server.call("POST", "/export", body(filled, **more))
    assert record["storage_path"] == str(server.exports / filled / "some/where/train.parquet")
    file = pq.ParquetFile(record["storage_path"])
    assert file.schema_arrow.names == [
        "timestamp", "tenant_id", "asset_id", "value", "hour_of_day", "day_of_week", "is_weekend",
        "lag_1h", "lag_24h", "rolling_avg_24h", "target_1h", "target_24h", "lag_1h__missing",
        "lag_24h__missing", "rolling_avg_24h__missing",
    ]  # fmt: skip
    assert file.metadata.row_group(0).column(0).compression == "ZSTD"
    rows = file.read().to_pylist()
    assert {row["asset_id"] for row in rows} == {"b"}
    assert (rows[0]["lag_1h"], rows[0]["lag_1h__missing"]) == (None, True)
    assert (rows[5]["lag_1h"], rows[5]["target_1h"], rows[5]["target_24h"]) == (4.0, 6.0, None)


def test_parts_are_a_folder(server: Server, filled: str) -> None:
    record = server.call("POST", "/export", body(filled, parts=True, output_path="some/train"))
    path = server.exports / filled / "some" / "train"
    assert record["storage_path"] == str(path)
    assert record["checksum"] == hashlib.sha256((path / "manifest.json").read_bytes()).hexdigest()
    assert pq.read_metadata(path / "part-00000.parquet").num_rows == record["row_count"] == 48
    unnamed = server.call("POST", "/export", body(filled, parts=True))
    assert Path(unnamed["storage_path"]).name == f"forecast_basic_{unnamed['export_id']}"


def test_a_row_for_every_step_of_a_frequency(server: Server, filled: str) -> None:
    record = server.call("POST", "/export", body(filled, frequency="30m"))
    assert record["row_count"] == 2 * 49


def test_without_rows_there_is_no_file(server: Server, tenant: str) -> None:
    record = server.call("POST", "/export", body(tenant, output_path="none.parquet"))
    assert record.keys() == RECORD
    assert (record["status"], record["row_count"]) == ("no_data", 0)
    assert record["storage_path"] is None
    assert record["file_size_bytes"] == record["file_size_mb"] == 0
    assert not list(server.exports.glob(f"{tenant}/*"))


def test_exports_are_listed_newest_first(server: Server, filled: str) -> None:
    made = [server.call("POST", "/export", body(filled)) for _ in range(3)]
    listed = server.call("GET", f"/exports?tenant_id={filled}")
    assert listed == {"exports": made[::-1]}
    assert server.call("GET", f"/exports?tenant_id={filled}&limit=1")["exports"] == made[2:]
    assert server.call("GET", "/exports?limit=1")["exports"] == made[2:]


@pytest.mark.parametrize("prefix", ["", "./exports/", "./"])
def test_a_path_is_below_the_export_root(server: Server, filled: str, prefix: str) -> None:
    record = server.call("POST", "/export", body(filled, output_path=f"{prefix}{filled}.parquet"))
    assert Path(record["storage_path"]) == server.exports / filled / f"{filled}.parquet"
    assert Path(record["storage_path"]).is_file()
    assert not list(server.exports.glob("**/.*"))


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("../x.parquet", "leads upwards"),
        ("a/../../x.parquet", "leads upwards"),
        ("./exports/../x.parquet", "leads upwards"),
        ("..", "leads upwards"),
        ("/tmp/x.parquet", "is absolute"),
        ("./exports//tmp/x.parquet", "is absolute"),
        ("", "names no file"),
        (".", "names no file"),
        ("./exports/", "names no file"),
        ("folder/", "names no file"),
        ("a\\..\\x", "backslash"),
        ("a\0b", "not printable"),
        ("a\nb", "not printable"),
        (".hidden", "hidden file"),
        ("x" * 181, "longer than 180 bytes"),
        ("é" * 91, "longer than 180 bytes"),
        ("a/" * 2_000 + "x", "longer than 1000 bytes"),
    ],
)
def test_a_path_that_leads_elsewhere_is_refused(
    server: Server, tenant: str, path: str, why: str
) -> None:
    assert why in refuse(server, tenant, path)


def test_links_and_folders_are_no_targets(server: Server, filled: str, tmp_path: Path) -> None:
    own = server.exports / filled
    (own / "inside").mkdir(parents=True)
    (own / "file").write_text("")
    (own / "outside").symlink_to(tmp_path, target_is_directory=True)
    (own / "around").symlink_to(own / "inside", target_is_directory=True)
    (own / "nowhere").symlink_to(own / "not-there")
    (own / "loop").symlink_to(own / "loop")
    (own / "link.parquet").symlink_to(tmp_path / "victim.parquet")
    os.mkfifo(own / "pipe")
    for path in (
        "outside/x.parquet",
        "outside/deeper/x.parquet",
        "around/x.parquet",
        "nowhere/x.parquet",
        "loop/x.parquet",
        "link.parquet",
        "inside",
        "outside",
        "file",
        "file/x.parquet",
        "pipe",
        "pipe/x.parquet",
    ):
        sentence = server.refusal("POST", "/export", body(filled, output_path=path))
        assert sentence.startswith("output_path: got "), path
    assert not list(tmp_path.iterdir())
    assert not list((own / "inside").iterdir())


@pytest.mark.parametrize("odd", ["..", ".", "a/../../b", "/etc", "~", "%2e", "é😀", "x" * 256])
def test_each_tenant_has_its_own_folder(server: Server, filled: str, odd: str) -> None:
    other = f"{odd}{filled}"[-256:] if len(odd) > 9 else odd
    rows = [{"timestamp": "2025-01-01T00:00:00Z", "asset_id": "a", "value": 1}]
    server.call("POST", "/ingest", {"tenant_id": other, "rows": rows})
    mine, theirs = (
        server.call("POST", "/export", body(one, output_path="same.parquet"))
        for one in (filled, other)
    )
    ours, foreign = Path(mine["storage_path"]), Path(theirs["storage_path"])
    assert ours == server.exports / filled / "same.parquet"
    assert foreign.parent.parent == server.exports
    assert foreign.parent != ours.parent
    assert (pq.read_metadata(ours).num_rows, pq.read_metadata(foreign).num_rows) == (48, 1)


def test_a_second_export_to_a_path_is_a_new_version(server: Server, filled: str) -> None:
    first, second = (
        server.call("POST", "/export", body(filled, output_path="v.parquet", missing=missing))
        for missing in ("keep", "zero")
    )
    assert first["storage_path"] == second["storage_path"]
    older = server.call("GET", f"/exports/{first['export_id']}")
    assert older == first | {"replaced_by": second["export_id"]}
    assert server.call("GET", f"/exports/{second['export_id']}") == second


def test_a_deep_path_and_odd_names_are_taken(server: Server, filled: str) -> None:
    for name in ("d/" * 100 + "x", "é 😀.parquet", "x" * 180, "~", "a'b\"c;d", "%2e%2e"):
        path = f"odd-{filled}/{name}"
        record = server.call("POST", "/export", body(filled, output_path=path))
        assert Path(record["storage_path"]).is_file()

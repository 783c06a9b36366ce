"""Exports over HTTP to object storage: only below URLs that the settings allow, by tenant."""

from __future__ import annotations

from pathlib import Path

import pytest

from acceptance.serving import serving
from ai_hub.errors import InvalidInput
from ai_hub.http.paths import export_place
from object_server import SECRET, ObjectServer
from watching import COMMAND

ALLOWED = ("s3://bucket/exports", "s3://bucket/exports/more", "gs://other")


@pytest.mark.parametrize(
    ("url", "lands"),
    [
        ("s3://bucket/exports", "s3://bucket/exports/a%2Fb"),
        ("s3://bucket/exports/", "s3://bucket/exports/a%2Fb"),
        ("S3://bucket/exports/x/y z", "s3://bucket/exports/a%2Fb/x/y z"),
        ("s3://bucket/exports/more/x", "s3://bucket/exports/more/a%2Fb/x"),
        ("gs://other", "gs://other/a%2Fb"),
    ],
)
def test_a_url_below_one_that_is_allowed_has_the_tenants_folder(url: str, lands: str) -> None:
    assert str(export_place(url, "a/b", ALLOWED)) == lands


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("s3://bucket", "a URL below one that the server allows: s3://bucket/exports, "),
        ("s3://bucket/exports2", "a URL below one that the server allows"),
        ("s3://bucket/exports/../other", "without empty segments, . and .."),
        ("s3://bucket/exports/%2e%2e/other", "a URL without %"),
        ("s3://bucket/exports//x", "without empty segments"),
        ("s3://bucket2/exports", "a URL below one that the server allows"),
        ("az://bucket/exports", "a URL below one that the server allows"),
        ("file:///tmp/x", "a URL below one that the server allows"),
        ("http://bucket/exports", "expected s3://bucket/prefix"),
        ("s3://key:secret@bucket/exports", "a URL without credentials"),
    ],
)
def test_any_other_is_refused(url: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=r"^output_path: got ") as caught:
        export_place(url, "t", ALLOWED)
    assert said in str(caught.value)
    assert "secret" not in str(caught.value)


def test_without_the_setting_none_is_allowed() -> None:
    with pytest.raises(InvalidInput, match="No URL is allowed here; AI_HUB_EXPORT_URLS says"):
        export_place("s3://bucket/exports", "t", ())


def test_an_export_lands_there(bucket: str, s3_server: ObjectServer, tmp_path: Path) -> None:
    url = f"s3://{bucket}/exports"
    with serving(COMMAND, tmp_path, database_url="duckdb:///:memory:", export_urls=url) as server:
        rows = [
            {"timestamp": f"2025-01-01T{hour:02}:00:00Z", "asset_id": "a", "value": float(hour)}
            for hour in range(24)
        ]
        server.call("POST", "/ingest", {"tenant_id": "t/1", "rows": rows})
        asked = {
            "tenant_id": "t/1", "feature_set": "forecast_basic", "parts": True,
            "start_time": "2025-01-01T00:00:00Z", "end_time": "2025-01-02T00:00:00Z",
        }  # fmt: skip
        record = server.call("POST", "/export", asked | {"output_path": f"{url}/june"})
        assert record["storage_path"] == f"{url}/t%2F1/june/{record['export_id']}"
        assert record["status"] == "completed"
        sentence = server.refusal("POST", "/export", asked | {"output_path": f"s3://{bucket}/x"})
        assert "a URL below one that the server allows" in sentence
    folder = f"exports/t%2F1/june/{record['export_id']}"
    assert s3_server.keys(bucket) == [f"{folder}/manifest.json", f"{folder}/part-00000.parquet"]
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or SECRET.encode() not in path.read_bytes()

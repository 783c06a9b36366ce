"""Commands while a real server holds the database file, and without one."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ai_hub.cli.failure import NOTHING
from cli.conftest import Run, answer, free_port, refused, start, stop, wait_for
from watching import eventually

AT = ("--at", "2025-10-09T14:30:00Z")
RANGE = ("--start", "2025-10-09T00:00:00Z", "--end", "2025-10-10T00:00:00Z")


def test_commands_go_through_the_server_that_holds_the_file(
    server: str, run: Run, workplace: Path
) -> None:
    counts = answer(run("ingest", "load.csv", "--tenant", "acme", "--json"))
    assert counts.pop("accepted") == 4
    assert not any(counts.values())
    get = ("get", "--tenant", "acme", "--asset", "meter-001", "--set", "forecast_basic", *AT)
    first, second = (answer(run(*get, "--json")) for _ in range(2))
    assert first["features"]["lag_1h"] == 11.5
    assert (first["cache_hit"], second["cache_hit"]) == (False, True)
    batch = answer(run(*get, "--asset", "meter-002", "--json"))
    assert batch["results"]["meter-002"]["features"]["rolling_avg_24h"] == 7.0
    mapped = answer(
        run("weather-source", "--tenant", "acme", "--source", "s", "--asset", "m", "--json")
    )
    assert mapped["changed"] == 1
    assert answer(run("sets", "--url", server, "--json")) == answer(run("sets", "--json"))


def test_both_ways_give_the_same_documents(
    server: str, run: Run, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "timestamp,asset_id,value,owner\n,a,1,acme\n2025-10-09T14:00:00Z,m,2,other\n"
    (workplace / "mixed.csv").write_text(text + "2025-10-09T14:00:00Z,m,1,acme\n,a,1,\n")
    ingest = ("ingest", "mixed.csv", "--tenant-column", "owner", "--json")
    get = ("get", "--tenant", "other", "--asset", "m", "--set", "forecast_basic", *AT, "--json")
    through_server = answer(run(*ingest))
    vector = answer(run(*get))
    monkeypatch.setenv("AI_HUB_DATABASE_URL", "duckdb:///other.duckdb")
    assert answer(run(*ingest)) == through_server
    assert through_server["accepted"] == 2
    assert [reason["row"] for reason in through_server["reasons"]] == [0, 3]
    own = answer(run(*get))
    assert own.keys() == vector.keys()
    assert own["features"] == vector["features"]


def test_a_large_file_is_sent_in_parts(
    run: Run, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = 120_000
    times = pa.array(range(size), pa.timestamp("us", "UTC"))
    assets = pa.array(["a"] * size).dictionary_encode()
    values = [1.0] * (size - 1) + [None]
    table = pa.table({"timestamp": times, "asset_id": assets, "value": values})
    pq.write_table(table, workplace / "large.parquet")
    # A body of this server holds less than a batch: the rest is sent after it.
    url = f"http://127.0.0.1:{os.environ['AI_HUB_PORT']}"
    monkeypatch.setenv("AI_HUB_MAX_BODY", "1MiB")
    process = start("serve")
    try:
        wait_for(url, process)
        landing = ("ingest", "large.parquet", "--tenant", "acme", "--json")
        counts = answer(run(*landing))
        assert (counts["accepted"], counts["rejected"]) == (size - 1, 1)
        assert counts["reasons"][0]["row"] == size - 1
        # A client that does not know the limit is told of it.
        monkeypatch.delenv("AI_HUB_MAX_BODY")
        assert answer(run(*landing)) == counts | {"unchanged": size - 1}
    finally:
        stop(process)


def test_warm_and_invalidate_reach_the_cache(server: str, run: Run) -> None:
    run("ingest", "load.csv", "--tenant", "acme")
    some = ("--tenant", "acme", "--asset", "meter-001", "--asset", "meter-002", "--json")
    warmed = answer(run("warm", *some, "--set", "forecast_basic"))
    assert warmed == {"assets": 2, "warmed": 2, "computed": 2}
    dropped = answer(run("invalidate", *some))
    assert dropped["assets"] == 2
    assert dropped["invalidated"] >= 2


@pytest.mark.parametrize(
    "output",
    [
        "deep/train.parquet",
        *(pytest.param(one, marks=pytest.mark.long)
          for one in ("train.parquet", "{here}/abs.parquet")),
    ],
)  # fmt: skip
def test_an_export_through_our_server_is_put_where_told(
    output: str, server: str, run: Run, workplace: Path
) -> None:
    run("ingest", "load.csv", "--tenant", "acme")
    path = Path(output.format(here=workplace))
    export = ("export", "--tenant", "acme", "--set", "forecast_basic", *RANGE)
    record = answer(run(*export, "--output", path, "--json"))
    assert record["storage_path"] == str(workplace / path)
    assert pq.read_metadata(path).num_rows == 4
    (listed,) = answer(run("exports", "--tenant", "acme", "--json"))["exports"]
    # What is recorded is the server's own, which nobody moves away.
    assert Path(listed["storage_path"]).parent == workplace / "exports" / "acme"
    assert Path(listed["storage_path"]).read_bytes() == path.read_bytes()


def test_a_folder_through_our_server_is_put_where_told(
    server: str, run: Run, workplace: Path
) -> None:
    run("ingest", "load.csv", "--tenant", "acme")
    export = ("export", "--tenant", "acme", "--set", "forecast_basic", *RANGE, "--parts")
    for _ in range(2):
        record = answer(run(*export, "--output", "deep/train", "--json"))
        assert record["storage_path"] == str(workplace / "deep" / "train")
    assert pq.read_metadata("deep/train/part-00000.parquet").num_rows == 4
    made = json.loads(Path("deep/train/manifest.json").read_text())
    assert made["export_id"] == record["export_id"]
    refused(run(*export, "--output", "load.csv"), "output_path", "load.csv")
    spine = ("export", "--tenant", "acme", "--set", "forecast_basic", "--spine", "load.csv")
    refused(run(*spine, "--parts", "--output", "x"), "--parts", "without --spine")


def test_a_server_that_was_named_keeps_the_export(server: str, run: Run, workplace: Path) -> None:
    run("ingest", "load.csv", "--tenant", "acme", "--url", server)
    export = ("export", "--tenant", "acme", "--set", "forecast_basic", *RANGE, "--url", server)
    result = run(*export, "--output", "train.parquet")
    assert result.exit_code == 0
    assert f"on {server}" in result.stdout
    assert (workplace / "exports" / "acme" / "train.parquet").exists()
    refused(run(*export, "--output", "../out.parquet"), "output_path", "../out.parquet")
    refused(run(*export, "--output", "train.parquet", "--force"), "--force", "without --url")


def test_every_command_about_definitions_takes_a_url(
    server: str, run: Run, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (workplace / "f.yaml").write_text(
        "feature_sets:\n"
        "  - {name: own, version: 1, features: [lag_1h]}\n"
        "  - {name: own, version: 2, features: [lag_1h, lag_24h]}\n"
    )
    # With settings of another database, so that nothing but the address leads there.
    monkeypatch.setenv("AI_HUB_DATABASE_URL", "duckdb:///elsewhere.duckdb")
    monkeypatch.setenv("AI_HUB_PORT", str(free_port()))

    def asked(line: str, code: int = 0) -> Any:
        return answer(run(*line.split(), "--url", server, "--json"), code)

    assert asked("plan f.yaml")["allowed"]
    assert len(asked("apply f.yaml")["changes"]) == 2
    assert "own" in {one["name"] for one in asked("sets")["feature_sets"]}
    assert asked("sets show own@2")["features"] == ["lag_1h", "lag_24h"]
    assert len(asked("sets diff own@1 own@2")["differences"]) == 1
    assert asked("models bind load-model@3 own@1")["policy"] == "mean"
    assert [one["model"] for one in asked("models")["models"]] == ["load-model@3"]
    assert asked("models unbind load-model@3")["feature_set"] == "own@1"
    assert asked("rollout own --to 2 --percent 10")["rollout"]["percent"] == 10
    assert len(asked("rollout")["rollouts"]) == len(asked("rollout own")["rollouts"]) == 1
    assert asked("rollout split own --tenant acme", NOTHING)["versions"] == {}
    assert asked("rollout own --abort")["version"] == 1
    asked("rollout own --to 2 --percent 10")
    assert asked("rollout own --finish")["version"] == 2
    assert asked("sets default own@1")["version"] == 1
    assert asked("sets retire own@2")["state"] == "retired"
    assert not (workplace / "elsewhere.duckdb").exists()


def test_what_the_server_refuses_is_bad_input(server: str, run: Run) -> None:
    for command, words in (
        (["get", "--asset", "m", "--set", "nope"], ["feature_set", "'nope'"]),
        (["get", "--asset", "m", "--feature", "nope"], ["feature_names", "'nope'"]),
        (["get", "--asset", "x" * 300], ["asset_id"]),
        (["get", "--asset", "bad\udc80id"], ["asset"]),
        (["warm", "--asset", "m", "--set", "nope"], ["feature_set", "'nope'"]),
        (["export", "--set", "nope", *RANGE], ["feature_set", "'nope'"]),
    ):
        refused(run(*command, "--tenant", "acme"), *words)


def test_another_database_is_not_mistaken_for_ours(
    server: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AI_HUB_DATABASE_URL", "duckdb:///other.duckdb")
    assert run("migrate").exit_code == 0
    result = run("warm", "--tenant", "acme", "--asset", "m")
    refused(result, "features.duckdb", "other.duckdb", "--url", code=1)


def test_a_held_file_without_a_server_is_one_sentence(
    server: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AI_HUB_PORT", str(free_port()))
    for command in (["get", "--asset", "m"], ["ingest", "load.csv"], ["exports"]):
        refused(run(*command, "--tenant", "acme"), "features.duckdb", "--url", code=1)
    refused(run("serve"), "features.duckdb")


def test_no_server_is_one_sentence(run: Run) -> None:
    here = f"http://127.0.0.1:{os.environ['AI_HUB_PORT']}"
    warm = ("warm", "--tenant", "acme", "--asset", "m")
    assert run("migrate").exit_code == 0
    refused(run(*warm), here, "ai-hub serve", code=1)
    refused(run(*warm, "--url", here), here, code=1)
    refused(run("get", "--tenant", "acme", "--asset", "m", "--url", here), here, code=1)


def test_a_database_in_memory_is_that_of_its_server(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AI_HUB_DATABASE_URL", "duckdb:///:memory:")
    url = f"http://127.0.0.1:{os.environ['AI_HUB_PORT']}"
    refused(run("ingest", "load.csv", "--tenant", "acme"), url, code=1)
    process = start("serve")
    try:
        wait_for(url, process)
        assert run("ingest", "load.csv", "--tenant", "acme").exit_code == 0
        get = ("get", "--tenant", "acme", "--asset", "meter-001", "--feature", "lag_1h", *AT)
        assert answer(run(*get, "--json"))["features"] == {"lag_1h": 11.5}
    finally:
        stop(process)


def test_a_taken_port_is_one_sentence(
    server: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AI_HUB_DATABASE_URL", "duckdb:///other.duckdb")
    refused(run("serve"), "port", os.environ["AI_HUB_PORT"])


def test_serve_says_where_and_ends_cleanly(workplace: Path) -> None:
    port = free_port()
    process = start("serve", "--port", port, "--json")
    wait_for(f"http://127.0.0.1:{port}", process)
    out, err = stop(process)
    assert json.loads(out) == {
        "url": f"http://127.0.0.1:{port}",
        "database": str(workplace / "features.duckdb"),
    }
    assert "Traceback" not in err
    assert process.returncode == 130


def test_ctrl_c_ends_an_ingest_cleanly(run: Run, workplace: Path) -> None:
    lines = ["timestamp,asset_id,value"]
    lines += [f"2025-10-09T12:00:00Z,meter-{number},1.5" for number in range(1_500_000)]
    (workplace / "long.csv").write_text("\n".join(lines))
    process = start("ingest", "long.csv", "--tenant", "acme")
    eventually((workplace / "features.duckdb").exists)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    assert out == ""
    assert err.splitlines()[-1] == "ai-hub: Stopped."
    assert "Traceback" not in err


def test_status_is_the_same_through_the_server(
    run: Run, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("ingest", "load.csv", "--tenant", "acme").exit_code == 0
    words = ("keys", "create", "boss", "--all-tenants", "--scope", "read")
    key = run(*words).stdout.strip()
    shown, found = run("status").stdout, answer(run("status", "--json"))
    monkeypatch.setenv("AI_HUB_AUTH", "keys")
    url = f"http://127.0.0.1:{os.environ['AI_HUB_PORT']}"
    process = start("serve")
    try:
        wait_for(url, process)
        refused(run("status"), "AI_HUB_API_KEY")
        monkeypatch.setenv("AI_HUB_API_KEY", key)
        for way in ((), ("--url", url)):
            through = answer(run("status", "--json", *way))
            assert {**through, "bytes": 0} == {**found, "bytes": 0}
            assert through["bytes"] > 0
            lines = run("status", *way).stdout.splitlines()
            assert lines[0] == shown.splitlines()[0]
            assert lines[3:] == shown.splitlines()[3:]
    finally:
        stop(process)

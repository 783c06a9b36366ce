"""The client against a real server: the methods, answers and errors of the store."""

from __future__ import annotations

import inspect
import itertools
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import ai_hub.sync
from acceptance.serving import Server, environment, free_port, listens
from ai_hub import AsyncClient, Client, FeatureSet, FeatureStore, Lag, Target
from ai_hub.config import Settings
from ai_hub.errors import InvalidInput, NotFound
from ai_hub.intake import bulk

from .conftest import COMMAND

T = datetime(2025, 10, 9, 14, 30, tzinfo=UTC)
START = T - timedelta(days=3)
TIMES = pd.date_range(START, T, freq="30min")
FRAME = pd.DataFrame({"timestamp": TIMES, "asset_id": "a", "value": range(len(TIMES))})
SET = "forecast_basic"
_tenants = itertools.count()

# What is of the process that has the store.
BESIDE = {
    *("open", "prepare", "found", "land", "in_chunks", "measured", "register"),
    "drifting",
    "take_exports",
}
# Arguments of the store that have no meaning at a server, or no word in its requests.
NOT_SAID = {
    *("by", "exact", "progress", "abreast", "force", "in_tenant_folder", "spine", "limit", "since"),
    *("detached", "tell"),
}


@pytest.fixture
def tenant() -> str:
    return f"tenant-{next(_tenants)}"


@pytest.fixture
def client(server: Server) -> Iterator[Any]:
    with Client(f"http://127.0.0.1:{server.port}") as one:
        yield one


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Any]:
    settings = Settings(database_url="duckdb:///:memory:", export_root=tmp_path)
    with ai_hub.sync.FeatureStore(settings) as one:
        yield one


def public(kind: type) -> dict[str, Any]:
    return {
        name: member
        for name, member in inspect.getmembers(kind)
        if not name.startswith("_") and (callable(member) or isinstance(member, property))
    }


def test_it_has_every_method_of_the_store_with_its_arguments() -> None:
    ours, theirs = public(AsyncClient), public(FeatureStore)
    assert theirs.keys() - ours.keys() == BESIDE
    assert not ours.keys() - theirs.keys()
    for name in ours.keys() - {"close"}:
        of_ours = inspect.signature(ours[name]).parameters
        of_theirs = inspect.signature(theirs[name]).parameters
        assert of_ours.keys() <= of_theirs.keys(), name
        assert of_theirs.keys() - of_ours.keys() <= NOT_SAID, name
        for one in of_ours.keys() - {"self"}:
            assert of_ours[one].default == of_theirs[one].default, (name, one)
            assert of_ours[one].kind == of_theirs[one].kind, (name, one)


CALLS: dict[str, Callable[[Any, str], Any]] = {
    "get": lambda s, t: s.get(tenant_id=t, asset_id="a", feature_set=SET, timestamp=T),
    "get of names": lambda s, t: s.get(
        tenant_id=t, asset_id="a", feature_names=["lag_1h"], timestamp=T, missing="keep"
    ),
    "get at a text": lambda s, t: s.get(
        tenant_id=t, asset_id="a", feature_set=SET, timestamp="2025-10-09T16:30:00+02:00"
    ),
    "get_batch": lambda s, t: s.get_batch(
        tenant_id=t, asset_ids=["a", "b"], feature_set=SET, timestamp=T
    ),
    "get_features": lambda s, t: s.get_features(t, "a", T),
    "compute_feature_set": lambda s, t: s.compute_feature_set(t, "a", SET, T),
    "get_batch_features": lambda s, t: s.get_batch_features(t, ["a", "b"], SET, T),
    "explain": lambda s, t: s.explain(tenant_id=t, asset_id="a", feature_set=SET, timestamp=T),
    "assets": lambda s, t: s.assets(t, START),
    "assets by a text": lambda s, t: s.assets(t, search="a"),
    "asset": lambda s, t: s.asset(t, "a"),
    "no such asset": lambda s, t: s.asset(t, "none"),
    "chart": lambda s, t: s.chart(
        t, "a", START, T, feature_set=SET, feature="lag_24h", weather="temperature", points=50
    ),
    "a chart of no such feature": lambda s, t: s.chart(
        t, "a", START, T, feature_set=SET, feature="none"
    ),
    "a chart of no time": lambda s, t: s.chart(t, "a", T, START, feature_set=SET),
    "tenants": lambda s, t: t in s.tenants(limit=10_000),
    "freshness": lambda s, t: s.freshness(t, 1),
    "no freshness of none": lambda s, t: s.freshness(t, 0),
    "seen_assets": lambda s, t: s.seen_assets(t),
    "described": lambda s, t: s.described(SET),
    "listed": lambda s, t: s.listed(),
    "models": lambda s, t: s.models(),
    "rollouts": lambda s, t: s.rollouts(),
    "keys": lambda s, t: s.keys(),
    "plan": lambda s, t: s.plan([FeatureSet("own", 1, (Lag("lag", "1h"),))]).document(),
    "training set": lambda s, t: s.get_training_set(
        [{"asset_id": "a", "timestamp": T - timedelta(days=1), "label": "x"}], SET, tenant_id=t,
        horizons=["1h", Target("peak", "24h", stat="max", window="6h")], indicators=True,
    ).to_pandas().to_dict(),
    "history": lambda s, t: s.history(
        t, ["a"], START, T, feature_set=SET, features=["lag_1h"], weather=True, indicators=True,
        missing="keep", frequency="1h",
    ).to_arrow().to_pydict(),
    "history of series": lambda s, t: s.history(
        t, ["a"], START, T, series=["value"], weather=["temperature"], limit=1_000,
    ).metadata,
    "history of no such feature": lambda s, t: s.history(t, ["a"], START, T, features=["none"]),
    "delete": lambda s, t: s.delete(t, ["a"], dry_run=True),
    "an empty tenant": lambda s, t: s.get(tenant_id="", asset_id="a"),
    "no such set": lambda s, t: s.get(tenant_id=t, asset_id="a", feature_set="none"),
    "no such feature": lambda s, t: s.get(tenant_id=t, asset_id="a", feature_names=["none"]),
    "no list": lambda s, t: s.get_batch(tenant_id=t, asset_ids="abc", feature_set=SET),
    "a naive time": lambda s, t: s.get(
        tenant_id=t, asset_id="a", feature_set=SET, timestamp=datetime(2025, 1, 1)
    ),
    "no such model": lambda s, t: s.described_model("m@1"),
    "no such rollout": lambda s, t: s.rollout_split(SET, t, ["a"]),
    "no such export": lambda s, t: s.export_record("none"),
    "no column": lambda s, t: s.ingest([{"timestamp": T, "value": 1.0}], t),
    "rejected": lambda s, t: s.ingest([{"timestamp": T, "asset_id": "a", "value": None}], t),
    "dry run": lambda s, t: s.ingest(FRAME, t, dry_run=True),
}  # fmt: skip


def outcome(call: Callable[[Any, str], Any], one: Any, tenant: str) -> Any:
    """What a call gives: an answer without when it was computed, or an error."""
    try:
        found = call(one, tenant)
    except Exception as error:  # noqa: BLE001  # whatever it is
        return type(error), str(error), getattr(error, "field", None)
    return _plain(found)


def _plain(found: Any) -> Any:
    if hasattr(found, "computed_at"):
        return {
            name: getattr(found, name)
            for name in found.__slots__
            if name not in ("computed_at", "cache_hit")
        }
    if isinstance(found, dict):
        return {key: _plain(one) for key, one in found.items() if key != "computed_at"}
    return found


@pytest.mark.parametrize("name", CALLS)
def test_it_answers_as_the_store_does(name: str, client: Any, store: Any, tenant: str) -> None:
    for one in (client, store):
        assert one.ingest(FRAME, tenant).accepted == len(FRAME)
    assert outcome(CALLS[name], client, tenant) == outcome(CALLS[name], store, tenant)


def test_frames_are_ingested_as_the_store_takes_them(client: Any, tenant: str) -> None:
    wide = pd.DataFrame({"m1": 1.0, "m2": 2.0}, index=TIMES)
    result = client.ingest(wide, tenant)
    assert (result.accepted, *result.warnings) == (
        2 * len(TIMES),
        "The columns of the frame were taken as assets: m1, m2.",
    )
    assert client.ingest(wide, tenant).unchanged == 2 * len(TIMES)


def test_a_file_in_bulk_goes_on_where_it_was_stopped(
    client: Any, tenant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "GATHERED_ROWS", 50)
    monkeypatch.setattr(bulk, "PART_ROWS", 50)
    FRAME.to_csv(tmp_path / "years.csv", index=False)

    def stop(rows: int) -> None:
        if rows >= 100:
            raise KeyError(rows)

    assert client.ingest_bulk(tmp_path / "years.csv", tenant, dry_run=True).rows == len(FRAME)
    with pytest.raises(KeyError):
        client.ingest_bulk(tmp_path / "years.csv", tenant, progress=stop)
    assert (tmp_path / "years.csv.bookmark").exists()
    told: list[int] = []
    found = client.ingest_bulk(tmp_path / "years.csv", tenant, progress=told.append)
    assert (found.accepted, found.rejected) == (len(FRAME), 0)
    assert told[0] == 145
    assert not (tmp_path / "years.csv.bookmark").exists()
    assert len(client.history(tenant, ["a"], START, T)) == len(FRAME)


def test_history_is_sealed_at_the_server(client: Any, tenant: str) -> None:
    client.ingest(FRAME, tenant)
    done = client.archive(T, f"sealed-{tenant}", tenant)
    assert [step["tenant_id"] for step in done["steps"] if step["action"] == "sealed"]
    layers = client.archives(tenant)["layers"]
    assert sum(layer["rows"] for layer in layers) > 0
    assert {layer["tenant_id"] for layer in layers} == {tenant}
    with pytest.raises(InvalidInput, match=r"^to: got '/tmp/elsewhere'"):
        client.archive(T, "/tmp/elsewhere", tenant)


def test_an_export_has_its_record(client: Any, tenant: str) -> None:
    client.ingest(FRAME, tenant)
    record = client.export_features_to_parquet(tenant, SET, START, T, horizons=["1h"])
    assert (record["status"], record["row_count"]) == ("completed", len(FRAME))
    assert client.export_record(record["export_id"]) == record
    assert client.exports(tenant) == [record]
    laid = client.export_features_to_parquet(
        tenant, SET, START, T, "laid", parts=True, partition_by="asset_bucket", buckets=1
    )
    assert laid["row_count"] == len(FRAME)
    assert Path(laid["storage_path"], "asset_bucket=00", "part-00000.parquet").is_file()


def test_sets_models_and_rollouts_change_as_in_the_store(client: Any) -> None:
    first, second = (FeatureSet("of_client", n, (Lag(f"lag_{n}", f"{n}h"),)) for n in (1, 2))
    assert client.plan([first]).is_allowed
    assert [one["action"] for one in client.apply([first, second], "anna").changes] == [
        "create",
        "create",
    ]
    assert client.bind_model("m@1", "of_client@1")["policy"] == "mean"
    assert client.described_model("m@1")["feature_set"] == "of_client@1"
    with pytest.raises(InvalidInput, match=r"not the default one"):
        client.retire("of_client@1")
    client.unbind_model("m@1")
    assert client.roll_out("of_client", 2, 50)["percent"] == 50
    assert {*client.rollout_split("of_client", "t", map(str, range(50))).values()} == {1, 2}
    client.finish_rollout("of_client")
    client.retire("of_client@1")
    with pytest.raises(NotFound, match="not retired"):
        client.get(tenant_id="t", asset_id="a", feature_set="of_client@1")


def test_health_is_told(client: Any) -> None:
    assert client.ready()["database"]["state"] == "ok"
    assert client.cache_stats().kind == "memory"
    assert {one.name for one in client.doctor()}
    assert client.status()["database"]


def test_importing_it_is_light() -> None:
    program = "import ai_hub; ai_hub.Client, ai_hub.AsyncClient; import sys; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    loaded = {name.split(".")[0] for name in run.stdout.split()}
    assert "ai_hub" in loaded
    heavy = {"numpy", "pyarrow", "pandas", "polars", "duckdb", "litestar", "rich", "asyncio"}
    heavy |= {"msgspec", "httpx"}
    assert heavy.isdisjoint(loaded), heavy & loaded


@pytest.mark.long
def test_a_server_that_is_killed_again_and_again_loses_and_doubles_nothing(tmp_path: Path) -> None:
    port = free_port()
    settings = {"database_url": "duckdb:///features.duckdb", "port": port}

    def begin() -> subprocess.Popen[bytes]:
        log = (tmp_path / "log.txt").open("ab")
        with log:
            process = subprocess.Popen(
                COMMAND, cwd=tmp_path, env=environment(settings), stdout=log, stderr=log
            )
        while not listens(port):
            assert process.poll() is None, (tmp_path / "log.txt").read_text()
            time.sleep(0.02)
        return process

    process, done, answered = begin(), threading.Event(), threading.Event()
    moments = random.Random(0)

    def kill_again_and_again() -> None:
        nonlocal process
        # Under load a server takes longer to begin than to answer: each one answers something.
        while answered.wait() and not done.is_set():
            answered.clear()
            time.sleep(moments.uniform(0, 0.2))
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            process = begin()

    killing = threading.Thread(target=kill_again_and_again)
    killing.start()
    try:
        with Client(f"http://127.0.0.1:{port}", patience=120) as client:
            for part in range(8):
                rows = [
                    {"timestamp": T + timedelta(minutes=n), "asset_id": f"a{part}", "value": n}
                    for n in range(200)
                ]
                assert client.ingest(rows, "t").accepted == 200
                found = client.get(
                    tenant_id="t", asset_id=f"a{part}", feature_names=["hourly_count"],
                    timestamp=T + timedelta(minutes=89),
                )  # fmt: skip
                assert found.features["hourly_count"] == 60
                answered.set()
            done.set()
            killing.join()
            counts = client.delete("t", dry_run=True)["removed"]
            assert counts["ai_features"] == 8 * 200
    finally:
        done.set()
        answered.set()
        killing.join()
        process.kill()
        process.wait()

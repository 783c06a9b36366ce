"""MLflow: what is logged of a training set, and the README's model logged, loaded and served.

Run by `tests/test_mlflow.py` with the interpreter of an environment of its own.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import mlflow
import pytest

import ai_hub.mlflow
from ai_hub import FeatureStore, InvalidInput
from readme import follow_readme

URL = "duckdb:///features.duckdb"
START = datetime(2025, 8, 17, tzinfo=UTC)
END = datetime(2025, 10, 8, 23, tzinfo=UTC)
TRUSTED = ["sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor"]


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    before = Path.cwd()
    os.chdir(tmp_path_factory.mktemp("mlflow"))
    mlflow.set_tracking_uri(f"sqlite:///{Path.cwd()}/mlflow.db")
    yield follow_readme()
    os.chdir(before)


def in_store(call: Any) -> Any:
    async def run() -> Any:
        async with FeatureStore.open(URL) as store:
            return await call(store)

    return asyncio.run(run())


def exported(**how: Any) -> dict[str, Any]:
    return in_store(
        lambda store: store.export_features_to_parquet(
            "acme", "forecast_basic", START, END, horizons=["24h"], **how
        )
    )


def logged(result: Any, **how: Any) -> tuple[Any, dict[str, Any], dict[str, str]]:
    """What a run has of a training set after it was logged: the input, its profile, its tags."""
    with mlflow.start_run() as run:
        ai_hub.mlflow.log_training_set(result, **how)
    (one,) = mlflow.get_run(run.info.run_id).inputs.dataset_inputs
    return one.dataset, json.loads(one.dataset.profile), {tag.key: tag.value for tag in one.tags}


def test_the_record_of_a_file(names: dict[str, Any]) -> None:
    record = exported(output_path="train.parquet")
    dataset, profile, tags = logged(record, tags={"stage": "trial"})
    assert dataset.name == "forecast_basic@1"
    assert dataset.digest == record["checksum"][:36]
    assert json.loads(dataset.source) == {"uri": str(Path("train.parquet").absolute())}
    said = in_store(lambda store: _described(store))
    assert profile["num_rows"] == profile["row_count"] == record["row_count"]
    assert (profile["fingerprint"], profile["policy"]) == (said["fingerprint"], "mean")
    assert [one["name"] for one in profile["targets"]] == ["target_24h"]
    assert tags == {
        "mlflow.data.context": "training",
        "ai_hub.feature_set": "forecast_basic",
        "ai_hub.version": "1",
        "ai_hub.fingerprint": said["fingerprint"],
        "ai_hub.policy": "mean",
        "ai_hub.tenant_id": "acme",
        "stage": "trial",
    }
    columns = {one["name"]: one for one in json.loads(dataset.schema)["mlflow_colspec"]}
    assert list(columns) == list(names["table"].columns)
    assert {name: one["type"] for name, one in columns.items()} == {
        **dict.fromkeys(columns, "double"),
        "timestamp": "datetime",
        **dict.fromkeys(["tenant_id", "asset_id"], "string"),
        **dict.fromkeys(["hour_of_day", "day_of_week", "is_weekend"], "long"),
    }
    assert columns["target_24h"]["required"] is False
    assert columns["lag_1h"]["required"] is True


async def _described(store: FeatureStore) -> dict[str, Any]:
    return store.described("forecast_basic")


def test_the_record_of_a_folder_with_its_manifest(names: dict[str, Any]) -> None:
    record = exported(output_path="parts", parts=True)
    manifest = Path("parts/manifest.json").read_bytes()
    for result in (record, "parts", Path("parts")):
        dataset, profile, _ = logged(result)
        assert dataset.digest == hashlib.sha256(manifest).hexdigest()[:36]
        assert {key: profile[key] for key in json.loads(manifest)} == json.loads(manifest)
        assert json.loads(dataset.source) == {"uri": str(Path("parts").absolute())}


def test_what_is_at_a_url(names: dict[str, Any]) -> None:
    record = exported(output_path="far", parts=True)
    record["storage_path"] = url = f"file://{Path('far').absolute()}"
    for result in (record, url):
        dataset, profile, tags = logged(result)
        assert dataset.digest == record["checksum"][:36]
        assert profile["num_rows"] == record["row_count"]
        assert tags["ai_hub.feature_set"] == "forecast_basic"
        assert json.loads(dataset.source) == {"uri": str(Path("far").absolute())}
    with pytest.raises(InvalidInput, match="It was changed or replaced since"):
        logged({**record, "checksum": "0" * 64})
    with pytest.raises(InvalidInput, match="a folder with manifest"):
        logged(f"{url}/nowhere")


def test_a_training_set_in_memory(names: dict[str, Any]) -> None:
    spine = names["table"].head(50)[["asset_id", "timestamp"]].assign(bid=True)

    def rows(spine: Any) -> Any:
        return in_store(
            lambda store: store.get_training_set(spine, "forecast_basic", tenant_id="acme")
        )

    found = rows(spine)
    dataset, profile, _ = logged(found)
    assert (dataset.name, profile["num_rows"]) == ("forecast_basic@1", 50)
    assert profile["fingerprint"] == found.metadata["ai_hub.fingerprint"]
    assert dataset.digest == logged(rows(spine))[0].digest
    assert dataset.digest != logged(rows(spine[1:]))[0].digest
    found.to_parquet("spine.parquet")
    assert logged("spine.parquet")[1]["fingerprint"] == profile["fingerprint"]


def test_what_no_export_wrote_is_refused(names: dict[str, Any]) -> None:
    record = exported(output_path="again.parquet")
    in_store(_ingest_more)
    exported(output_path="again.parquet")
    names["table"].to_parquet("other.parquet")
    Path("empty").mkdir()
    for result, why in [
        (record, "It was changed or replaced since"),
        ("other.parquet", "what an export of ai-hub wrote"),
        ("meters.csv", "what an export of ai-hub wrote"),
        ("nowhere.parquet", "a file that is on this machine"),
        ("empty", "a folder with manifest.json"),
        ({**record, "status": "no_data"}, "got 'no_data'"),
        (names["table"], "got 'DataFrame'"),
    ]:
        with mlflow.start_run() as run, pytest.raises(InvalidInput, match=why):
            ai_hub.mlflow.log_training_set(result)
        assert mlflow.get_run(run.info.run_id).inputs.dataset_inputs == []


async def _ingest_more(store: FeatureStore) -> None:
    await store.ingest([{"timestamp": START, "asset_id": "meter-003", "value": 1.0}], "acme")


def test_the_model_is_logged_loaded_and_served_with_equal_predictions(
    names: dict[str, Any],
) -> None:
    model, features = names["model"], names["FEATURES"]
    rows = names["test"][features]
    with mlflow.start_run():
        ai_hub.mlflow.log_training_set("train.parquet")
        info = mlflow.sklearn.log_model(
            model, name="load", input_example=rows.head(2), skops_trusted_types=TRUSTED
        )
    expected = model.predict(rows).tolist()
    assert mlflow.sklearn.load_model(info.model_uri).predict(rows).tolist() == expected
    assert mlflow.pyfunc.load_model(info.model_uri).predict(rows).tolist() == expected

    vectors = in_store(lambda store: _vectors(store, rows.index, names))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "models", "serve", "--model-uri", info.model_uri]
    server = subprocess.Popen(
        [*command, "--env-manager", "local", "--host", "127.0.0.1", "--port", str(port)],
        env={**os.environ, "MLFLOW_TRACKING_URI": mlflow.get_tracking_uri()},
    )
    try:
        assert predictions(server, port, vectors) == expected[: len(vectors)]
    finally:
        server.terminate()
        server.wait(30)


async def _vectors(store: FeatureStore, index: Any, names: dict[str, Any]) -> list[dict[str, Any]]:
    """What serving gives for the first rows to try."""
    found = []
    for row in names["table"].loc[index[:20]].itertuples():
        answer = await store.get(
            tenant_id="acme",
            asset_id=row.asset_id,
            feature_set="forecast_basic",
            timestamp=row.timestamp.to_pydatetime(),
        )
        found.append(dict(answer.features))
    return found


def predictions(
    server: subprocess.Popen[bytes], port: int, vectors: list[dict[str, Any]]
) -> list[float]:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/invocations",
        data=json.dumps({"dataframe_records": vectors}).encode(),
        headers={"Content-Type": "application/json"},
    )
    deadline = time.monotonic() + 120
    while True:
        try:
            with urllib.request.urlopen(request) as response:
                found: list[float] = json.load(response)["predictions"]
                return found
        except (ConnectionError, urllib.error.URLError):
            assert server.poll() is None, "the server of the model ended"
            assert time.monotonic() < deadline, "the server of the model did not start"
            time.sleep(0.2)

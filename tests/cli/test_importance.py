"""`importance`: a model's file, an export and the sets of a database or its server."""

from __future__ import annotations

import os
import pickle
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import joblib
import pyarrow.parquet as pq
import pytest
from sklearn.linear_model import Ridge

from cli.conftest import Run, answer, refused

FEATURES = ["hour_of_day", "day_of_week", "is_weekend", "lag_1h", "lag_24h", "rolling_avg_24h"]


@pytest.fixture
def ready(run: Run, workplace: Path) -> tuple[object, ...]:
    """An export of hourly readings and a model of it; the command that ranks its features."""
    lines = ["timestamp,asset_id,value"]
    for i in range(24 * 20):
        lines.append(f"2025-01-{i // 24 + 1:02d}T{i % 24:02d}:00:00Z,a,{(i * 37 % 101) + i % 24}")
    (workplace / "load.csv").write_text("\n".join(lines) + "\n")
    answer(run("ingest", "load.csv", "--tenant", "t", "--json"))
    times = ("--start", "2025-01-01T00:00:00Z", "--end", "2025-01-20T00:00:00Z")
    export = ("export", "--tenant", "t", "--set", "forecast_basic", "--horizon", "1h", *times)
    answer(run(*export, "-o", "data.parquet", "--json"))
    rows = pq.read_table("data.parquet").to_pandas().dropna()
    joblib.dump(Ridge().fit(rows[FEATURES], rows["target_1h"]), "model.joblib")
    command = ("importance", "--model", "model.joblib", "--data", "data.parquet", "--set")
    return command


def test_features_are_ranked_and_drawn(
    ready: tuple[object, ...], run: Run, workplace: Path
) -> None:
    told = run(*ready, "forecast_basic", "--trust", "-o", "plot.png")
    assert told.exit_code == 0, told.output
    assert "Ridge on forecast_basic@1, missing values: mean\n" in told.stdout
    assert "target target_1h: mean absolute error" in told.stdout
    assert "Importance is the mean |SHAP| (shap.LinearExplainer, 300 rows).\n" in told.stdout
    assert "25h of value" in told.stdout
    assert "plot.png: the ranking as a picture\n" in told.stdout
    assert (workplace / "plot.png").read_bytes().startswith(b"\x89PNG\r\n")

    found = answer(run(*ready, "forecast_basic@1", "--trust", "--rows", "200", "--json"))
    assert found["rows"] == 200
    assert {one["name"] for one in found["features"]} == set(FEATURES)
    assert [one["rank"] for one in found["features"]] == [1, 2, 3, 4, 5, 6]
    assert found["could_go"] == [one["name"] for one in found["features"] if one["could_go"]]
    assert found["vector"]["reads"] == "25h of value"


def test_what_does_not_fit_is_refused(ready: tuple[object, ...], run: Run, workplace: Path) -> None:
    refused(run(*ready, "forecast_advanced@1", "--trust"), "data", "forecast_basic@1 (fingerprint")
    refused(run(*ready, "forecast_best", "--trust"), "feature_set", "forecast_best")
    refused(run(*ready, "forecast_basic", "--trust", "-o", "plot.jpg"), "ends in .png")
    refused(run(*ready, "forecast_basic", "--trust", "--target", "load"), "target", "target_1h")
    refused(run(*ready, "forecast_basic", "--trust", "--rows", "0"), "rows")
    (workplace / "model.joblib").write_bytes(b"no model")
    refused(run(*ready, "forecast_basic", "--trust"), "model.joblib", "a file that joblib wrote")
    (workplace / "model.joblib").write_bytes(
        pickle.dumps(Ridge()).replace(b"linear_model", b"liniar_model")
    )
    refused(run(*ready, "forecast_basic", "--trust"), "packages that are installed here")
    (workplace / "model.joblib").unlink()
    refused(run(*ready, "forecast_basic", "--trust"), "--model", "a file that joblib wrote")
    (workplace / "data.parquet").unlink()
    refused(run(*ready, "forecast_basic", "--trust"), "data.parquet", "No such file", code=1)


class Mark:
    """What leaves a mark where it is unpickled."""

    def __reduce__(self) -> Any:
        return Path.touch, (Path("loaded"),)


def test_a_model_is_loaded_by_who_trusts_it(
    ready: tuple[object, ...], run: Run, workplace: Path
) -> None:
    (workplace / "model.joblib").write_bytes(pickle.dumps(Mark()))
    refused(run(*ready, "forecast_basic"), "runs code that is in it", "say --trust")
    assert not (workplace / "loaded").exists()
    assert "Load it? [y/N]" in asked(ready, b"n\n", 2)
    assert not (workplace / "loaded").exists()
    assert "Load it? [y/N]" in asked(ready, b"y\n", 2)
    assert (workplace / "loaded").exists()


def asked(ready: tuple[object, ...], typed: bytes, code: int) -> str:
    """What the command says on a terminal at which somebody types."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-c", "from ai_hub.cli import main; main()", *map(str, ready)]
    os.write(ours, typed)
    try:
        done = subprocess.run(
            [*command, "forecast_basic"], stdin=theirs, capture_output=True, text=True, timeout=60
        )
    finally:
        os.close(ours)
        os.close(theirs)
    assert done.returncode == code, done.stderr
    return done.stderr


def test_sets_are_those_of_the_server(ready: tuple[object, ...], server: str, run: Run) -> None:
    found = answer(run(*ready, "forecast_basic", "--trust", "--url", server, "--json"))
    assert found["feature_set"] == "forecast_basic@1"

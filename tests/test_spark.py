"""Spark and Ray, in environments of their own: see `apart/`, whose tests these are."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

import environments


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "remote"),
    [("spark", None), ("spark", "local[2]"), ("ray", None)],
    ids=["spark", "spark-connect", "ray"],
)
def test_with_an_engine_of_its_own(
    name: str, remote: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SPARK_REMOTE", raising=False)
    if remote is not None:
        # Spark starts a server of Connect on this machine, and the tests are its client.
        monkeypatch.setenv("SPARK_REMOTE", remote)
    if reason := environments.absent(name):
        pytest.skip(reason)
    if name == "spark" and shutil.which("java") is None:
        pytest.skip("Spark needs Java: on Debian or Ubuntu, apt-get install default-jre-headless")
    done = environments.run_tests(name, f"{name}_runs.py")
    assert done.returncode == 0, done.stdout


def test_without_spark_its_module_says_what_to_install() -> None:
    program = "import sys; sys.modules['pyspark'] = None; import ai_hub.spark"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "pip install 'ai-hub-feature-store[spark]'" in ran.stderr

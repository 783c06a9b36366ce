"""MLflow, in an environment of its own: see `apart/mlflow_runs.py`, whose tests these are."""

from __future__ import annotations

import pytest

import environments


@pytest.mark.long
def test_with_mlflow() -> None:
    if reason := environments.absent("mlflow"):
        pytest.skip(reason)
    done = environments.run_tests("mlflow", "mlflow_runs.py")
    assert done.returncode == 0, done.stdout


def test_without_mlflow_its_module_says_what_to_install() -> None:
    with pytest.raises(ImportError, match=r"pip install 'ai-hub-feature-store\[mlflow\]'"):
        import ai_hub.mlflow  # noqa: F401

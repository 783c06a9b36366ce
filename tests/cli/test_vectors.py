"""`get` and `config`."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.conftest import Run, answer, refused

AT = ("--at", "2025-10-09T14:30:00Z")
ONE = ("get", "--tenant", "acme", "--asset", "meter-001")


@pytest.fixture(autouse=True)
def data(run: Run, workplace: Path) -> None:
    assert run("ingest", "load.csv", "--tenant", "acme").exit_code == 0


def test_a_vector_has_the_members_of_the_http_answer(run: Run) -> None:
    found = answer(run(*ONE, "--set", "forecast_basic", *AT, "--json"))
    assert found["features"]["lag_1h"] == 11.5
    assert set(found) == {
        "tenant_id", "asset_id", "timestamp", "feature_set", "version", "fingerprint", "policy",
        "features", "feature_count", "missing", "violations", "degraded", "cache_hit",
        "computed_at",
    }  # fmt: skip
    assert (found["feature_set"], found["version"], found["feature_count"]) == (
        "forecast_basic",
        1,
        6,
    )
    assert found["missing"] == ["lag_24h"]


def test_the_policy_that_applied_is_named(run: Run) -> None:
    for words, policy in (((), "mean"), (("--missing", "keep"), "keep"), (("--missing", "7"), 7.0)):
        asked = (*ONE, "--set", "forecast_basic", *AT, *words)
        assert answer(run(*asked, "--json"))["policy"] == policy
        assert answer(run(*asked, "--asset", "b", "--json"))["policy"] == policy
        assert f"missing values: {policy}" in run(*asked).stdout


def test_a_vector_is_a_table_for_people(run: Run) -> None:
    result = run(*ONE, "--set", "forecast_basic", *AT)
    assert result.exit_code == 0
    assert "forecast_basic@1 as of 2025-10-09T14:30:00Z" in result.stdout
    (line,) = [line for line in result.stdout.splitlines() if "lag_24h" in line]
    assert "filled" in line


def test_several_assets_are_one_batch(run: Run) -> None:
    assets = ("--asset", "meter-002", "--asset", "[red]")
    found = answer(run(*ONE, *assets, "--feature", "max_24h", *AT, "--json"))
    assert {asset: one["features"]["max_24h"] for asset, one in found["results"].items()} == {
        "meter-001": 12.5,
        "meter-002": 7.0,
        "[red]": 0.0,
    }
    table = run(*ONE, *assets, "--feature", "max_24h", *AT).stdout
    assert "[red]" in table
    assert "missing for [red]: max_24h" in table


@pytest.mark.parametrize(
    ("policy", "value"), [("zero", 0.0), ("keep", None), ("-1.5", -1.5), ("mean", 11.5)]
)
def test_a_policy_fills(policy: str, value: float | None, run: Run) -> None:
    found = answer(run(*ONE, "--feature", "lag_24h", "--missing", policy, *AT, "--json"))
    assert found["features"] == {"lag_24h": value}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--set", "nope"], ["feature_set", "'nope'", "forecast_basic"]),
        (["--feature", "nope"], ["feature_names", "'nope'", "lag_1h"]),
        (["--set", "forecast_basic", "--feature", "lag_1h"], ["feature_names", "not both"]),
        (["--at", "2025-10-09T14:30:00"], ["--at", "2025-10-09T14:30:00", "offset"]),
        (["--at", "now"], ["--at", "'now'"]),
        (["--missing", "nan"], ["--missing", "'nan'"]),
        (["--missing", "median"], ["--missing", "'median'"]),
        (["--asset", ""], ["asset_id", "1 to 256"]),
        (["--asset", "x" * 257], ["asset_id", "1 to 256"]),
        (["--asset", "a\nb"], ["asset_id", "control"]),
        (["--url", "localhost"], ["--url", "'localhost'"]),
    ],
)
def test_bad_input_is_one_sentence(options: list[str], words: list[str], run: Run) -> None:
    refused(run(*ONE, *options), *words)


def test_too_many_assets_are_refused(run: Run) -> None:
    many = [part for number in range(1000) for part in ("--asset", f"m{number}")]
    refused(run(*ONE, *many), "asset_ids", "1000")


def test_what_is_no_database_is_one_sentence(
    run: Run, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (workplace / "picture.png").write_bytes(bytes(50_000))
    monkeypatch.setenv("AI_HUB_DATABASE_URL", "duckdb:///picture.png")
    refused(run(*ONE), "picture.png", "database")


def test_config_shows_values_and_sources(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AI_HUB_CACHE_TTL", "60")
    found = answer(run("config", "--json"))
    assert found["cache_ttl"] == {"value": "60", "source": "environment AI_HUB_CACHE_TTL"}
    assert found["max_body"] == {"value": "64MiB", "source": "default"}
    assert "environment AI_HUB_CACHE_TTL" in run("config").stdout


def test_an_unknown_setting_is_refused(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AI_HUB_PROT", "9000")
    refused(run("config"), "AI_HUB_PROT", "AI_HUB_PORT")
    refused(run(*ONE), "AI_HUB_PROT")

"""What a server looks for by itself, and tells in its metrics and its log."""

from __future__ import annotations

import logging
from datetime import timedelta
from pathlib import Path

import pytest

from ai_hub import FeatureStore
from ai_hub.config import Settings
from ai_hub.definitions.registry import Registry
from ai_hub.definitions.values import to_micros
from ai_hub.http.drifting import look
from ai_hub.http.server import opened
from ai_hub.metrics import Metrics, exposition
from ai_hub.stores.drift_table import SetOf
from conformance.test_drift import OWN, START, ingested, serve

WEEKS = 10
END = START + timedelta(days=7 * (WEEKS + 1))


def told(counted: Metrics, name: str) -> dict[str, float]:
    """The samples of a metric, by their labels."""
    lines = exposition(counted, 0)[0].decode().splitlines()
    own = [line.removeprefix(name) for line in lines if line.startswith(f"{name}{{")]
    return {labels: float(number) for labels, _, number in (one.rpartition(" ") for one in own)}


def labels(feature: str) -> str:
    return f'{{feature="{feature}",feature_set="own@1",tenant="t"}}'


async def test_what_drifts_is_told_once_and_by_tenant(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = Settings(database_url="duckdb:///:memory:", export_root=tmp_path)
    registry = Registry().with_set(OWN)
    async with FeatureStore(settings, registry, lambda: to_micros(END)) as store:
        hours = WEEKS * 168
        await ingested(store, START, hours)
        await serve(store, hours - 1, hours)
        seen: dict[SetOf, list[str]] = {}
        # Nobody has made a baseline: nothing is told.
        await look(store, seen)
        assert (seen, told(store.metrics, "ai_hub_drift_alarm")) == ({}, {})
        await store.drift_baseline("t", "own@1", START, START + timedelta(hours=hours))
        rows = [
            {"timestamp": START + timedelta(hours=n), "asset_id": one, "value": 30_000.0 + n % 24}
            for n in range(hours, hours + 168)
            for one in "ab"
        ]
        await store.ingest(rows, "t")
        await serve(store, hours, hours + 168)
        with caplog.at_level(logging.WARNING, "ai_hub.drift"):
            await look(store, seen)
            await look(store, seen)
        (record,) = caplog.records
        assert record.message == "features drift"
        assert vars(record)["features"] == ["lag", "mean"]
        assert (vars(record)["tenant_id"], vars(record)["feature_set"]) == ("t", "own@1")
        alarms = told(store.metrics, "ai_hub_drift_alarm")
        assert alarms == {labels("lag"): 1.0, labels("mean"): 1.0}
        assert told(store.metrics, "ai_hub_drift_wasserstein")[labels("mean")] > 10
        both = Metrics()
        both.add(store.metrics)
        both.add(store.metrics)
        assert told(both, "ai_hub_drift_alarm") == alarms
        assert told(both.of_tenants({"u"}), "ai_hub_drift_alarm") == {}
        assert told(both.of_tenants({"t"}), "ai_hub_drift_psi").keys() == alarms.keys()


async def test_what_a_server_computes_at_its_start_is_not_served(tmp_path: Path) -> None:
    settings = Settings(database_url="duckdb:///:memory:", export_root=tmp_path)
    async with opened(settings) as store:
        await store._open.served.flush()
        assert await store._open.store.drift_table.served_sets(-(10**15), 10**18) == []

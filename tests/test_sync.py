"""The blocking front: made of the asynchronous one, used where a loop runs and where none does."""

from __future__ import annotations

import _thread
import asyncio
import inspect
import multiprocessing
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ai_hub import feature_store
from ai_hub.access.actor import Actor, act_as
from ai_hub.blocking import blocking
from ai_hub.config import Settings
from ai_hub.errors import InvalidInput, StoreUnavailable
from ai_hub.sync import FeatureStore
from stubs import SOURCE, STUBS, stub
from test_feature_store import BESIDE, USES

T = datetime(2025, 10, 9, 14, 30, tzinfo=UTC)
ROWS = [{"timestamp": T - timedelta(hours=n), "asset_id": "a", "value": float(n)} for n in range(9)]
MEMORY = "duckdb:///:memory:"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Any]:
    with FeatureStore(Settings(database_url=MEMORY, export_root=tmp_path)) as one:
        yield one


@pytest.mark.parametrize("path", STUBS)
def test_the_stubs_are_those_of_the_source(path: str) -> None:
    made = stub(*STUBS[path])
    assert made == (SOURCE / path).read_text("utf-8"), "python tests/stubs.py writes it anew"


def test_it_has_every_method_of_the_asynchronous_one_and_none_waits() -> None:
    for name, method in inspect.getmembers(feature_store.FeatureStore, inspect.isfunction):
        if not name.startswith("_"):
            ours = getattr(FeatureStore, name)
            assert not inspect.iscoroutinefunction(ours)
            assert inspect.signature(ours).parameters.keys() == (
                inspect.signature(method).parameters.keys()
            )
    assert {*USES, *BESIDE} <= {*dir(FeatureStore)}


def test_it_does_what_the_asynchronous_one_does(store: Any) -> None:
    assert store.ingest(ROWS, "t").accepted == 9
    answer = store.get(tenant_id="t", asset_id="a", feature_set="forecast_basic", timestamp=T)
    assert answer.features["lag_1h"] == 1.0
    assert next(one["name"] for one in store.listed()) == "anomaly_detection"
    assert store.in_chunks is False
    assert store.settings.database_url == MEMORY
    with pytest.raises(AttributeError):
        _ = store._parts


async def test_it_works_inside_a_running_loop() -> None:
    with FeatureStore.open(MEMORY) as store:
        assert store.ingest(ROWS, "t").accepted == 9
        assert store.seen_assets("t", T - timedelta(days=1)) == ["a"]
    await asyncio.sleep(0)


def test_it_opens_with_the_first_call_and_is_closed_once() -> None:
    before = threading.active_count()
    store = FeatureStore.open(MEMORY)
    assert store.seen_assets("t") == []
    store.close()
    store.close()
    with pytest.raises(StoreUnavailable, match="the feature store is closed"):
        store.seen_assets("t")
    with store as same:
        assert same is store
        assert store.seen_assets("t") == []
    assert not [one for one in threading.enumerate() if one.name == "ai-hub-loop"]
    assert threading.active_count() <= before + 4  # those of the store's pools may end later


def test_errors_are_those_of_the_call(store: Any) -> None:
    with pytest.raises(InvalidInput, match=r"^tenant_id: got ''") as raised:
        store.get(tenant_id="", asset_id="a")
    assert raised.value.field == "tenant_id"
    with pytest.raises(TypeError, match="unexpected keyword argument 'nothing'"):
        store.get(nothing=1)


def test_one_that_cannot_be_opened_says_why_each_time(tmp_path: Path) -> None:
    (tmp_path / "not.duckdb").write_text("no database")
    store = FeatureStore.open(f"duckdb:///{tmp_path}/not.duckdb")
    for _ in range(2):
        with pytest.raises(Exception, match=r"not\.duckdb"):
            store.seen_assets("t")
    store.close()


def test_who_acts_is_who_acts_where_it_is_called(store: Any) -> None:
    def ingest() -> None:
        act_as(Actor("anna"))
        store.ingest(ROWS, "t")

    copy_context().run(ingest)
    assert [one["who"] for one in store.audit("t")["records"]] == ["anna"]


def test_many_threads_share_one(store: Any) -> None:
    store.ingest(ROWS, "t")

    def one(n: int) -> float:
        at = T - timedelta(hours=n % 4)
        found = store.get(tenant_id="t", asset_id="a", feature_set="forecast_basic", timestamp=at)
        return float(found.features["lag_1h"])

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(one, range(80))) == [n % 4 + 1.0 for n in range(80)]


def test_a_call_from_within_a_call_does_not_wait_for_itself(store: Any) -> None:
    with pytest.raises(RuntimeError, match="from within another one"):
        store.ingest(ROWS, "t", progress=lambda rows: store.seen_assets("t"))


def test_an_interrupt_ends_what_is_under_way_and_leaves_the_store_usable(store: Any) -> None:
    parts: list[int] = []

    def told(rows: int) -> None:
        parts.append(rows)
        _thread.interrupt_main()

    many = {
        "timestamp": [T - timedelta(minutes=n) for n in range(350_000)],
        "asset_id": ["a"] * 350_000,
        "value": [1.0] * 350_000,
    }
    with pytest.raises(KeyboardInterrupt):
        store.ingest(many, "t", progress=told)
    landed = len(parts)
    assert store.seen_assets("t", T - timedelta(hours=1)) == ["a"]
    assert len(parts) == landed


class Waiting:
    """What tells when its work has ended."""

    def __init__(self) -> None:
        self.ended = False

    async def __aenter__(self) -> Waiting:
        return self

    async def close(self) -> None:
        """Nothing to let go of."""

    async def wait(self, begun: threading.Event) -> None:
        """Until it is cancelled; that takes a moment."""
        begun.set()
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.05)
            self.ended = True


def test_an_interrupted_call_has_ended_when_the_interrupt_is_raised() -> None:
    waiting = blocking(Waiting, __name__)()
    begun = threading.Event()

    def interrupt() -> None:
        begun.wait()
        time.sleep(0.2)  # until who called waits for it, which only a real signal ends
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        waiting.wait(begun)
    assert waiting.ended
    waiting.close()


def _used_after_the_fork(store: Any, told: Any) -> None:
    try:
        store.seen_assets("t")
    except RuntimeError as error:
        told.put(str(error))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_one_that_was_forked_says_so(store: Any) -> None:
    store.seen_assets("t")
    context = multiprocessing.get_context("fork")
    told = context.SimpleQueue()
    child = context.Process(target=_used_after_the_fork, args=(store, told))
    child.start()
    child.join(30)
    assert "before this process was forked" in told.get()

"""One caller of years ago beside callers of now, on TimescaleDB with a long history.

Callers of now ask a server for one asset each, at a time of the last day that nobody asked for
before; the other one asks for times nine years back, again and again. Rounds with and without it
take turns.
"""

from __future__ import annotations

import json
import os
import random
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median

from benchmarks.long_history import TENANT, History, compress, filled, last_hour
from benchmarks.measure import Check, Table, Topic, ms, percentile
from benchmarks.server import GET, HOST, Client, console, free_port, running

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
import servers

_CALLERS = 4
_SECONDS = 15.0
_ROUNDS = 4
_BACK = timedelta(days=9 * 365)


@dataclass
class _Seen:
    took: list[float] = field(default_factory=list)
    degraded: int = 0
    hostile_took: list[float] = field(default_factory=list)


def run(rows: int = 10_000_000, chunks: int = 523, assets: int = 1_000) -> Topic:
    topic = Topic("hostile")
    if reason := servers.absent("timescaledb"):
        topic.tables.append(Table(f"No figures: {reason}", (), []))
        return topic
    history, end = History(rows, chunks, assets), last_hour()
    try:
        server = servers.server("timescaledb")
        url = filled(server, history, lambda said: print(said, flush=True), end)
        name = url.rpartition("/")[2]
        compress(server, name)
        ((there, held),) = server.sql(
            "SELECT (SELECT count(*) FROM show_chunks('ai_features')), "
            "(SELECT count(*) FROM ai_features)",
            name,
        )
        with _serving(url) as port:
            seen = _rounds(port, history, end)
    finally:
        servers.stop_all()
    alone, beside = seen
    of = median(percentile(b.took, 0.99) / percentile(a.took, 0.99)
                for a, b in zip(alone, beside, strict=True))  # fmt: skip
    topic.tables.append(
        Table(
            f"{_CALLERS} callers of now on {held:,} rows of {assets:,} assets in {there:,} chunks",
            ("beside", "misses", "degraded", "p50 ms", "p99 ms", "asked by the other one",
             "its p50 ms"),
            [_line("nobody", alone), _line("one caller of nine years ago", beside)],
            f"Over HTTP, forecast_advanced; {_ROUNDS} rounds of {_SECONDS:g} s each, in turn; "
            f"medians of the rounds. Load average: {os.getloadavg()[1]:.0f}, of others mostly.",
        )
    )  # fmt: skip
    topic.checks += [
        Check("degraded answers of now", sum(one.degraded for one in beside), 0),
        Check("p99 of a miss beside the caller / without it", of, 2),
    ]
    return topic


@contextmanager
def _serving(url: str) -> Iterator[int]:
    port = free_port()
    with (
        tempfile.TemporaryDirectory() as folder,
        running(
            console("serve", "--host", HOST, "--port", str(port)),
            port,
            AI_HUB_DATABASE_URL=url,
            AI_HUB_EXPORT_ROOT=folder,
        ),
    ):
        # It goes on importing for a while after it answers.
        time.sleep(3)
        yield port


def _rounds(port: int, history: History, end: datetime) -> tuple[list[_Seen], list[_Seen]]:
    # Both kinds of caller have been there before.
    _round(port, history, end, hostile=True, seconds=3, seed=0)
    alone, beside = [], []
    for turn in range(1, _ROUNDS + 1):
        alone.append(_round(port, history, end, False, _SECONDS, 2 * turn))
        beside.append(_round(port, history, end, True, _SECONDS, 2 * turn + 1))
    return alone, beside


def _round(
    port: int, history: History, end: datetime, hostile: bool, seconds: float, seed: int
) -> _Seen:
    seen, until = _Seen(), time.perf_counter() + seconds
    lock = threading.Lock()

    def call(number: int, since: datetime, took: list[float]) -> None:
        chance = random.Random(seed * 100 + number)
        with Client(port) as client:
            while time.perf_counter() < until:
                at = since - timedelta(minutes=chance.randrange(1_440))
                asked = {"tenant_id": TENANT, "feature_set": "forecast_advanced",
                         "asset_id": f"meter-{chance.randrange(history.assets):06d}",
                         "timestamp": at.isoformat()}  # fmt: skip
                begin = time.perf_counter()
                answer = json.loads(client.post(GET, asked))
                if answer["cache_hit"]:
                    continue
                with lock:
                    took.append(time.perf_counter() - begin)
                    if took is seen.took:
                        seen.degraded += answer["degraded"]

    callers = [(number, end, seen.took) for number in range(_CALLERS)]
    if hostile:
        callers.append((_CALLERS, end - _BACK, seen.hostile_took))
    threads = [threading.Thread(target=call, args=one) for one in callers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return seen


def _line(what: str, rounds: list[_Seen]) -> tuple[str, ...]:
    others = [one for each in rounds for one in each.hostile_took]
    return (
        what,
        f"{sum(len(one.took) for one in rounds):,}",
        str(sum(one.degraded for one in rounds)),
        ms(median(percentile(one.took, 0.5) for one in rounds)),
        ms(median(percentile(one.took, 0.99) for one in rounds)),
        f"{len(others):,}",
        ms(median(others)) if others else "",
    )

"""Clients and writers at work while Redis fails and heals, and what they saw.

`python tests/serving/redis/faults.py` prints the table of docs/reliability.md.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))

from ai_hub.serving.reader import Reader
from ai_hub.serving.redis.cache import RedisCache
from ai_hub.serving.writer import Writer
from redis_server import RedisServer
from serving.doubles import AT, SPEC, TENANT, HeldStore, batch
from serving.proxy import Proxy

CLIENTS, WRITERS, PROCESSES = 16, 2, 2
ASSETS = [f"asset-{n}" for n in range(12)]
BEFORE, DURING, AFTER = 0.3, 0.6, 0.3
TIMEOUT = 0.1
_COMPUTING = 0.002


class SlowStore(HeldStore):
    """A store that takes a little time to compute."""

    async def compute(self, *asked: Any) -> Any:
        vectors = await super().compute(*asked)
        await asyncio.sleep(_COMPUTING)
        return vectors


@dataclass
class Process:
    """A server as far as the cache goes: what it shares with others is the store and Redis."""

    cache: RedisCache
    reader: Reader
    writer: Writer


@dataclass
class Counted:
    """What clients saw, and what became of the cache. `wrong` says of each wrong answer how."""

    requests: int = 0
    hits: int = 0
    ingests: int = 0
    wrong: list[str] = field(default_factory=list)
    failures: list[BaseException] = field(default_factory=list)
    worst: float = 0.0
    worst_ingest: float = 0.0
    over_timeout: int = 0
    recovered: float | None = None
    opened: bool = False
    kept_again: bool = False


@dataclass(frozen=True)
class Fault:
    """Something that happens to a server and is made good again."""

    name: str
    strike: Callable[[RedisServer, Proxy], object]
    heal: Callable[[RedisServer, Proxy], object]
    opens: bool = True

    def __str__(self) -> str:
        return self.name


def _set(name: str, value: str | int) -> Callable[[RedisServer, Proxy], object]:
    return lambda server, _: server.call("CONFIG", "SET", name, value)


def _locked_out(server: RedisServer, _: Proxy) -> None:
    with server.client() as client:
        client.config_set("requirepass", "another")
        client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")


def _let_in(server: RedisServer, _: Proxy) -> None:
    with server.client("another") as client:
        client.config_set("requirepass", "")


def _answering(answer: bytes | None) -> Callable[[RedisServer, Proxy], object]:
    return lambda _, proxy: setattr(proxy, "answer", answer)


FAULTS = (
    Fault("refused", lambda s, _: s.halt(), lambda s, _: s.start()),
    Fault("slow (stopped)", lambda s, _: s.pause(), lambda s, _: s.resume()),
    Fault("restarted empty", lambda s, _: s.restart(), lambda s, _: None),
    Fault("out of memory", _set("maxmemory", 1), _set("maxmemory", 0), opens=False),
    Fault(
        "a replica (READONLY)",
        lambda s, _: s.call("REPLICAOF", "127.0.0.1", 1),
        lambda s, _: s.call("REPLICAOF", "NO", "ONE"),
    ),
    Fault("wrong password", _locked_out, _let_in),
    Fault("no writes (NOREPLICAS)", _set("min-replicas-to-write", 1),
          _set("min-replicas-to-write", 0)),
    Fault("loading (LOADING)", _answering(b"-LOADING Redis is loading the dataset in memory\r\n"),
          _answering(None)),
    Fault("another protocol", _answering(b"HTTP/1.1 400 Bad Request\r\n\r\n"), _answering(None)),
    Fault("emptied (FLUSHALL)", lambda s, _: s.call("FLUSHALL"), lambda s, _: None),
)  # fmt: skip


@asynccontextmanager
async def processes(store: HeldStore, urls: list[str]) -> AsyncIterator[list[Process]]:
    """Processes that share a store, each with its own way to Redis."""
    async with AsyncExitStack() as stack:
        those = []
        for url in urls:
            cache = await RedisCache.open(url, timeout=TIMEOUT, debts=store.debts)
            stack.push_async_callback(cache.close)
            reader, writer = Reader(store, cache, lambda: AT), Writer(store, cache)
            stack.push_async_callback(reader.close)
            stack.push_async_callback(writer.close)
            those.append(Process(cache, reader, writer))
        yield those


class Work:
    """Clients and writers that note what they see until they are told to stop."""

    def __init__(self, those: list[Process], seed: int = 1) -> None:
        self.seen = Counted()
        self._those = those
        self._random = random.Random(seed)
        self._acknowledged = dict.fromkeys(ASSETS, 0)
        self._begun = dict.fromkeys(ASSETS, 0)
        self._locks = {asset: asyncio.Lock() for asset in ASSETS}
        self._stopping = False
        self._tasks = [asyncio.create_task(self._ask()) for _ in range(CLIENTS)]
        self._tasks += [asyncio.create_task(self._write()) for _ in range(WRITERS)]

    async def stop(self) -> Counted:
        """What was seen, when all have come to their end."""
        self._stopping = True
        await asyncio.gather(*self._tasks)
        return self.seen

    async def _ask(self) -> None:
        while not self._stopping:
            some = self._random.sample(ASSETS, self._random.choice((1, 1, 1, 4)))
            process = self._random.choice(self._those)
            least = {asset: self._acknowledged[asset] for asset in some}
            begin = time.perf_counter()
            try:
                found = await process.reader.vectors(SPEC, TENANT, some, AT)
            except BaseException as error:  # noqa: BLE001  # It is counted.
                self.seen.failures.append(error)
                return
            took = time.perf_counter() - begin
            self.seen.requests += 1
            self.seen.worst = max(self.seen.worst, took)
            self.seen.over_timeout += took > TIMEOUT
            for asset, (value, hit) in zip(some, found, strict=True):
                self.seen.hits += hit
                got = json.loads(value)["features"].get("lag_1h")
                if got is None or not least[asset] <= got <= self._begun[asset]:
                    where = self._those.index(process)
                    bounds = f"{least[asset]} to {self._begun[asset]}"
                    self.seen.wrong.append(f"{asset} at {where}: {got}, not {bounds}, {hit=}")
            await asyncio.sleep(0.002)

    async def _write(self) -> None:
        while not self._stopping:
            asset = self._random.choice(ASSETS)
            process = self._random.choice(self._those)
            async with self._locks[asset]:
                self._begun[asset] += 1
                number = self._begun[asset]
                begin = time.perf_counter()
                await process.writer.land(batch(float(number), asset), "observations")
                self.seen.worst_ingest = max(self.seen.worst_ingest, time.perf_counter() - begin)
                self._acknowledged[asset] = number
            self.seen.ingests += 1
            await asyncio.sleep(0.01)


async def kept_again(process: Process) -> bool:
    """Whether an answer comes out of the cache the second time."""
    for _ in range(2):
        ((_, hit),) = await process.reader.vectors(SPEC, TENANT, ["another"], AT)
    return hit


async def drive(fault: Fault) -> Counted:
    """What clients see before, during and after a fault."""
    server = RedisServer()
    store = SlowStore()
    try:
        async with (
            Proxy(server.port) as proxy,
            processes(store, [proxy.url] * PROCESSES) as those,
        ):
            for one in those:  # What is imported and planned once is no part of this.
                await one.writer.land(batch(0.0, "first"), "observations")
                await one.reader.vectors(SPEC, TENANT, ["first"], AT)
            work = Work(those)
            await asyncio.sleep(BEFORE)
            await asyncio.to_thread(fault.strike, server, proxy)
            await asyncio.sleep(DURING)
            work.seen.opened = all(one.cache.errors["lost"] for one in those)
            await asyncio.to_thread(fault.heal, server, proxy)
            healed = time.perf_counter()
            while any(one.cache.state != "closed" for one in those):
                if time.perf_counter() - healed > 20:
                    break
                await asyncio.sleep(0.005)
            else:
                work.seen.recovered = time.perf_counter() - healed
            await asyncio.sleep(AFTER)
            work.seen.kept_again = all([await kept_again(one) for one in those])
            return await work.stop()
    finally:
        server.stop()


def _row(fault: Fault, seen: Counted) -> str:
    recovered = "never" if seen.recovered is None else f"{seen.recovered:.1f} s"
    cells = (
        fault.name,
        f"{seen.requests:,}",
        str(len(seen.wrong)),
        str(len(seen.failures)),
        f"{seen.worst * 1e3:.0f} ms",
        str(seen.over_timeout),
        f"{seen.worst_ingest * 1e3:.0f} ms",
        recovered if fault.opens else "not needed",
    )
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    print("| fault | requests | wrong values | errors | slowest request | over "
          f"{TIMEOUT * 1e3:.0f} ms | slowest ingest | in use again after |")  # fmt: skip
    print("|---|--:|--:|--:|--:|--:|--:|--:|")
    for one in FAULTS:
        print(_row(one, asyncio.run(drive(one))), flush=True)

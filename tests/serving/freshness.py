"""Servers that are watched while a writer of another process is killed, paused or cut off.

Each server is a feature store on PostgreSQL and Redis. An answer is stale when it was asked for
after an ingest was acknowledged and does not reflect it; it goes back when an earlier answer, of
whichever server, showed something newer. `python tests/serving/freshness.py` prints the table of
docs/reliability.md.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

import servers
from ai_hub import FeatureStore
from ai_hub.definitions.values import HOUR, parse_time, to_datetime
from ai_hub.serving.redis import words
from redis_server import RedisServer
from serving.proxy import Proxy

T = parse_time("2025-10-09T14:00:00Z")
AT = to_datetime(T + HOUR)
ASSETS = [f"asset-{n}" for n in range(4)]
SERVERS, CLIENTS = 2, 4
TIMEOUT = "200ms"
"""What Redis may take: more than usual, as all of them share a busy machine."""
NOWHERE = "memory://"


def reading(asset: str, value: float) -> dict[str, object]:
    return {"timestamp": to_datetime(T), "asset_id": asset, "value": value}


@dataclass
class Seen:
    """What clients saw. `late` is how long after its acknowledgement an ingest was still missed."""

    answers: int = 0
    hits: int = 0
    ingests: int = 0
    stale: int = 0
    back: int = 0
    late: float = 0.0


@dataclass
class Watch:
    """Clients that ask servers again and again, and know what they must not see."""

    seen: Seen = field(default_factory=Seen)
    stores: list[FeatureStore] = field(default_factory=list)
    acknowledged: dict[str, list[tuple[float, float]]] = field(
        default_factory=lambda: {asset: [(0.0, 0.0)] for asset in ASSETS}
    )
    shown: dict[str, float] = field(default_factory=lambda: dict.fromkeys(ASSETS, 0.0))
    begun: dict[str, float] = field(default_factory=lambda: dict.fromkeys(ASSETS, 0.0))
    _random: random.Random = field(default_factory=lambda: random.Random(1))

    async def ask(self) -> None:
        """One client, until it is cancelled."""
        while True:
            if self.stores:
                await self._once(self._random.choice(self.stores), self._random.choice(ASSETS))
            await asyncio.sleep(0.002)

    async def _once(self, store: FeatureStore, asset: str) -> None:
        begin = time.monotonic()
        _, least = self.acknowledged[asset][-1]
        before = self.shown[asset]
        answer = await store.get(
            tenant_id="t", asset_id=asset, feature_names=["lag_1h"], timestamp=AT,
            missing="zero", exact=self._random.random() < 0.1,
        )  # fmt: skip
        assert not answer.degraded
        got = float(answer.features["lag_1h"])
        assert got <= self.begun[asset]
        self.seen.answers += 1
        self.seen.hits += answer.cache_hit
        self.seen.back += got < before
        if got < least:
            self.seen.stale += 1
            missed = next(at for at, value in self.acknowledged[asset] if value > got)
            self.seen.late = max(self.seen.late, begin - missed)
        self.shown[asset] = max(self.shown[asset], got)


class Writer:
    """A process that ingests what it is told."""

    def __init__(self, process: asyncio.subprocess.Process, watch: Watch) -> None:
        self._process = process
        self._watch = watch

    async def write(self, asset: str) -> None:
        """Ingest a newer value of an asset, and wait for the acknowledgement."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._watch.begun[asset] += 1
        value = self._watch.begun[asset]
        self._process.stdin.write(f"{asset} {value}\n".encode())
        if await self._process.stdout.readline() == b"ok\n":
            self._watch.acknowledged[asset].append((time.monotonic(), value))
            self._watch.seen.ingests += 1

    async def write_for(self, seconds: float) -> None:
        """Ingest one value after the other."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            await self.write(random.choice(ASSETS))
            await asyncio.sleep(0.01)

    def send(self, number: signal.Signals) -> None:
        os.kill(self._process.pid, number)

    async def end(self) -> None:
        """Kill it, if it is still there."""
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()


@dataclass
class World:
    """A database, a Redis, servers on both that clients ask, and writers."""

    database: str
    redis: RedisServer
    watch: Watch
    _stack: AsyncExitStack
    _servers: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def start_servers(self) -> None:
        for _ in range(SERVERS):
            store = FeatureStore.open(
                self.database, cache_url=self.redis.url(), cache_timeout=TIMEOUT
            )
            self.watch.stores.append(await self._servers.enter_async_context(store))

    async def stop_servers(self) -> None:
        self.watch.stores.clear()
        await asyncio.sleep(0.2)
        await self._servers.aclose()

    async def in_use(self) -> None:
        """Wait until every server uses Redis, and a moment more."""
        async with asyncio.timeout(30):
            while any(one._open.cache.state != "closed" for one in self.watch.stores):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.5)

    async def writer(self, cache_url: str) -> Writer:
        process = await asyncio.create_subprocess_exec(
            sys.executable, __file__, self.database, cache_url,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        one = Writer(process, self.watch)
        self._stack.push_async_callback(one.end)
        for asset in ASSETS:
            await one.write(asset)
        return one

    async def proxy(self, redis: RedisServer | None = None) -> Proxy:
        return await self._stack.enter_async_context(Proxy((redis or self.redis).port))


@asynccontextmanager
async def world() -> AsyncIterator[World]:
    server, redis = servers.server("plain"), RedisServer()
    database = server.fresh()
    try:
        async with AsyncExitStack() as stack:
            made = World(database, redis, Watch(), stack)
            await made.start_servers()
            stack.push_async_callback(made.stop_servers)
            async with asyncio.TaskGroup() as clients:
                tasks = [clients.create_task(made.watch.ask()) for _ in range(CLIENTS)]
                try:
                    yield made
                finally:
                    for task in tasks:
                        task.cancel()
    finally:
        redis.stop()
        server.discard(database)


async def redis_away(w: World) -> None:
    writer = await w.writer(w.redis.url())
    w.redis.pause()
    for asset in ASSETS:
        await writer.write(asset)
    await writer.end()
    w.redis.resume()
    await w.in_use()


async def cut_off(w: World) -> None:
    proxy = await w.proxy()
    writer = await w.writer(proxy.url)
    proxy.answer = b"-LOADING Redis is loading the dataset in memory\r\n"
    await writer.write_for(2.0)
    await writer.end()
    await asyncio.sleep(0.5)


async def no_cache(w: World) -> None:
    await (await w.writer(NOWHERE)).write_for(2.0)
    await asyncio.sleep(0.3)


async def another_master(w: World) -> None:
    other = RedisServer()
    w._stack.callback(other.stop)
    await (await w.writer(other.url())).write_for(2.0)
    await asyncio.sleep(0.3)


async def nobody_listens(w: World) -> None:
    await w.stop_servers()
    writer = await w.writer(NOWHERE)
    for asset in ASSETS:
        await writer.write(asset)
    await writer.end()
    await w.start_servers()
    await w.in_use()


def _struck(script: words.Script, number: signal.Signals) -> Callable[[World], Awaitable[None]]:
    """A writer that gets a signal as Redis gets its script, some times over."""

    async def strike(w: World) -> None:
        for asset in ASSETS:
            proxy = await w.proxy()
            writer = await w.writer(proxy.url)

            def met(data: bytes, writer: Writer = writer) -> None:
                if script.sha.encode() in data:
                    writer.send(number)

            proxy.met = met
            writing = asyncio.create_task(writer.write(asset))
            await asyncio.sleep(0.7)
            proxy.met = lambda _: None
            if number is signal.SIGSTOP:
                writer.send(signal.SIGCONT)
            await writing
            await asyncio.sleep(0.3)
            await writer.end()

    return strike


@dataclass(frozen=True)
class Fault:
    """What happens to a writer. `bound`: for how long its ingests may be missed, in seconds."""

    name: str
    strike: Callable[[World], Awaitable[None]]
    bound: float = 0.0

    def __str__(self) -> str:
        return self.name


FAULTS = (
    Fault("Redis is away; the writer ends before it is back", redis_away),
    Fault("no server runs; a command writes without a cache", nobody_listens),
    Fault("paused between mark and commit", _struck(words.MARK, signal.SIGSTOP)),
    Fault("killed between mark and commit", _struck(words.MARK, signal.SIGKILL)),
    Fault("paused between commit and drop", _struck(words.DROP, signal.SIGSTOP)),
    Fault("killed between commit and drop", _struck(words.DROP, signal.SIGKILL)),
    Fault("the writer is cut off from Redis", cut_off, 1.0),
    Fault("the writer has no cache on Redis", no_cache, 1.0),
    Fault("the writer is on another Redis", another_master, 1.0),
)


async def drive(fault: Fault) -> Seen:
    """What clients saw while it struck."""
    async with world() as w:
        await w.in_use()
        await fault.strike(w)
        return w.watch.seen


async def _write(database: str, cache_url: str) -> None:
    """Ingest what stands in the lines of the input, and say so."""
    async with FeatureStore.open(database, cache_url=cache_url, cache_timeout=TIMEOUT) as store:
        while line := await asyncio.to_thread(sys.stdin.readline):
            asset, value = line.split()
            await store.ingest([reading(asset, float(value))], "t")
            print("ok", flush=True)


def _row(fault: Fault, seen: Seen) -> str:
    hits, late = f"{seen.hits / seen.answers:.0%}", f"{seen.late * 1e3:.0f} ms" if seen.late else ""
    cells = (
        f"{seen.answers:,}",
        hits,
        f"{seen.ingests:,}",
        f"{seen.stale:,}",
        late,
        f"{seen.back:,}",
    )
    return f"| {fault} | {' | '.join(cells)} |"


if __name__ == "__main__":
    if len(sys.argv) == 3:
        asyncio.run(_write(*sys.argv[1:]))
    else:
        print("| fault | answers | cached | ingests | stale | for up to | going back |")
        print("|---|--:|--:|--:|--:|--:|--:|")
        for one in FAULTS:
            if len(sys.argv) == 1 or sys.argv[1] in one.name:
                print(_row(one, asyncio.run(drive(one))), flush=True)
        servers.stop_all()

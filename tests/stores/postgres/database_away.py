"""Clients at work while PostgreSQL fails and heals, and what they saw.

`python tests/stores/postgres/database_away.py` prints the table of docs/reliability.md.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))

from ai_hub import FeatureStore
from ai_hub.config import Settings
from ai_hub.definitions.values import HOUR, MINUTE, SECOND, Duration, parse_time, to_datetime
from conformance.kit import observation
from servers import Server

CLIENTS = 16
BEFORE, DURING, AFTER = 0.5, 2.5, 0.5
PATIENCE = 1.0
T = parse_time("2025-10-09T14:30:00Z")


@dataclass(frozen=True)
class Fault:
    """Something that happens to a server and is made good again."""

    name: str
    strike: Callable[[Server], object]
    heal: Callable[[Server], object]

    def __str__(self) -> str:
        return self.name


FAULTS = (
    Fault("refused", lambda server: server.halt(), lambda server: server.start()),
    Fault("slow (stopped)", lambda server: server.pause(), lambda server: server.resume()),
    Fault("crashed and restarted", lambda server: server.restart(crash=True), lambda _: None),
)


@dataclass
class Seen:
    """What clients saw; times in seconds. `late` counts requests of more than 100 ms."""

    requests: int = 0
    cached: int = 0
    degraded: int = 0
    wrong: list[str] = field(default_factory=list)
    failures: list[BaseException] = field(default_factory=list)
    worst: float = 0.0
    late: int = 0
    recovered: float | None = None


async def suffer(server: Server, url: str, fault: Fault) -> Seen:
    """Sixteen clients ask for cached vectors and for new ones while a fault comes and goes."""
    seen, stopping = Seen(), asyncio.Event()
    settings = Settings(
        database_url=url,
        connect_timeout=Duration(SECOND),
        patience=Duration(int(PATIENCE * SECOND)),
    )
    async with FeatureStore(settings) as store:
        await store.ingest([observation("a", T, 5.0)], "t")

        async def ask(client: int) -> None:
            turn = 0
            while not stopping.is_set():
                turn += 1
                # One in four was asked for before; the others nobody can know of.
                minute = 0 if turn % 4 == 0 else (client * 100_003 + turn * 17) % 59
                names = ["lag_1h", "hour_of_day"] if turn % 4 == 0 else ["hour_of_day", "lag_1h"]
                begin = time.perf_counter()
                try:
                    answer = await store.get(
                        tenant_id="t",
                        asset_id="a",
                        timestamp=to_datetime(T + HOUR + minute * MINUTE),
                        feature_names=names if minute == 0 else [*names, f"rolling_{_stat(turn)}"],
                        missing=float(turn * CLIENTS + client) if minute else None,
                    )
                except BaseException as error:  # noqa: BLE001  # It is counted.
                    seen.failures.append(error)
                    return
                took = time.perf_counter() - begin
                seen.requests += 1
                seen.cached += answer.cache_hit
                seen.degraded += answer.degraded
                seen.worst = max(seen.worst, took)
                seen.late += took > 0.1
                if answer.features["hour_of_day"] not in (15, 16):
                    seen.wrong.append(f"hour {answer.features}")
                if not answer.degraded and answer.features["lag_1h"] != 5.0:
                    seen.wrong.append(f"lag {answer.features}")
                await asyncio.sleep(0.004)

        tasks = [asyncio.create_task(ask(client)) for client in range(CLIENTS)]
        await asyncio.sleep(BEFORE)
        await asyncio.to_thread(fault.strike, server)
        await asyncio.sleep(DURING)
        await asyncio.to_thread(fault.heal, server)
        healed = time.perf_counter()
        while time.perf_counter() - healed < 20:
            answer = await store.get(
                tenant_id="t", asset_id="a", timestamp=to_datetime(T + HOUR),
                feature_names=["lag_1h"], exact=True,
            )  # fmt: skip
            if not answer.degraded:
                seen.recovered = time.perf_counter() - healed
                break
            await asyncio.sleep(0.02)
        await asyncio.sleep(AFTER)
        stopping.set()
        await asyncio.gather(*tasks)
    return seen


def _stat(turn: int) -> str:
    return ("avg_24h", "std_24h", "min_24h", "max_24h")[turn % 4]


def main() -> None:
    print("| fault | requests | cached | degraded | wrong values | errors | slowest request "
          "| over 100 ms | answers right again after |")  # fmt: skip
    print("|---|--:|--:|--:|--:|--:|--:|--:|--:|")
    for fault in FAULTS:
        server = Server("plain")
        try:
            seen = asyncio.run(suffer(server, server.fresh(), fault))
        finally:
            server.stop()
        back = "never" if seen.recovered is None else f"{seen.recovered:.1f} s"
        print(
            f"| {fault} | {seen.requests:,} | {seen.cached:,} | {seen.degraded:,} "
            f"| {len(seen.wrong)} | {len(seen.failures)} | {seen.worst * 1e3:,.0f} ms "
            f"| {seen.late} | {back} |"
        )


if __name__ == "__main__":
    main()

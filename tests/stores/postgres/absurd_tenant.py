"""A tenant whose values no square fits in a float, beside a hundred others, all asked at once.

`python tests/stores/postgres/absurd_tenant.py` prints the table of docs/reliability.md.
"""

from __future__ import annotations

import asyncio
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))

from ai_hub import FeatureStore
from ai_hub.config import Settings
from ai_hub.definitions.values import (
    FIRST_INSTANT,
    HOUR,
    LAST_INSTANT,
    Duration,
    parse_time,
    to_datetime,
)
from conformance.kit import Row, observation
from servers import Kind, Server

TENANTS, ASSETS, ROUNDS = 100, 10, 40
T = parse_time("2025-10-09T14:30:00Z")
ABSURD = (1e200, 1.7e308, -1e308, 5e-324, 1.7e308)
"""What the absurd tenant's assets hold, besides readings of the years 1 and 9999."""


@dataclass
class Seen:
    """What the ordinary tenants saw; times in seconds."""

    times: list[float] = field(default_factory=list)
    degraded: int = 0
    wrong: int = 0
    absurd_degraded: int = 0

    def percentile(self, share: float) -> float:
        return sorted(self.times)[int(share * (len(self.times) - 1))]


def ordinary(tenant: int) -> list[Row]:
    return [observation("a", T - hour * HOUR, float(tenant + hour % 2)) for hour in range(24)]


def absurd() -> list[Row]:
    rows = []
    for asset in range(ASSETS):
        name = f"absurd-{asset}"
        rows += [
            observation(name, T - hour * HOUR, ABSURD[(hour + asset) % len(ABSURD)])
            for hour in range(24)
        ]
        rows += [observation(name, time, 1e200) for time in (FIRST_INSTANT, LAST_INSTANT)]
    return rows


async def load(url: str, beside: bool, rounds: int = ROUNDS, patience: str = "1s") -> Seen:
    """Every tenant is asked for something new in each round, and the absurd one with them."""
    seen = Seen()
    settings = Settings(database_url=url, patience=Duration.of(patience))
    async with FeatureStore(settings) as store:
        await store.prepare()

        async def ask(tenant: str, asset: str, at: int) -> tuple[float, bool, object]:
            begin = time.perf_counter()
            answer = await store.get(
                tenant_id=tenant, asset_id=asset, timestamp=to_datetime(at),
                feature_set="anomaly_detection", exact=True,
            )  # fmt: skip
            took = time.perf_counter() - begin
            return took, answer.degraded, answer.features.get("historical_avg_24h")

        for turn in range(-2, rounds):
            at = T + turn + 2
            good = [ask(f"tenant-{n}", "a", at) for n in range(TENANTS)]
            bad = [ask("absurd", f"absurd-{n}", at) for n in range(ASSETS)] if beside else []
            found = await asyncio.gather(*bad, *good)
            if turn < 0:
                continue
            seen.absurd_degraded += sum(degraded for _, degraded, _ in found[: len(bad)])
            for tenant, (took, degraded, mean) in enumerate(found[len(bad) :]):
                seen.times.append(took)
                seen.degraded += degraded
                seen.wrong += not degraded and mean != tenant + 0.5
    return seen


async def fill(url: str) -> None:
    async with FeatureStore(Settings(database_url=url)) as store:
        for tenant in range(TENANTS):
            await store.ingest(ordinary(tenant), f"tenant-{tenant}")
        await store.ingest(absurd(), "absurd")


def main() -> None:
    print("| server | beside | requests | degraded | wrong values | median | p99 |")
    print("|---|---|--:|--:|--:|--:|--:|")
    kinds: tuple[Kind, ...] = ("plain", "timescaledb")
    for kind in kinds:
        server = Server(kind)
        try:
            url = server.fresh()
            asyncio.run(fill(url))
            for beside in (False, True, False, True):
                seen = asyncio.run(load(url, beside))
                half, most = (seen.percentile(share) * 1e3 for share in (0.5, 0.99))
                print(
                    f"| {kind} | {'the absurd tenant' if beside else 'nobody'} "
                    f"| {len(seen.times):,} | {seen.degraded} | {seen.wrong} "
                    f"| {half:,.1f} ms | {most:,.1f} ms |",
                    flush=True,
                )
        finally:
            server.stop()


if __name__ == "__main__":
    main()

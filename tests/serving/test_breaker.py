"""States of a breaker, and who waits when."""

from __future__ import annotations

import asyncio
import time

import pytest

from ai_hub.serving.breaker import Breaker
from serving.timeless import timeless


class Thing:
    """Something that can be away."""

    def __init__(self) -> None:
        self.away = True
        self.probes = 0

    async def probe(self) -> None:
        self.probes += 1
        if self.away:
            raise OSError("away")


@timeless
async def test_it_opens_and_closes_by_itself() -> None:
    thing = Thing()
    breaker = Breaker("it", thing.probe, pause=0.02, settle=0.05)
    assert breaker.state == "closed"
    breaker.trip("away")
    assert breaker.state == "open"
    await asyncio.sleep(0.1)
    assert breaker.state == "open"
    assert 3 <= thing.probes <= 6
    thing.away = False
    await asyncio.sleep(0.03)
    assert breaker.state == "half-open"
    await asyncio.sleep(0.08)
    assert breaker.state == "closed"
    probes = thing.probes
    await asyncio.sleep(0.05)
    assert thing.probes == probes
    await breaker.close()


@timeless
async def test_a_failure_while_it_settles_opens_it_again() -> None:
    thing = Thing()
    thing.away = False
    breaker = Breaker("it", thing.probe, pause=0.02, settle=10)
    breaker.trip("away")
    await asyncio.sleep(0.01)
    assert breaker.state == "half-open"
    thing.away = True
    breaker.trip("away again")
    assert breaker.state == "open"
    await asyncio.sleep(0.05)
    assert breaker.state == "open"
    assert thing.probes >= 3
    thing.away = False
    await asyncio.sleep(0.05)
    assert breaker.state == "half-open"
    await breaker.close()


@timeless
async def test_it_opens_more_than_once() -> None:
    thing = Thing()
    thing.away = False
    breaker = Breaker("it", thing.probe, pause=0.01, settle=0.01)
    for _ in range(3):
        breaker.trip("away")
        assert breaker.state == "open"
        await asyncio.sleep(0.05)
        assert breaker.state == "closed"
    await breaker.close()


@timeless
async def test_waiting_for_it_is_bounded_from_when_it_opened() -> None:
    thing = Thing()
    breaker = Breaker("it", thing.probe, pause=0.02, settle=0.05)
    assert await breaker.found(within=10)
    breaker.trip("away")
    begin = time.monotonic()
    assert not await breaker.found(within=0.1)
    assert time.monotonic() - begin == pytest.approx(0.1)
    begin = time.monotonic()
    assert not await breaker.found(within=0.1)
    assert time.monotonic() - begin < 0.001
    thing.away = False
    assert await breaker.found(within=10)
    assert time.monotonic() - begin < 1
    await breaker.close()

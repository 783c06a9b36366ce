"""A write is seen at once and for good, wherever its writer stands or fails."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence

import pyarrow as pa
import pytest

from ai_hub.errors import StoreUnavailable
from ai_hub.serving.reader import Reader
from ai_hub.serving.writer import Writer
from ai_hub.stores.audit_log import AuditRecord
from ai_hub.stores.base import Announce, Landed
from serving.doubles import AT, SPEC, TENANT, HeldStore, batch
from serving.kinds import Kind


async def lags(reader: Reader) -> list[float]:
    """Some answers, one after the other."""
    found = []
    for _ in range(3):
        ((value, _),) = await reader.vectors(SPEC, TENANT, ["a"], AT)
        found.append(json.loads(value)["features"]["lag_1h"])
    return found


async def test_no_answer_goes_back_while_a_writer_stands_at_its_commit(kind: Kind) -> None:
    store = HeldStore()
    async with kind.opened() as cache:
        reader, writer = Reader(store, cache, lambda: AT), Writer(store, cache)
        assert await lags(reader) == [0.0] * 3
        store.committing, store.appending = asyncio.Event(), asyncio.Event()
        landing = asyncio.create_task(writer.land(batch(5.0, "a"), "observations"))
        async with asyncio.timeout(5):
            await store.marked.wait()
        assert await lags(reader) == [0.0] * 3
        store.committing.set()
        await asyncio.sleep(0.01)
        assert await lags(reader) == [5.0] * 3
        store.appending.set()
        await landing
        assert await lags(reader) == [5.0] * 3
        # And it is cached again.
        computed = len(store.computations)
        assert await lags(reader) == [5.0] * 3
        assert len(store.computations) == computed


class Fails(HeldStore):
    """A store whose writes are committed, and which does not know of it."""

    async def append(
        self,
        observations: pa.Table,
        announce: Announce | None = None,
        audit: Sequence[AuditRecord] = (),
    ) -> Landed:
        await super().append(observations, announce, audit)
        raise StoreUnavailable("the connection was lost at the commit")


async def test_a_write_that_fails_at_its_commit_is_not_hidden(kind: Kind) -> None:
    store = Fails()
    async with kind.opened() as cache:
        reader, writer = Reader(store, cache, lambda: AT), Writer(store, cache)
        assert await lags(reader) == [0.0] * 3
        with pytest.raises(StoreUnavailable):
            await writer.land(batch(9.0, "a"), "observations")
        assert await lags(reader) == [9.0] * 3

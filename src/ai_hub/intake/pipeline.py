"""Batches on their way into a store: one lands while the next one is read and checked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import TypeVar

from ai_hub.intake.batch import Batch

_T = TypeVar("_T")


async def landing(
    batches: Iterator[Batch], land: Callable[[Batch], Awaitable[_T]]
) -> AsyncIterator[tuple[Batch, _T]]:
    """Each batch, in order, with what landing it gave; reading goes on in a thread meanwhile.

    Where reading fails, the batch under way is still told of before the error comes.
    """
    batch = await asyncio.to_thread(next, batches, None)
    while batch is not None:
        under_way = asyncio.ensure_future(land(batch))
        try:
            following = await asyncio.to_thread(next, batches, None)
        except Exception:
            yield batch, await under_way
            raise
        yield batch, await under_way
        batch = following

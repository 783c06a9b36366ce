"""The client that users import: a method for each task, as the store has them."""

from __future__ import annotations

from ai_hub.client.connection import Connection
from ai_hub.client.data import Data
from ai_hub.client.history import Histories
from ai_hub.client.registry import Registry
from ai_hub.client.training_sets import TrainingSets
from ai_hub.client.vectors import Vectors


class AsyncClient(Vectors, Data, Histories, TrainingSets, Registry):
    """A server of feature vectors, with the methods, answers and errors of the store.

    Use it as `async with AsyncClient("http://127.0.0.1:8003") as client:`. By default it asks that
    address, with the key of AI_HUB_API_KEY. `timeout` bounds an answer in seconds, `work_timeout`
    one that takes long (an export, rows that land); for `patience` seconds a request that failed
    is sent again, where that cannot do twice what was asked once. Raises ServerUnreachable where
    nobody answers, and ServerFailed.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        key: str | None = None,
        timeout: float = 10.0,
        work_timeout: float | None = 600.0,
        patience: float = 30.0,
    ) -> None:
        super().__init__(
            Connection(url, key, timeout=timeout, work_timeout=work_timeout, patience=patience)
        )

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Let go of its connections."""
        await self.connection.close()

"""Between a cache and its server: passes bytes on, or answers in the server's place."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType


class Proxy:
    """`answer` is what comes back for whatever is sent; None passes it on to the server.

    Who sends `cut`, if there is one, is cut off before the server has it; `was_cut` is set then.
    `met` is called with what a client sends, before the server has it; a coroutine is waited for.
    """

    def __init__(self, port: int) -> None:
        self._behind = port
        self._tasks: set[asyncio.Task[None]] = set()
        self.answer: bytes | None = None
        self.cut: bytes | None = None
        self.was_cut = asyncio.Event()
        self.met: Callable[[bytes], object] = lambda _: None

    async def __aenter__(self) -> Proxy:
        self._server = await asyncio.start_server(self._meet, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            # A server of streams logs its cancelled tasks as faults.
            with suppress(OSError, asyncio.CancelledError):
                await self._pass(reader, writer)
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers, requests = await asyncio.open_connection("127.0.0.1", self._behind)

        async def back() -> None:
            with suppress(OSError):
                while data := await answers.read(65536):
                    if self.answer is None:
                        writer.write(data)
            writer.transport.abort()

        task = asyncio.create_task(back())
        try:
            while data := await reader.read(65536):
                met = self.met(data)
                if asyncio.iscoroutine(met):
                    await met
                if self.cut is not None and self.cut in data:
                    self.was_cut.set()
                    break
                if self.answer is None:
                    requests.write(data)
                else:
                    writer.write(self.answer)
        finally:
            task.cancel()
            requests.transport.abort()

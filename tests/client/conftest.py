"""Servers that answer as they are told, and a real one."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from acceptance.serving import Server, serving

COMMAND = (
    sys.executable,
    "-c",
    "from ai_hub.config import Settings; from ai_hub.http import serve; serve(Settings.load())",
)


@dataclass
class Told:
    """A server that does with each request what it is told next: the last one for all others.

    A whole number is a status (with `retry-after` for 503 and 429), a text the JSON of an answer,
    "hang" and "break" are what they say, and bytes come as they are.
    """

    acts: list[int | str | bytes]
    requests: list[tuple[str, str]] = field(default_factory=list)
    url: str = ""
    retry_after: str = "0"

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                method, path, _ = line.decode().split(" ")
                size = 0
                while (header := await reader.readline()) not in (b"\r\n", b""):
                    name, _, value = header.decode().partition(":")
                    size = int(value) if name.lower() == "content-length" else size
                await reader.readexactly(size)
                self.requests.append((method, path))
                act = self.acts.pop(0) if len(self.acts) > 1 else self.acts[0]
                if act == "hang":
                    await asyncio.sleep(60)
                if act == "break":
                    return
                writer.write(act if isinstance(act, bytes) else self._reply(act))
                await writer.drain()
        finally:
            writer.close()

    def _reply(self, act: int | str) -> bytes:
        status, body = 200, act
        more = ""
        if isinstance(act, int):
            status, body = act, json.dumps({"detail": f"it is {act}", "field": None})
            more = f"retry-after: {self.retry_after}\r\n"
        assert isinstance(body, str)
        head = f"HTTP/1.1 {status} Said\r\ncontent-length: {len(body)}\r\n{more}"
        return f"{head}content-type: application/json\r\n\r\n{body}".encode()


@pytest.fixture
def tell() -> Callable[..., object]:
    """Begins such a server."""

    @asynccontextmanager
    async def begun(*acts: int | str | bytes, retry_after: str = "0") -> AsyncIterator[Told]:
        told = Told(list(acts), retry_after=retry_after)
        server = await asyncio.start_server(told.answer, "127.0.0.1", 0)
        told.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield told
        finally:
            server.close()

    return begun


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder: Path = tmp_path_factory.mktemp("client")
    with serving(COMMAND, folder, database_url="duckdb:///:memory:") as running:
        yield running

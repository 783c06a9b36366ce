"""Answers that are files: written beside the loop, and sent without being in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, BinaryIO

from litestar.response.base import ASGIResponse
from litestar.types import Receive, Send

from ai_hub.config import Settings
from ai_hub.export.nameless import nameless
from ai_hub.export.place import Places
from ai_hub.http.exchange import FILE


class FileAnswer(ASGIResponse):
    """An answer that is a file."""

    def __init__(self, file: BinaryIO, media_type: str) -> None:
        self._file = file
        super().__init__(content_length=file.seek(0, 2), media_type=media_type)

    async def send_body(self, send: Send, receive: Receive) -> None:
        """Send it, and let go of the file."""
        message: Any = {"type": FILE, "file": self._file, "count": self.content_length}
        try:
            await send(message)
        finally:
            # The system frees its pages only now, which takes a while.
            await asyncio.to_thread(self._file.close)


async def written(settings: Settings, write: Callable[[str], object]) -> BinaryIO:
    """A file without a name below the export root, with what `write` puts at its path, in a thread:
    Arrow writes there itself, and each call through Python would wait for its interpreter."""
    file = await asyncio.to_thread(nameless, Places.of(settings))
    try:
        await asyncio.to_thread(write, f"/dev/fd/{file.fileno()}")
    except BaseException:
        file.close()
        raise
    return file

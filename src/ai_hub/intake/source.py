"""Where bytes come from: a file, standard input or a body. They can be read more than once."""

from __future__ import annotations

import io
import shutil
import sys
import tempfile
import weakref
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import BinaryIO

from ai_hub.errors import InvalidInput

STDIN = Path("-")
"""The path that stands for standard input."""

MAX_UNPACKED_BODY = 2 << 30
"""What a compressed body may unpack to, in bytes: a few bytes can say a great many."""

_HEAD = 4096


@dataclass(frozen=True, slots=True)
class Source:
    """Bytes that `open` gives from the first one on, as often as it is called.

    `field` is what an error about them names (`file` or `body`), `name` the value that it shows.
    `size` is in bytes, of what the file has; `packed` names the compressions that were taken off,
    and `most` is how many bytes may come out of them (0: any number).
    """

    field: str
    name: str
    size: int
    open: Callable[[], BinaryIO]
    packed: str = ""
    most: int = 0

    @classmethod
    def of_path(cls, path: Path, stdin: BinaryIO | None = None) -> Source:
        """A file, or with the path `-` standard input. InvalidInput if it cannot be read."""
        if path == STDIN:
            return cls._of_stream(stdin or sys.stdin.buffer, "standard input")

        def opened() -> BinaryIO:
            try:
                return path.open("rb")
            except OSError as error:
                raise no_file(path, error) from None

        with opened() as stream:
            if not stream.seekable():  # a pipe, as a shell makes of <(...)
                return cls._of_stream(stream, str(path))
            size = stream.seek(0, io.SEEK_END)
        return cls("file", str(path), size, opened)

    @classmethod
    def of_bytes(cls, body: bytes) -> Source:
        """A body."""
        opened = partial(io.BytesIO, body)
        return cls("body", "the body", len(body), opened, most=MAX_UNPACKED_BODY)

    @classmethod
    def _of_stream(cls, stream: BinaryIO, name: str) -> Source:
        # What comes through a pipe comes once, and may be more than memory holds.
        kept = tempfile.TemporaryFile()  # noqa: SIM115
        try:
            shutil.copyfileobj(stream, kept)
        except OSError as error:
            kept.close()
            raise no_file(Path(name), error) from None

        def opened() -> BinaryIO:
            kept.seek(0)
            return open(kept.fileno(), "rb", closefd=False)

        source = cls("file", name, kept.tell(), opened)
        weakref.finalize(opened, kept.close)
        return source

    def head(self) -> bytes:
        """The first bytes."""
        with self.open() as stream:
            return stream.read(_HEAD)

    def unpacked(self, packed: str, opened: Callable[[], BinaryIO]) -> Source:
        """The same source behind a compression."""
        return replace(self, open=opened, packed=f"{self.packed} {packed}".strip())

    def wrong(self, value: object, expected: str, hint: str = "") -> InvalidInput:
        """An error about these bytes."""
        return InvalidInput(self.field, value, expected, hint)


def no_file(path: Path, error: OSError) -> InvalidInput:
    """The error of a file that cannot be read."""
    return InvalidInput("file", str(path), "a file that can be read", error.strerror or "")

"""The contract of what keeps files."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol

from ai_hub.storage.sink import Sink
from ai_hub.storage.url import Url


class Found(NamedTuple):
    """A file that is there."""

    name: str
    """Relative to the storage's own URL, with `/` between segments."""
    size: int
    """Bytes."""


class Upload(NamedTuple):
    """A file under way that nobody sees: of a process that works, or of one that died."""

    name: str
    id: str


class Storage(Protocol):
    """Files below a URL, by names relative to it. A file is there as a whole or not at all.

    Calls wait for the answer, for a bounded time; threads may share it. Each raises StorageError:
    StorageUnavailable where nothing answers in time, StorageRefused where credentials do not do,
    ObjectMissing and ObjectExists.
    """

    @property
    def url(self) -> Url:
        """Where it is."""

    def put(self, name: str, content: bytes, *, new: bool = False) -> None:
        """Write a small file. One that must be `new` raises ObjectExists where one is there: of
        many who try at once, one succeeds."""

    def get(self, name: str) -> bytes:
        """All of a file. Raises ObjectMissing."""

    def open(self, name: str) -> io.BufferedIOBase:
        """A file to be read in ranges, as by pyarrow. Raises ObjectMissing."""

    def list(self, below: str = "") -> Iterator[Found]:
        """The files in a folder and those below it, by name; none where there is no folder."""

    def delete(self, names: Iterable[str]) -> None:
        """Remove files. What is not there is as good as removed."""

    def writer(self, name: str) -> Sink:
        """A file to be written from its begin to its end, in place of one that is there."""

    def uploads(self, below: str = "") -> Sequence[Upload] | None:
        """Files under way in a folder and below it; None where the storage does not tell."""

    def abort(self, upload: Upload) -> None:
        """Leave nothing of a file under way. One that has ended is none."""

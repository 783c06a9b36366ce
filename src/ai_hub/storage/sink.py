"""What a file under way is written to, by pyarrow too: summed, and nothing unless it ends well."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self


class Sink(ABC):
    """A file that is there, whole, once its `with` block ends; nothing is if an error leaves it.

    `closed` is an attribute, as pyarrow expects of a file.
    """

    def __init__(self) -> None:
        self.closed = False
        self.size = 0
        """Bytes written."""
        self._sum = hashlib.sha256()

    @property
    def checksum(self) -> str:
        """The SHA-256 of what is written, in hexadecimal."""
        return self._sum.hexdigest()

    def write(self, data: bytes | memoryview) -> int:
        """Append some bytes; how many. Raises StorageError."""
        view = memoryview(data).cast("B")
        self._append(view)
        self._sum.update(view)
        self.size += len(view)
        return len(view)

    def close(self) -> None:
        """Let it be there. Raises StorageError, and then it is not."""
        if not self.closed:
            self.closed = True
            self._finish()

    def abort(self) -> None:
        """Leave nothing of it, as far as the storage answers."""
        if not self.closed:
            self.closed = True
            self._give_up()

    def tell(self) -> int:
        """Bytes written."""
        return self.size

    def flush(self) -> None:  # noqa: B027  # It is all of it.
        """Nothing is there before all is."""

    def readable(self) -> bool:
        """It is not."""
        return False

    def writable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is not."""
        return False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self.close()
        else:
            self.abort()

    @abstractmethod
    def _append(self, data: memoryview) -> None: ...

    @abstractmethod
    def _finish(self) -> None:
        """Let it be there, or raise StorageError and leave nothing."""

    @abstractmethod
    def _give_up(self) -> None:
        """Raises nothing: what is left is found by `uploads`."""

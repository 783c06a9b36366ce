"""A file that is written from its begin to its end, and summed meanwhile."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field

_PART = 1 << 18
_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW


def created(name: str, folder: int) -> int:
    """The handle of a new file in an open folder, its owner's alone. Raises OSError."""
    return os.open(name, _NEW, 0o600, dir_fd=folder)


@dataclass(slots=True)
class SummedFile:
    """An open file of ours that grows."""

    handle: int
    size: int = field(default=0, init=False)
    """Bytes that are summed."""
    _sum: hashlib._Hash = field(default_factory=hashlib.sha256, init=False)

    def write(self, data: bytes | memoryview) -> None:
        """Write all of some bytes. Raises OSError."""
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self.handle, rest) :]

    def follow(self) -> None:
        """Sum what was written since. Raises OSError."""
        part = memoryview(bytearray(_PART))
        while count := os.preadv(self.handle, [part], self.size):
            self._sum.update(part[:count])
            self.size += count

    def sync(self) -> None:
        """Have it on the disk, as far as it is written."""
        os.fsync(self.handle)

    @property
    def checksum(self) -> str:
        """The SHA-256 of what is summed, in hexadecimal."""
        return self._sum.hexdigest()

"""Opens the storage that a URL names."""

from __future__ import annotations

from ai_hub.storage.base import Storage
from ai_hub.storage.local import LocalStorage
from ai_hub.storage.objects import ObjectStorage, Patience
from ai_hub.storage.url import Url


def open_storage(url: Url, *, umask: int = 0o077, patience: Patience | None = None) -> Storage:
    """What keeps the files below a URL; nothing is asked of it yet.

    `umask` is that of new files in a folder; object storage is waited for with `patience`. Raises
    InvalidInput where the extra `cloud` is not installed, StorageError.
    """
    if url.scheme == "file":
        return LocalStorage(url, umask)
    return ObjectStorage(url, patience)

"""Files in object storage: S3 and what speaks as it does, Google's and Azure's."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from ai_hub.errors import ObjectExists, ObjectMissing, StorageError
from ai_hub.storage.base import Found, Upload
from ai_hub.storage.faults import from_extra, said
from ai_hub.storage.s3_uploads import S3Uploads
from ai_hub.storage.sink import Sink
from ai_hub.storage.url import Url

if TYPE_CHECKING:
    from obstore.store import ObjectStore

_PIECE = 8 << 20
"""Bytes of a part of an upload: with 10,000 of them, as S3 allows, a file has 80 GB at most."""
_AT_ONCE = 4
_AHEAD = 1 << 20
"""Bytes read at least."""
_AT_A_TIME = 1_000
"""Files removed with one request."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long an answer is waited for: seconds for each request, and how often it is tried
    again, for so many seconds in all. After that it is an error."""

    answer: float = 60
    retries: int = 5
    whole: float = 120
    connect: float = 10


class ObjectStorage:
    """What is below a URL of object storage. Credentials and the endpoint are the environment's."""

    def __init__(self, url: Url, patience: Patience | None = None) -> None:
        self.url = url
        self._patience = patience or Patience()
        self._store = _opened(url, self._patience)

    def put(self, name: str, content: bytes, *, new: bool = False) -> None:
        """See `Storage`."""
        import obstore

        try:
            with said(self.url / name):
                obstore.put(
                    self._store,
                    name,
                    content,
                    mode="create" if new else "overwrite",
                    use_multipart=False,
                )
        except ObjectExists:
            # What was tried again may have been there since the first time, its answer lost.
            with suppress(ObjectMissing):
                if self.get(name) == content:
                    return
            raise

    def get(self, name: str) -> bytes:
        """See `Storage`."""
        import obstore

        with said(self.url / name):
            return bytes(obstore.get(self._store, name).bytes())

    def open(self, name: str) -> io.BufferedIOBase:
        """See `Storage`."""
        import obstore

        with said(self.url / name):
            size = obstore.head(self._store, name)["size"]
        return io.BufferedReader(_Ranges(self._store, self.url / name, name, size), _AHEAD)

    def list(self, below: str = "") -> Iterator[Found]:
        """See `Storage`."""
        import obstore

        with said(self.url / below):
            found = obstore.list(self._store, below or None).collect()
        return iter(sorted(Found(one["path"], one["size"]) for one in found))

    def delete(self, names: Iterable[str]) -> None:
        """See `Storage`."""
        import obstore

        rest = [*names]
        for at in range(0, len(rest), _AT_A_TIME):
            with said(self.url), suppress(FileNotFoundError):
                obstore.delete(self._store, rest[at : at + _AT_A_TIME])

    def writer(self, name: str) -> Sink:
        """See `Storage`."""
        return _ObjectSink(self._store, self.url / name, name)

    def uploads(self, below: str = "") -> Sequence[Upload] | None:
        """See `Storage`: only S3 tells, and only whoever has the keys in the environment."""
        uploads = S3Uploads.of(self.url, self._patience.answer)
        return None if uploads is None else uploads.list(below)

    def abort(self, upload: Upload) -> None:
        """See `Storage`."""
        uploads = S3Uploads.of(self.url, self._patience.answer)
        if uploads is None:
            raise StorageError(f"{self.url}: uploads under way cannot be given up here")
        with suppress(ObjectMissing):
            uploads.abort(upload)


class _ObjectSink(Sink):
    def __init__(self, store: ObjectStore, url: Url, name: str) -> None:
        super().__init__()
        import obstore

        self._url = url
        self._writer = obstore.open_writer(
            store, name, buffer_size=_PIECE, max_concurrency=_AT_ONCE
        )

    def _append(self, data: memoryview) -> None:
        with said(self._url):
            self._writer.write(data)

    def _finish(self) -> None:
        try:
            with said(self._url):
                self._writer.close()
        except StorageError:
            self._give_up()
            raise

    def _give_up(self) -> None:
        # The library gives its upload up when an error leaves its block.
        with suppress(Exception):
            self._writer.__exit__(StorageError, StorageError(), None)


class _Ranges(io.RawIOBase):
    """A file in object storage, read where it is asked for."""

    def __init__(self, store: ObjectStore, url: Url, name: str, size: int) -> None:
        super().__init__()
        self._store, self._url, self._name, self._size = store, url, name, size
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = max(0, offset + {0: 0, 1: self._at, 2: self._size}[whence])
        return self._at

    def readinto(self, buffer: Any) -> int:
        import obstore

        view = memoryview(buffer).cast("B")
        count = min(len(view), self._size - self._at)
        if count <= 0:
            return 0
        with said(self._url):
            data = obstore.get_range(self._store, self._name, start=self._at, length=count)
        view[: len(data)] = memoryview(data)
        self._at += len(data)
        return len(data)


def _opened(url: Url, patience: Patience) -> ObjectStore:
    """The library's store. Raises InvalidInput without the extra, StorageError."""
    with from_extra():
        from obstore.store import AzureStore, GCSStore, S3Store
    endpoint = _named_endpoint(url)
    client: Any = {
        "timeout": timedelta(seconds=patience.answer),
        "connect_timeout": timedelta(seconds=patience.connect),
        # Whoever names an endpoint without TLS in the environment means it.
        "allow_http": endpoint.startswith("http://"),
    }
    retry: Any = {
        "max_retries": patience.retries,
        "retry_timeout": timedelta(seconds=patience.whole),
    }
    options: Any = {
        "prefix": url.key or None,
        "client_options": client,
        "retry_config": retry,
    }
    with said(url):
        match url.scheme:
            case "s3":
                if endpoint:
                    options["endpoint"] = endpoint
                return S3Store(url.bucket, **options)
            case "gs":
                return GCSStore(url.bucket, **options)
            case "az":
                return AzureStore(url.bucket, **options)
            case "file":
                raise StorageError(f"{url} is a folder")


def delta_options(url: Url) -> dict[str, str] | None:
    """The same storage for `deltalake`, which takes the rest from the environment, too."""
    endpoint = _named_endpoint(url)
    patience = Patience()
    if url.scheme == "file":
        return None
    return {
        "timeout": f"{patience.answer:g}s",
        "connect_timeout": f"{patience.connect:g}s",
        "allow_http": str(endpoint.startswith("http://")).lower(),
        **({"endpoint": endpoint} if endpoint else {}),
    }


def _named_endpoint(url: Url) -> str:
    names = {
        "s3": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"),
        "gs": ("GOOGLE_BASE_URL",),
        "az": ("AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT"),
    }
    return next(filter(None, map(os.environ.get, names.get(url.scheme, ()))), "")

"""Exports in parts as whoever trains a model reads them: by their manifest, and nothing besides."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from ai_hub.errors import InvalidInput, ObjectMissing
from ai_hub.export.manifest import MANIFEST, read
from ai_hub.storage.opening import open_storage
from ai_hub.storage.url import Url

if TYPE_CHECKING:
    import pyarrow.dataset as ds

_EXPECTED = "the folder or URL of an export in parts, with its manifest.json"


def read_manifest(place: str | PurePath) -> Mapping[str, Any]:
    """What an export in parts says of itself: its set, version, fingerprint, policy, range,
    columns, and `parts` with rows, bytes and SHA-256.

    `place` is its folder or URL, the `storage_path` of its record. Raises InvalidInput where there
    is no export, or one that is not whole yet; StorageError.
    """
    try:
        return read(open_storage(Url.of(place, "place")).get(MANIFEST))
    except (ObjectMissing, ValueError) as error:
        if isinstance(error, InvalidInput):
            raise
        raise InvalidInput("place", str(place), _EXPECTED) from error


def dataset(place: str | PurePath) -> ds.Dataset:
    """The rows of an export in parts as a dataset of pyarrow: the parts of its manifest, in their
    order, read when they are asked for. `.to_table()` has all.

    Columns of its layout (`month`, `asset_bucket`) are among its own. Raises as `read_manifest`.
    """
    import pyarrow.dataset as ds

    from ai_hub.storage.arrow import file_system

    parts = [part["path"] for part in read_manifest(place)["parts"]]
    files = file_system(open_storage(Url.of(place, "place")))
    return ds.dataset(parts, format="parquet", filesystem=files, partitioning="hive")

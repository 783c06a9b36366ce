"""The rows of an export where they are: in a file, a folder or object storage."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ai_hub.errors import AiHubError, InvalidInput
from ai_hub.export.reading import read_manifest
from ai_hub.export.rows import KEYS, VALUE
from ai_hub.intake.arrow_faults import UNREADABLE
from ai_hub.storage.base import Storage
from ai_hub.storage.opening import open_storage
from ai_hub.storage.url import Url, is_url

_ROWS = 65_536
"""Of a batch."""
_FILE = "a Parquet file, such as `ai-hub export` writes"
_INDICATOR = "__missing"


@dataclass(frozen=True)
class Source:
    """Parquet files of the same columns, one after the other."""

    name: str
    storage: Storage
    files: Sequence[str]
    said: Mapping[str, str]
    """What an export says of itself; empty for files of other programs."""
    schema: pa.Schema
    rows: int

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The rows, a part of a file at a time."""
        for name in self.files:
            with _file(self.storage, name) as file:
                yield from file.iter_batches(_ROWS)

    @cached_property
    def features(self) -> tuple[str, ...]:
        """The columns of features. Raises InvalidInput where it is not said as exports say it."""
        return self._named("ai_hub.definitions")

    @cached_property
    def targets(self) -> tuple[str, ...]:
        """The columns that the export made as targets. Raises InvalidInput likewise."""
        return self._named("ai_hub.targets")

    def _named(self, key: str) -> tuple[str, ...]:
        text = self.said.get(key, "[]")
        try:
            return tuple(str(one["name"]) for one in json.loads(text))
        except (ValueError, TypeError, LookupError, RecursionError):
            raise InvalidInput("export", text, f"metadata {key} as an export writes it") from None

    @property
    def indicators(self) -> dict[str, str]:
        """For features the columns that say where they were missing."""
        wanted = {name: f"{name}{_INDICATOR}" for name in self.features}
        return {name: one for name, one in wanted.items() if one in self.schema.names}

    def role(self, name: str) -> str:
        """What a column is: `value`, `feature`, `target`, of a spine a `label`; of what no export
        wrote a `column`."""
        if name in self.features:
            return "feature"
        if name in self.targets:
            return "target"
        if not self.said:
            return "column"
        return "value" if name == VALUE else "label"

    @property
    def columns(self) -> tuple[str, ...]:
        """All but keys, and what says where others were missing."""
        beside = {*self.indicators.values(), *(KEYS if self.said else ())}
        return tuple(name for name in self.schema.names if name not in beside)

    def may_be_filled(self, name: str) -> bool:
        """Whether a feature has values that no one can tell from those that were filled in."""
        column = self.schema.field(name)
        real = pa.types.is_floating(column.type) and not column.nullable
        return self.role(name) == "feature" and real and not self.indicators


def source_of(place: str | Path) -> Source:
    """The rows of a Parquet file, of an export's folder with its manifest.json, or of a URL of
    either. Raises InvalidInput, StorageError and OSError."""
    url = Url.of(place, "export")
    if url.segments and _is_file(url):
        above = Url(url.scheme, url.bucket, url.segments[:-1])
        return _opened(str(place), open_storage(above), [url.segments[-1]])
    try:
        files = [part["path"] for part in read_manifest(place)["parts"]]
    except InvalidInput as error:
        raise InvalidInput("export", str(place), f"{error.expected}; or {_FILE}") from None
    return _opened(str(place), open_storage(url), files)


def _is_file(url: Url) -> bool:
    return url.path.is_file() if url.scheme == "file" else url.segments[-1].endswith(".parquet")


def is_place(text: str) -> bool:
    """Whether an export is said by where it is, and not by its id."""
    return is_url(text) or Path(text).exists()


def _opened(name: str, storage: Storage, files: Sequence[str]) -> Source:
    rows, schema, said = 0, pa.schema([]), {}
    for place, one in enumerate(files):
        with _file(storage, one) as file:
            rows += file.metadata.num_rows
            if not place:
                schema = file.schema_arrow
                twice = [key for key, times in Counter(schema.names).items() if times > 1]
                if twice:
                    raise InvalidInput("export", name, f'one column named "{twice[0]}"')
                metadata = file.metadata.metadata or {}
                ours = {key: text for key, text in metadata.items() if key.startswith(b"ai_hub.")}
                said = {key.decode(): text.decode() for key, text in ours.items()}
    return Source(name, storage, files, said, schema, rows)


@contextmanager
def _file(storage: Storage, name: str) -> Iterator[pq.ParquetFile]:
    """A file of a storage. Raises InvalidInput for what is no Parquet, also where that shows later
    on."""
    with storage.open(name) as stream:
        try:
            yield pq.ParquetFile(stream)
        except AiHubError:
            # Of storage, which is an OSError too.
            raise
        except UNREADABLE as error:
            raise InvalidInput("export", name, _FILE, _first_line(error)) from error


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0]


@contextmanager
def summed(source: Source) -> Iterator[None]:
    """Raises InvalidInput where columns are of types, or have values, that nothing is made of."""
    try:
        yield
    except (pa.ArrowException, OverflowError, UnicodeDecodeError) as error:
        raise InvalidInput("export", source.name, _FILE, _first_line(error)) from error

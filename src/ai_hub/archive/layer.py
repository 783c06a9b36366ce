"""What a layer of an archive is: some days of a tenant, sealed as Parquet, and its manifest.

A day is sealed once a layer covers it. A layer is never changed: what came in since, or was taken
out, is a further one of the same days, and of several rows of a key the newest layer's holds. Days
are of UTC; times are microseconds since the epoch.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple, cast
from urllib.parse import quote

from ai_hub.definitions.values import DAY, to_datetime

Kind = Literal["observations", "weather"]
KINDS: tuple[Kind, ...] = ("observations", "weather")
State = Literal["writing", "written", "verified"]
"""Under way (or left by a process that died); sealed; and found equal to the database's rows."""
LIVE = 30 * DAY
"""What is younger than this stays in the database: answers as of now read it."""
FORM = 1
"""Of the manifest; another one would have to be read otherwise."""
_LONGEST_NAME = 200
_MOST_BYTES = 1 << 30


class Part(NamedTuple):
    """A file: the rows of one day whose assets fall into one bucket."""

    name: str
    day: int
    bucket: int
    rows: int
    size: int
    checksum: str


class Extent(NamedTuple):
    """What a layer has of an asset's series (of weather: of a source, `series` empty): usable
    rows, with the first and the last of their times, and rows that say that there is none."""

    asset_id: str
    series: str
    rows: int
    gone: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Layer:
    """Sealed rows of one kind and tenant about [start, end), below a URL. Later layers have
    greater numbers. An asset is in the bucket that its id falls into, of `buckets`."""

    id: str
    number: int
    kind: Kind
    tenant_id: str
    start: int
    end: int
    url: str
    created_at: int
    state: State = "writing"
    buckets: int = 1
    parts: tuple[Part, ...] = ()
    extents: tuple[Extent, ...] = ()

    @property
    def rows(self) -> int:
        """How many rows it has."""
        return sum(one.rows for one in self.parts)

    @property
    def size(self) -> int:
        """The bytes of its files."""
        return sum(one.size for one in self.parts)

    @property
    def folder(self) -> str:
        """Where its parts are, below the URL."""
        return f"{self.kind}/tenant={tenant_folder(self.tenant_id)}"

    @property
    def manifest_name(self) -> str:
        """Where its manifest is, below the URL."""
        return manifest_name(self.tenant_id, self.id)

    def part_name(self, day: int, bucket: int) -> str:
        """Where a part of it is, below the URL."""
        date = to_datetime(day).date().isoformat()
        return f"{self.folder}/day={date}/bucket={bucket}/{self.id}.parquet"

    def covers(self, start: int, end: int) -> bool:
        """Whether it has anything to say of [start, end)."""
        return self.start < end and start < self.end

    def within(self, first: int, last: int) -> Iterable[Part]:
        """The parts that may have rows of [first, last]."""
        return (one for one in self.parts if one.day <= last and one.day + DAY > first)

    def manifest(self) -> bytes:
        """What its manifest says; in JSON."""
        said = {
            "manifest": FORM,
            "layer_id": self.id,
            "number": self.number,
            "kind": self.kind,
            "tenant_id": self.tenant_id,
            "start": self.start,
            "end": self.end,
            "created_at": self.created_at,
            "buckets": self.buckets,
            "rows": self.rows,
            "bytes": self.size,
            "parts": [one._asdict() for one in self.parts],
            "extents": [list(one) for one in self.extents],
        }
        return (json.dumps(said, ensure_ascii=False) + "\n").encode()

    @property
    def checksum(self) -> str:
        """The SHA-256 of its manifest, in hexadecimal."""
        return hashlib.sha256(self.manifest()).hexdigest()

    def packed(self) -> bytes:
        """Its manifest as a database keeps it."""
        return zlib.compress(self.manifest())

    def told(self, manifest: bytes) -> Layer:
        """The same, with what its manifest says is in it. Raises ValueError for another one's."""
        said: Mapping[str, Any] = json.loads(manifest)
        if said.get("manifest") != FORM or said.get("layer_id") != self.id:
            raise ValueError(f"no manifest of the layer {self.id}")
        parts = tuple(Part(**one) for one in said["parts"])
        extents = tuple(Extent(*one) for one in said["extents"])
        return replace(self, buckets=said["buckets"], parts=parts, extents=extents)


COLUMNS = ("layer_id", "number", "kind", "tenant_id", "start_time", "end_time", "url", "created_at",
           "state", "row_count", "size_bytes", "checksum", "manifest")  # fmt: skip
"""The columns of a row of `ai_hub_archive_layers`."""
INSTANTS = ("start_time", "end_time", "created_at")


def row_of(layer: Layer) -> dict[str, Any]:
    """A layer by column."""
    values = (layer.id, layer.number, layer.kind, layer.tenant_id, layer.start, layer.end,
              layer.url, layer.created_at, layer.state, layer.rows, layer.size, layer.checksum,
              layer.packed())  # fmt: skip
    return dict(zip(COLUMNS, values, strict=True))


def layer_of(row: Sequence[Any]) -> Layer:
    """A layer from its columns."""
    id, number, kind, tenant_id, start, end, url, created_at, state, *_, manifest = row
    bare = Layer(
        str(id), int(number), cast(Kind, kind), tenant_id, start, end, url, created_at,
        cast(State, state),
    )  # fmt: skip
    unpacked = zlib.decompressobj().decompress(bytes(manifest), _MOST_BYTES)
    return bare.told(unpacked)


def day_of(instant: int) -> int:
    """The begin of the day that an instant belongs to."""
    return instant // DAY * DAY


def manifest_name(tenant_id: str, layer_id: str) -> str:
    """Where the manifest of a layer is, below its URL."""
    return f"manifests/tenant={tenant_folder(tenant_id)}/{layer_id}.json"


def tenant_folder(tenant_id: str) -> str:
    """A tenant's id as a part of a name: itself, quoted, or where that is long its SHA-256."""
    quoted = quote(tenant_id, safe="")
    if len(quoted) <= _LONGEST_NAME:
        return quoted
    return hashlib.sha256(tenant_id.encode()).hexdigest()


def bucket_of(asset_id: str, buckets: int) -> int:
    """The bucket that an asset falls into."""
    return zlib.crc32(asset_id.encode()) % buckets

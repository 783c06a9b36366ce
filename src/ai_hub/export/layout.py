"""How the parts of an export lie: in folders by month and bucket of assets, as Hive names them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, cast, get_args

import numpy as np
import pyarrow as pa

from ai_hub.definitions.values import check_count, check_list
from ai_hub.engines.arrays import Ints
from ai_hub.errors import InvalidInput

By = Literal["month", "asset_bucket"]
BUCKETS = 16
MOST_BUCKETS = 1024
_OTHERWISE = {"month": "timestamp_month", "asset_bucket": "tenant_asset_bucket"}
"""What a column is called where the rows have one of its name."""
COLUMNS = (*_OTHERWISE, *_OTHERWISE.values())


def asset_bucket(tenant_id: str, asset_id: str, buckets: int) -> int:
    """The bucket of an asset, the same everywhere and always: the first eight bytes of the SHA-256
    of tenant, a zero byte and asset (UTF-8), as a big-endian number, modulo `buckets`."""
    digest = hashlib.sha256(f"{tenant_id}\0{asset_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % buckets


class Piece(NamedTuple):
    """Rows of one folder, in their order."""

    folder: str
    rows: pa.Table


@dataclass(frozen=True, slots=True)
class Layout:
    """Folders by these, the first outermost, with so many buckets."""

    by: tuple[By, ...]
    buckets: int = BUCKETS

    @classmethod
    def of(cls, partition_by: object, buckets: object = None) -> Layout | None:
        """What a caller describes; None for one folder. Raises InvalidInput naming the field."""
        words = [partition_by] if isinstance(partition_by, str) else partition_by
        by = () if words is None else check_list("partition_by", words, "words", len(COLUMNS))
        if len({*by}) < len(by) or not {*by} <= {*get_args(By)}:
            raise InvalidInput("partition_by", partition_by, "month, asset_bucket, or both")
        if buckets is not None and "asset_bucket" not in by:
            raise InvalidInput("buckets", buckets, "none without asset_bucket in partition_by")
        count = BUCKETS if buckets is None else check_count("buckets", buckets, MOST_BUCKETS)
        return cls(tuple(cast(By, one) for one in by), count) if by else None

    def columns(self, names: Sequence[str]) -> tuple[str, ...]:
        """What the columns are called that folders stand for, beside rows with these columns."""
        return tuple(_OTHERWISE[one] if one in names else one for one in self.by)

    def said(self, names: Sequence[str]) -> dict[str, object]:
        """What a manifest says of it."""
        found = {"partition_by": [*self.by], "columns": [*self.columns(names)]}
        return found | ({"buckets": self.buckets} if "asset_bucket" in self.by else {})

    def split(self, rows: pa.Table) -> Iterator[Piece]:
        """Rows by their folder. `month` is that of the timestamp in UTC."""
        if not rows.num_rows:
            return
        codes = [self._months(rows) if one == "month" else self._buckets(rows) for one in self.by]
        keys, place = np.unique(np.stack(codes), axis=1, return_inverse=True)
        place = place.reshape(-1)
        in_order = rows.take(pa.array(np.argsort(place, kind="stable")))
        columns, begin = self.columns(rows.column_names), 0
        for number, count in enumerate(np.bincount(place).tolist()):
            own = zip(columns, self.by, keys[:, number].tolist(), strict=True)
            folder = "/".join(f"{name}={self._word(by, code)}" for name, by, code in own)
            yield Piece(folder, in_order.slice(begin, count))
            begin += count

    def _word(self, by: By, code: int) -> str:
        if by == "month":
            return str(np.datetime64(code, "M"))
        return f"{code:0{max(2, len(str(self.buckets - 1)))}}"

    def _months(self, rows: pa.Table) -> Ints:
        times = rows.column("timestamp").cast(pa.timestamp("us", "UTC"), safe=False)
        micros = times.cast(pa.int64()).to_numpy().astype("datetime64[us]")
        found: Ints = micros.astype("datetime64[M]").astype(np.int64)
        return found

    def _buckets(self, rows: pa.Table) -> Ints:
        assets = _encoded(rows.column("asset_id"))
        (tenant_id,) = _encoded(rows.column("tenant_id")).dictionary.to_pylist()[:1]
        ids = assets.dictionary.to_pylist()
        of_ids = np.array([asset_bucket(tenant_id, one, self.buckets) for one in ids], np.int64)
        found: Ints = of_ids[assets.indices.to_numpy(zero_copy_only=False)]
        return found


def _encoded(column: pa.ChunkedArray) -> pa.DictionaryArray:
    """A column of texts as one dictionary array."""
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    return column.unify_dictionaries().combine_chunks()

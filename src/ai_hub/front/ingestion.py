"""What a feature store takes in: the part of the front that is about data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from os import PathLike
from typing import TYPE_CHECKING, Unpack

from ai_hub.definitions.values import Time, check_id, to_micros
from ai_hub.front.base import Front
from ai_hub.serving.assets import check_assets

if TYPE_CHECKING:
    from ai_hub.intake.batch import Batch, BatchKind
    from ai_hub.intake.read_options import AttributeKeywords, ObservationKeywords, WeatherKeywords
    from ai_hub.intake.result import IngestResult

_OF_A_CALL = ("dry_run", "progress")
_Progress = Callable[[int], None] | None


class Ingestion(Front):
    """Readings, weather and what assets have, brought into the store that is open."""

    async def ingest(
        self, data: object, tenant_id: str | None = None, **options: Unpack[ObservationKeywords]
    ) -> IngestResult:
        """Land observations: pandas, Polars or Arrow tables, dict rows, or the path of a file.

        Columns timestamp, asset_id, value, and optionally feature_type, quality and tenant_id;
        `options` say how they are named, written and meant. 100,000 rows land at a time, each
        batch whole or not at all; `progress` is told the rows dealt with, a `dry_run` previews.
        Raises InvalidInput for a missing column or naive timestamps; a faulty row is rejected,
        counted and named in the result.
        """
        return await self._ingest("observations", data, tenant_id, **options)

    async def ingest_bulk(
        self,
        path: str | PathLike[str],
        tenant_id: str | None = None,
        *,
        bookmark: str | PathLike[str] | None = None,
        **options: Unpack[ObservationKeywords],
    ) -> IngestResult:
        """Land years of observations from a file, as `ingest` does, sorted as they are kept.

        A million rows are sorted together: by week for chunks, elsewhere by series. How far it came
        is kept in the file `bookmark` (by default the path with .bookmark) until all landed:
        who calls it again goes on there, at most a million rows before where it stopped. Raises
        InvalidInput besides for a bookmark of another load. On PostgreSQL, maintain afterwards.
        """
        if options.get("dry_run"):
            return await self.ingest(path, tenant_id, **options)
        from ai_hub.intake.bulk import ingest_file
        from ai_hub.intake.read_options import ReadOptions

        given = {name: value for name, value in options.items() if name not in _OF_A_CALL}
        return await ingest_file(
            path,
            tenant_id,
            ReadOptions.of("observations", given, self.settings.valid_ranges),
            partial(self.land, target="observations"),
            self.settings.database_name,
            in_chunks=self.in_chunks,
            bookmark=bookmark,
            progress=options.get("progress"),
        )

    async def ingest_weather(
        self, data: object, tenant_id: str | None = None, **options: Unpack[WeatherKeywords]
    ) -> IngestResult:
        """Land weather rows of assets or stations, as `ingest` does observations.

        Columns timestamp, asset_id, any of the six measurements, and optionally issued_at.
        """
        return await self._ingest("weather", data, tenant_id, **options)

    async def ingest_attributes(
        self, data: object, tenant_id: str | None = None, **options: Unpack[AttributeKeywords]
    ) -> IngestResult:
        """Land what assets have besides: a capacity, a timezone ...; as `ingest` does observations.

        Columns asset_id, key and value, or asset_id and one for each key; and optionally
        valid_from. Without it an asset's first value of a key holds always, a later one from now
        on. A null value ends the attribute; a column for a key says nothing where it is empty.
        """
        return await self._ingest("attributes", data, tenant_id, **options)

    @property
    def in_chunks(self) -> bool:
        """Whether the store keeps rows of a week together."""
        return self._open.store.in_chunks

    async def land(self, batch: Batch, target: BatchKind) -> IngestResult:
        """Land one checked batch whole (what the doors do with a body or a part of a file)."""
        return await self._open.writer.land(batch, target)

    async def assign_weather_source(
        self,
        *,
        tenant_id: str,
        source_id: str | None,
        asset_ids: Sequence[str],
        valid_from: Time | None = None,
    ) -> int:
        """Let assets take their weather from a source (a station), or (None) from their own rows.

        It holds from `valid_from` on, until the asset's next one; one of the same instant is
        replaced. By default an asset's first holds always, a later one from now on. How many
        assets that was a change for.
        """
        if source_id is not None:
            check_id("source_id", source_id)
        ids = check_assets(tenant_id, asset_ids)
        since = None if valid_from is None else to_micros(valid_from, "valid_from", "up")
        now = self.settings.granularity.truncate(self.now())
        return await self._open.writer.assign_weather_source(tenant_id, source_id, ids, since, now)

    async def _ingest(
        self, kind: BatchKind, data: object, tenant_id: str | None, dry_run: bool = False,
        progress: _Progress = None, **given: object,
    ) -> IngestResult:  # fmt: skip
        from ai_hub.intake.pipeline import ingest_rows
        from ai_hub.intake.read_options import ReadOptions

        options = ReadOptions.of(kind, given, self.settings.valid_ranges)
        land = None if dry_run else partial(self._open.writer.land, kind=kind)
        return await ingest_rows(data, tenant_id, options, land, progress)

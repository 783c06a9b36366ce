"""What goes into a server, and what it says of it: rows, stations, assets, deletions, health."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from os import PathLike
from typing import TYPE_CHECKING, Any, Unpack

from ai_hub.client.base import Asking, said, texts, time_of
from ai_hub.definitions.values import Time, check_id
from ai_hub.errors import NotFound, shown

if TYPE_CHECKING:
    from ai_hub.doctor.line import Line
    from ai_hub.intake.batch import BatchKind
    from ai_hub.intake.read_options import AttributeKeywords, ObservationKeywords, WeatherKeywords
    from ai_hub.intake.result import IngestResult

_OF_A_CALL = ("dry_run", "progress")
_READINESS = frozenset({200, 503})


class Data(Asking):
    """Readings, weather and attributes, and what there is of them."""

    async def ingest(
        self, data: object, tenant_id: str | None = None, **options: Unpack[ObservationKeywords]
    ) -> IngestResult:
        """Land observations: pandas, Polars or Arrow tables, dict rows, or the path of a file here.

        They are read and checked here, with the same options, and sent 100,000 rows at a time, each
        batch whole or not at all. What is sent again is stored once, and counts as `unchanged`.
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
        """Land years of observations from a file here, as `ingest` does, sorted by series.

        How far it came is kept in the file `bookmark` (by default the path with .bookmark) until
        all landed: who calls it again goes on there.
        """
        if options.get("dry_run"):
            return await self.ingest(path, tenant_id, **options)
        from ai_hub.client.rows import land
        from ai_hub.intake.bulk import ingest_file
        from ai_hub.intake.read_options import ReadOptions

        given = {name: value for name, value in options.items() if name not in _OF_A_CALL}
        return await ingest_file(
            path,
            tenant_id,
            ReadOptions.of("observations", given),
            partial(land, self.connection, kind="observations"),
            self.connection.url,
            in_chunks=False,  # a server does not say it
            bookmark=bookmark,
            progress=options.get("progress"),
        )

    async def ingest_weather(
        self, data: object, tenant_id: str | None = None, **options: Unpack[WeatherKeywords]
    ) -> IngestResult:
        """Land weather rows of assets or stations, as `ingest` does observations."""
        return await self._ingest("weather", data, tenant_id, **options)

    async def ingest_attributes(
        self, data: object, tenant_id: str | None = None, **options: Unpack[AttributeKeywords]
    ) -> IngestResult:
        """Land what assets have besides, as `ingest` does observations.

        Rows without `valid_from` hold from when they arrive: those are not sent again where it is
        unknown whether they did.
        """
        return await self._ingest("attributes", data, tenant_id, **options)

    async def assign_weather_source(
        self,
        *,
        tenant_id: str,
        source_id: str | None,
        asset_ids: Sequence[str],
        valid_from: Time | None = None,
    ) -> int:
        """Let assets take their weather from a source (a station), or (None) from their own rows.

        How many assets that was a change for. Without `valid_from` it is not sent again.
        """
        asked = {
            "tenant_id": tenant_id,
            "source_id": source_id,
            "asset_ids": texts(asset_ids),
            **said(valid_from=time_of(valid_from, "valid_from", "up")),
        }
        safe = valid_from is not None
        found = await self._ask("PUT", "/weather-sources", asked, safe=safe)
        changed: int = found["changed"]
        return changed

    async def delete(
        self,
        tenant_id: str,
        asset_ids: Sequence[str] | None = None,
        *,
        series: str | None = None,
        start_time: Time | None = None,
        end_time: Time | None = None,
        weather: bool = False,
        dry_run: bool = False,
    ) -> dict[str, Any]:
        """Remove data of a tenant, or of some of its assets, for ever; or count what would go."""
        asked = said(
            tenant_id=tenant_id, asset_ids=texts(asset_ids), series=series,
            start_time=time_of(start_time, "start_time", "up"),
            end_time=time_of(end_time, "end_time", "up"), weather=weather, dry_run=dry_run,
        )  # fmt: skip
        return await self._ask("POST", "/delete", asked, safe=dry_run, work=True)

    async def archive(
        self, before: Time, to: str, tenant_id: str | None = None, *, drop: bool = False
    ) -> dict[str, Any]:
        """Seal the days (UTC) that end at or before a time, of a tenant or of all: as Parquet below
        a folder in that of the server's exports, or a URL that it allows.

        Gives the `steps`. What takes longer than `work_timeout` is stopped with that, and goes on
        where it is asked for again.
        """
        asked = said(before=time_of(before, "before"), to=to, tenant_id=tenant_id, drop=drop)
        return await self._ask("POST", "/archive", asked, work=True)

    async def unarchive(self, *, lost: str | None = None) -> dict[str, Any]:
        """Bring archived rows back, and end the archive; with `lost`, a reason, what is in its
        files alone is given up. Gives the `steps`."""
        return await self._ask("POST", "/unarchive", said(lost=lost), work=True)

    async def archives(self, tenant_id: str | None = None) -> dict[str, Any]:
        """The layers of a tenant's archive, or of all, by age, and until when rows are dropped."""
        asked = said(tenant_id=tenant_id)
        return await self._ask("GET", "/archives", params=asked, safe=True)

    async def tenants(self, *, limit: int = 1_000) -> list[str]:
        """The tenants that have data, sorted; those of the key, where it is for some."""
        found = await self._ask("GET", "/tenants", params={"limit": limit}, safe=True)
        tenants: list[str] = found["tenants"]
        return tenants

    async def freshness(self, tenant_id: str, limit: int = 50) -> dict[str, Any]:
        """How new a tenant's data is: how many `assets` have readings, how many of them one of
        `today` (in UTC), of `yesterday`, of the `week` before now and today, and none since
        (`older`); and the `stalest`, as `assets` lists them: those whose newest reading is the
        oldest."""
        asked = said(tenant_id=tenant_id, limit=limit)
        return await self._ask("GET", "/freshness", params=asked, safe=True)

    async def seen_assets(self, tenant_id: str) -> list[str]:
        """The assets with a usable observation in the last day, sorted."""
        found = await self._ask("GET", "/assets", params={"tenant_id": tenant_id}, safe=True)
        assets: list[str] = found["asset_ids"]
        return assets

    async def assets(
        self,
        tenant_id: str,
        since: Time | None = None,
        *,
        after: str | None = None,
        limit: int = 100,
        search: str | None = None,
    ) -> dict[str, Any]:
        """A page of a tenant's `assets`, sorted by id, and after which one (`next`) there are more.

        Each with its series, the station whose weather it reads, and its attributes; with `search`,
        those with that text in their id.
        """
        asked = said(
            tenant_id=tenant_id, since=time_of(since, "since", "up"), after=after, limit=limit,
            search=search, details="true",
        )  # fmt: skip
        found = await self._ask("GET", "/assets", params=asked, safe=True)
        return {name: found[name] for name in ("assets", "next")}

    async def asset(self, tenant_id: str, asset_id: str) -> dict[str, Any]:
        """What is known of an asset, as in a page of `assets`. Raises NotFound."""
        check_id("asset_id", asset_id)
        after: str | None = None
        while True:  # a shorter id is before a longer one that begins with it
            page = await self.assets(tenant_id, after=after, search=asset_id)
            for one in page["assets"]:
                if one["asset_id"] == asset_id:
                    asset: dict[str, Any] = one
                    return asset
            after = page["next"]
            if after is None or after > asset_id:
                raise NotFound(f"asset_id: got {shown(asset_id)}, expected one that has data")

    async def audit(
        self,
        tenant_id: str | None = None,
        *,
        what: str | None = None,
        who: str | None = None,
        start_time: Time | None = None,
        end_time: Time | None = None,
        before: int | None = None,
        limit: int = 100,
    ) -> dict[str, Any]:
        """A page of audit `records`, the newest first, and before which id (`next`) there are more;
        of the tenants of the key."""
        asked = said(
            tenant_id=tenant_id, what=what, who=who,
            start_time=time_of(start_time, "start_time", "up"),
            end_time=time_of(end_time, "end_time", "up"), before=before, limit=limit,
        )  # fmt: skip
        return await self._ask("GET", "/audit", params=asked, safe=True)

    async def doctor(self, tenant_id: str | None = None) -> list[Line]:
        """What is wrong with database, data, cache, exports, clocks and settings, and what mends
        it: the `state` of each line is "ok", "warning" or "fault"."""
        from ai_hub.doctor.line import Line

        asked = said(tenant_id=tenant_id)
        found = await self._ask("GET", "/doctor", params=asked, safe=True, work=True)
        return [Line(one.pop("line"), **one) for one in found["lines"]]

    async def status(self, exact: bool = False) -> dict[str, Any]:
        """What the database is like: sizes, series, policies, as `ai-hub status --json` prints it.

        `exact` counts the rows of each series, which takes long on PostgreSQL.
        """
        asked = {"exact": str(exact).lower()}
        return await self._ask("GET", "/status", params=asked, safe=True, work=True)

    async def ready(self) -> dict[str, Mapping[str, str]]:
        """How database, cache and exports are now, each in a word (`state`) and a sentence
        (`detail`)."""
        response = await self.connection.send("GET", "/health/ready", answers=_READINESS)
        found: dict[str, Mapping[str, str]] = self.connection.document(response)["parts"]
        return found

    async def _ingest(
        self, kind: BatchKind, data: object, tenant_id: str | None, dry_run: bool = False,
        progress: Callable[[int], None] | None = None, **given: object,
    ) -> IngestResult:  # fmt: skip
        # What reads and checks rows is imported when there are some.
        from ai_hub.client.rows import land
        from ai_hub.intake.pipeline import ingest_rows
        from ai_hub.intake.read_options import ReadOptions

        options = ReadOptions.of(kind, given)
        landing = None if dry_run else partial(land, self.connection, kind=kind)
        return await ingest_rows(data, tenant_id, options, landing, progress)

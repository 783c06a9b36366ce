"""The routes of exports: jobs that are asked for, looked at, cancelled and resumed."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, get, post, route
from litestar.datastructures import State

from ai_hub.definitions.values import parse_time, to_datetime
from ai_hub.errors import InvalidInput, UnknownExport
from ai_hub.feature_store import FeatureStore
from ai_hub.http.access import EXPORT
from ai_hub.http.asked import body, grant_of, in_full
from ai_hub.http.body import while_connected
from ai_hub.http.messages import ExportRequest
from ai_hub.http.paths import export_place

_Asked = Request[Any, Any, Any]
_Record = dict[str, Any]
_UNDER_WAY = ("pending", "processing")
_LONGEST_WAIT = 3_600


@post("/export", opt=EXPORT, status_code=200)
async def export(request: _Asked, state: State) -> Response[_Record]:
    """Write a training set to Parquet in the tenant's folder; answers when it is done, or after
    `wait_seconds` with what there is to look at."""
    data = await body(request, ExportRequest)
    store: FeatureStore = state.store
    if not 0 <= data.wait_seconds <= _LONGEST_WAIT:
        raise InvalidInput("wait_seconds", data.wait_seconds, f"0 to {_LONGEST_WAIT:,} seconds")
    begun = await store.export_features_to_parquet(
        data.tenant_id,
        data.feature_set,
        to_datetime(parse_time(data.start_time, "start_time", "up")),
        to_datetime(parse_time(data.end_time, "end_time")),
        export_place(data.output_path, data.tenant_id, store.settings.export_urls),
        data.asset_ids,
        missing=data.missing,  # type: ignore[arg-type]  # checked by the front, as all else
        compression=data.compression,
        horizons=data.horizons,
        indicators=data.indicators,
        frequency=data.frequency,
        in_tenant_folder=True,
        model=data.model,
        parts=data.parts,
        partition_by=data.partition_by,
        buckets=None if data.buckets is None else in_full(data.buckets),  # type: ignore[arg-type]
        format=data.format,
        wait_seconds=0,
    )
    try:
        # Who leaves meanwhile does not end it.
        waiting = store.wait_for_export(begun["export_id"], data.wait_seconds)
        return _answer(await while_connected(request.receive, waiting))
    finally:
        state.rooms.tidy()


@get("/exports", opt=EXPORT)
async def exports(
    request: _Asked, state: State, tenant_id: str | None = None, limit: int = 100
) -> dict[str, list[_Record]]:
    """Recorded exports, the newest first."""
    store: FeatureStore = state.store
    of = grant_of(request).tenants if tenant_id is None else tenant_id
    return {"exports": await store.exports(of, limit)}


@route("/exports/{export_id:str}", http_method=["GET", "DELETE"], opt=EXPORT, status_code=200)
async def export_by_id(request: _Asked, export_id: str, state: State) -> Response[_Record]:
    """One recorded export, and how far it is; `DELETE` ends one that is under way.

    One handler, as `OPTIONS` says the methods of one.
    """
    found = await own_export(request, export_id, state)
    if request.method != "DELETE":
        return Response(found, status_code=200)
    store: FeatureStore = state.store
    return _answer(await store.cancel_export(export_id))


@post("/exports/{export_id:str}/resume", opt=EXPORT, status_code=200)
async def resume_export(request: _Asked, export_id: str, state: State) -> Response[_Record]:
    """Go on with an export that waits for a process, failed or was cancelled."""
    await own_export(request, export_id, state)
    store: FeatureStore = state.store
    return _answer(await store.resume_export(export_id))


async def own_export(request: _Asked, export_id: str, state: State) -> _Record:
    """The record of an export, if it is of a tenant of the key. Raises UnknownExport."""
    store: FeatureStore = state.store
    found = await store.export_record(export_id)
    if not grant_of(request).has(found["tenant_id"]):
        raise UnknownExport(export_id)
    return found


def _answer(record: _Record) -> Response[_Record]:
    """200 for one that has ended; for one under way 202, and where to look at it."""
    if record["status"] not in _UNDER_WAY:
        return Response(record, status_code=200)
    where = f"/ai/features/exports/{record['export_id']}"
    return Response(record, status_code=202, headers={"location": where})
